from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media import walker_tiles
from mocapact_cli.core.media.walker_tiles import Tile, film_walkers, grid_shape
from mocapact_cli.core.progress import NullProgress

QPOS = demo("demo_squat").qpos()


def standing(label: str, steps: int, *, failed: bool = False) -> Tile:
    qpos = np.repeat(QPOS[:1], steps, axis=0)
    return Tile(label, qpos, "ended", qpos, failed)


@pytest.mark.parametrize(
    ("count", "shape"),
    [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (7, (2, 4)), (9, (3, 3)), (25, (5, 5))],
)
def test_a_grid_wastes_few_places(count: int, shape: tuple[int, int]) -> None:
    assert grid_shape(count) == shape


def test_a_film_of_three_ends_with_what_became_of_each(opengl, tmp_path, monkeypatch) -> None:
    import imageio.v3 as iio

    monkeypatch.setattr(walker_tiles, "GRID_FPS", 5.0)
    tiles = [standing("whole", 20), standing("fell", 7, failed=True), standing("short", 12)]
    film = iio.imread(film_walkers(tiles, tmp_path / "film.mp4"), plugin="FFMPEG").astype(int)
    assert film.shape[2] % 2 == film.shape[1] % 2 == 0
    assert 940 <= film.shape[2] <= 960
    # 0.6 s of motion and a second of standing still, five a second.
    assert len(film) == 4 + 5
    left, middle = film[:, 60:180, :310], film[:, 60:180, 330:630]
    brightness = middle.mean(axis=(1, 2, 3))
    assert brightness[1] < 0.7 * brightness[0]
    assert left.mean(axis=(1, 2, 3))[2] > 0.95 * left.mean(axis=(1, 2, 3))[0]
    # What is written below an episode that failed is red, below one that did not green.
    below = film[-1, -30:]
    assert reddish(below[:, 320:640]) > 20 > reddish(below[:, :310])
    assert reddish(-below[:, 640:]) > 20


def reddish(pixels: np.ndarray) -> int:
    return int((pixels[..., 0] - pixels[..., 1] > 60).sum())


def test_a_strip_has_a_row_for_each_walker_and_darkens_one_that_has_ended(tmp_path, opengl) -> None:
    tiles = [Tile("long", QPOS[:41]), Tile("short", QPOS[:11], "fell")]
    strip = np.asarray(Image.open(film_walkers(tiles, tmp_path / "strip.png", columns=2)))
    assert strip.shape == (2 * 160 + 4, 8 * 160, 3)
    first, second = strip[:160].reshape(160, 8, 160, 3), strip[164:].reshape(160, 8, 160, 3)
    # Between the words both begin alike; the short one then turns dark.
    inside = slice(40, 130)
    apart = np.abs(first[inside].astype(int) - second[inside]).mean(axis=(0, 2, 3))
    assert apart[0] < 5
    assert second[inside, 6].mean() < 0.7 * second[inside, 0].mean()
    assert np.abs(first[inside, 6].astype(int) - first[inside, 0]).max() > 60


def test_a_prompt_has_another_colour_and_time_counts_from_its_end(tmp_path, opengl) -> None:
    still = np.repeat(QPOS[:1], 41, axis=0)
    tiles = [Tile("prompted", still, prompt_steps=20), Tile("alone", still)]
    strip = np.asarray(Image.open(film_walkers(tiles, tmp_path / "strip.png"))).astype(int)
    prompted, alone = (part[40:130].reshape(90, 8, 160, 3) for part in (strip[:160], strip[164:]))
    difference = np.abs(prompted - alone).max(axis=(0, 2, 3))
    assert (difference[:4] > 40).all()
    assert (difference[4:] < 10).all()
    assert [tiles[0].status(time) for time in (0.3, 0.6, 0.9)] == ["prompt, 0.30 s", "+0.00 s", "+0.30 s"]
    assert tiles[1].status(0.3) == "0.30 s"


def test_a_reward_stands_beside_the_time() -> None:
    tile = Tile("a", QPOS[:3], rewards=[0.5, 0.25, 0.125])
    assert tile.status(0.03) == "0.03 s   reward 0.25"
    assert tile.status(0.09) == "0.09 s"


def test_the_camera_stays_with_a_walker_that_leaves_its_reference_behind() -> None:
    qpos = np.repeat(QPOS[:1], 101, axis=0)
    qpos[:, 0] = np.linspace(0.0, 6.0, 101)
    reference = qpos.copy()
    reference[40:, :3] = reference[40, :3]
    times = np.array([0.0, 3.0])
    followed, _ = Tile("a", qpos, reference_qpos=reference, reference_steps=40).views(times)
    kept, ghost = Tile("a", qpos, reference_qpos=reference).views(times)
    assert ghost is not None
    away = [camera[1].lookat[0] - camera[0].lookat[0] for camera in (followed, kept)]
    assert away[0] > 5.0 > away[1] + 1.0


def test_a_last_row_that_is_not_full_stands_in_the_middle() -> None:
    pictures = [np.full((4, 6, 3), value, np.uint8) for value in (100, 110, 120)]
    frame = walker_tiles._arranged(pictures, 2)
    assert frame.shape == (12, 16, 3)
    assert frame[0, 0, 0] == 100
    assert frame[0, 10, 0] == 110
    assert set(frame[9, :5, 0]) == set(frame[9, 11:, 0]) == {walker_tiles.BACKGROUND}
    assert (frame[8:, 5:11] == 120).all()


def test_other_endings_are_refused_before_anything_is_drawn(tmp_path) -> None:
    with pytest.raises(UsageError, match="kind of film"):
        film_walkers([standing("a", 5)], tmp_path / "film.avi", progress=NullProgress())
