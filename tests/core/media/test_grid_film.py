from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media import grid_film
from mocapact_cli.core.media.grid_film import Tile, film_grid, grid_shape
from mocapact_cli.core.progress import NullProgress


def tile(title: str, steps: int, *, failed: bool = False) -> Tile:
    qpos = np.zeros((steps, 63))
    qpos[:, 2], qpos[:, 3:5] = 1.2, np.sqrt(0.5)
    return Tile(title, qpos, qpos, failed)


@pytest.mark.parametrize(
    ("count", "shape"),
    [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (7, (2, 4)), (9, (3, 3)), (25, (5, 5))],
)
def test_a_grid_wastes_few_places(count: int, shape: tuple[int, int]) -> None:
    assert grid_shape(count) == shape


def test_a_film_of_three_ends_with_what_became_of_each(opengl, tmp_path, monkeypatch) -> None:
    import imageio.v3 as iio

    monkeypatch.setattr(grid_film, "GRID_FPS", 5.0)
    tiles = [tile("whole", 20), tile("fell", 7, failed=True), tile("short", 12)]
    film = iio.imread(film_grid(tiles, tmp_path / "film.mp4"), plugin="FFMPEG").astype(int)
    assert film.shape[2] % 2 == film.shape[1] % 2 == 0
    assert 940 <= film.shape[2] <= 960
    # 0.6 s of motion and a second of standing still, five a second.
    assert len(film) == 9
    left, middle = film[:, 60:180, :310], film[:, 60:180, 330:630]
    brightness = middle.mean(axis=(1, 2, 3))
    assert brightness[2] < 0.7 * brightness[1]
    assert left.mean(axis=(1, 2, 3))[2] > 0.95 * left.mean(axis=(1, 2, 3))[0]
    # What is written below an episode that failed is red, below one that did not green.
    below = film[-1, -30:]
    assert reddish(below[:, 320:640]) > 20 > reddish(below[:, :310])
    assert reddish(-below[:, 640:]) > 20


def reddish(pixels: np.ndarray) -> int:
    return int((pixels[..., 0] - pixels[..., 1] > 60).sum())


def test_a_strip_has_a_row_for_each(opengl, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(grid_film._WIDTHS, "png", 64)
    with Image.open(film_grid([tile("a", 5), tile("b", 9)], tmp_path / "film.png")) as strip:
        assert strip.size == (8 * 64, 2 * 48 + 4)


def test_other_endings_are_refused_before_anything_is_drawn(tmp_path) -> None:
    with pytest.raises(UsageError, match="kind of film"):
        film_grid([tile("a", 5)], tmp_path / "film.avi", progress=NullProgress())
