import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.walker_tiles import Tile, film_walkers

QPOS = demo("demo_squat").qpos()


def test_a_strip_has_a_row_for_each_walker_and_darkens_one_that_has_ended(tmp_path, opengl):
    path = film_walkers([Tile("long", QPOS[:41]), Tile("short", QPOS[:11], "fell")], tmp_path / "strip.png", columns=2)
    strip = np.asarray(Image.open(path))
    assert strip.shape == (2 * 160, 8 * 160, 3)
    first, second = strip[:160].reshape(160, 8, 160, 3), strip[160:].reshape(160, 8, 160, 3)
    # Below the words both begin alike; the short one then turns dark.
    apart = np.abs(first[40:].astype(int) - second[40:]).mean(axis=(0, 2, 3))
    assert apart[0] < 5
    assert second[40:, 7].mean() < 0.7 * second[40:, 0].mean()
    assert np.abs(first[40:, 7].astype(int) - first[40:, 0]).max() > 60


def test_a_film_stands_in_rows_and_leaves_the_rest_dark(tmp_path, opengl):
    tiles = [Tile(str(number), QPOS[:4]) for number in range(3)]
    frames = iio.imread(film_walkers(tiles, tmp_path / "film.gif", columns=2))
    assert frames.shape[1:3] == (480, 480)
    assert frames[0, 250:, 250:].std() < 5 < frames[0, :240, :240].std()


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"film\.txt"):
        film_walkers([Tile("one", QPOS[:2])], tmp_path / "film.txt", columns=1)
