import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.video import STRIP_FRAMES, film_format, film_fps, frame_times, write_film


def frames(count, height=36, width=48):
    return (np.full((height, width, 3), 20 * index, np.uint8) for index in range(count))


@pytest.mark.parametrize(("name", "kind"), [("a.mp4", "mp4"), ("b.GIF", "gif"), ("c.d.png", "png")])
def test_the_ending_says_the_format(name, kind):
    assert film_format(name) == kind


@pytest.mark.parametrize("name", ["a.avi", "a", "mp4"])
def test_other_endings_are_refused(name):
    with pytest.raises(UsageError) as caught:
        film_format(name)
    assert ".mp4, .gif or .png" in caught.value.hint


def test_an_mp4_has_all_frames_at_the_given_rate(tmp_path):
    import imageio.v3 as iio

    path = write_film(tmp_path / "a.mp4", frames(10), fps=25)
    film = iio.imread(path, plugin="FFMPEG")
    assert film.shape == (10, 36, 48, 3)
    assert iio.immeta(path, plugin="FFMPEG")["fps"] == 25
    assert abs(int(film[9].mean()) - 180) < 6


def test_a_gif_has_all_frames_and_loops(tmp_path):
    with Image.open(write_film(tmp_path / "a.gif", frames(5), fps=10)) as film:
        assert (film.n_frames, film.size, film.info["duration"], film.info["loop"]) == (5, (48, 36), 100, 0)


def test_a_strip_puts_the_frames_side_by_side(tmp_path):
    with Image.open(write_film(tmp_path / "a.png", frames(4), fps=10)) as strip:
        pixels = np.asarray(strip)
    assert pixels.shape == (36, 4 * 48, 3)
    assert [int(pixels[0, 48 * index, 0]) for index in range(4)] == [0, 20, 40, 60]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png"])
def test_a_film_that_fails_half_way_leaves_no_file(tmp_path, name):
    def broken():
        yield from frames(3)
        raise ValueError("camera fell over")

    with pytest.raises(ValueError, match="fell over"):
        write_film(tmp_path / name, broken(), fps=10)
    assert list(tmp_path.iterdir()) == []


def test_frame_times():
    assert frame_times(1.0, "a.mp4", 30) == pytest.approx(np.arange(31) / 30)
    assert frame_times(1.0, "a.gif", 30) == pytest.approx(np.arange(16) / 15)
    assert frame_times(1.0, "a.png", 30) == pytest.approx(np.linspace(0, 1, STRIP_FRAMES))
    assert frame_times(0.0, "a.mp4", 30) == pytest.approx([0.0])


def test_a_gif_is_never_faster_than_its_viewers():
    assert (film_fps("a.gif", 30), film_fps("a.gif", 10), film_fps("a.mp4", 30)) == (15, 10, 30)
