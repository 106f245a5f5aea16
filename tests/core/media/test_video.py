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


def test_the_last_frame_is_held(tmp_path):
    import imageio.v3 as iio

    film = iio.imread(write_film(tmp_path / "a.mp4", frames(4), fps=10, hold=0.5), plugin="FFMPEG").astype(int)
    assert len(film) == 4 + 5
    assert np.abs(film[3:] - film[3]).max() <= 2
    assert film[3].mean() - film[2].mean() > 10
    with Image.open(write_film(tmp_path / "a.gif", frames(4), fps=10, hold=0.5)) as moving:
        shown = []
        for index in range(moving.n_frames):
            moving.seek(index)
            shown.append(moving.info["duration"])
    assert shown == [100, 100, 100, 600]


def test_a_gif_keeps_its_colours_from_frame_to_frame(tmp_path):
    moving = np.random.default_rng(0).integers(0, 256, (6, 36, 48, 3), dtype=np.uint8)
    moving[:, :4, :6] = (90, 160, 240)
    moving[:, :, 24:] = np.arange(6, dtype=np.uint8)[:, None, None, None] * 50
    with Image.open(write_film(tmp_path / "a.gif", moving, fps=10)) as film:
        corners = []
        for index in range(film.n_frames):
            film.seek(index)
            corners.append(np.asarray(film.convert("RGB"))[1, 1].tolist())
    assert corners == [corners[0]] * 6


def test_a_gif_keeps_a_colour_that_few_pixels_have(tmp_path):
    grey = np.repeat(np.linspace(0, 255, 48 * 36).astype(np.uint8).reshape(36, 48, 1), 3, axis=2)
    grey[:2, :3] = (255, 120, 100)
    with Image.open(write_film(tmp_path / "a.gif", [grey] * 2, fps=10)) as film:
        red, green, blue = np.asarray(film.convert("RGB"))[1, 1].astype(int)
    assert red - max(green, blue) > 80


def test_a_strip_puts_the_frames_side_by_side(tmp_path):
    with Image.open(write_film(tmp_path / "a.png", frames(4), fps=10)) as strip:
        pixels = np.asarray(strip)
    assert pixels.shape == (36, 4 * 48, 3)
    assert [int(pixels[0, 48 * index, 0]) for index in range(4)] == [0, 20, 40, 60]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.png"])
def test_without_a_first_frame_no_folder_is_made(tmp_path, name):
    def broken():
        raise ValueError("no camera")
        yield

    with pytest.raises(ValueError, match="no camera"):
        write_film(tmp_path / "new" / name, broken(), fps=10)
    assert list(tmp_path.iterdir()) == []


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
    assert frame_times(0.98, "a.gif", 30) == pytest.approx(np.arange(15) * 0.07)
    # The end is shown, even where no frame is due.
    assert frame_times(1.01, "a.mp4", 10) == pytest.approx([*np.arange(11) / 10, 1.01])
    assert frame_times(1.0, "a.png", 30) == pytest.approx(np.linspace(0, 1, STRIP_FRAMES))
    assert frame_times(0.0, "a.mp4", 30) == pytest.approx([0.0])


def test_a_gif_is_never_faster_than_its_viewers():
    assert (film_fps("a.gif", 10), film_fps("a.mp4", 30)) == (10, 30)
    assert film_fps("a.gif", 30) == film_fps("a.gif", 15) == pytest.approx(100 / 7)


@pytest.mark.parametrize("fps", [1, 7, 12, 15, 24, 60])
def test_a_gif_plays_as_fast_as_it_was_drawn(tmp_path, fps):
    rate = film_fps("a.gif", fps)
    with Image.open(write_film(tmp_path / "a.gif", frames(3), fps=rate)) as film:
        assert film.info["duration"] / 1000 == pytest.approx(1 / rate)
