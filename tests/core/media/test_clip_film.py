from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.camera import Camera
from mocapact_cli.core.media.captions import draw_caption
from mocapact_cli.core.media.clip_film import film_clip, film_episode, film_goal, resampled
from mocapact_cli.core.media.render import TrackRenderer
from mocapact_cli.core.progress import NullTask
from mocapact_cli.core.tasks.goal import Mark
from mocapact_cli.core.walker.model import get_walker

FRONT = Camera(np.array([0.0, 0.0, 0.85]), 3.5, 90.0, -10.0)


def standing(steps=20):
    qpos = np.zeros((steps, 63))
    qpos[:, 2], qpos[:, 3:5] = 1.2, np.sqrt(0.5)
    qpos[:, 0] = np.linspace(0, 0.3, steps)
    return qpos


def clip(steps=20):
    return SimpleNamespace(id="demo", dt=0.03, qpos=lambda: standing(steps))


class Frames(NullTask):
    def __init__(self):
        self.seen, self.total = 0, None

    def task(self, description, total=None, unit="it"):
        from contextlib import nullcontext

        self.total = total
        return nullcontext(self)

    def advance(self, n=1):
        self.seen += n


def test_the_walker_and_its_ghost_are_drawn_where_they_stand(opengl):
    pose, ghost = standing(1)[0], standing(1)[0]
    ghost[0] += 1.0
    with TrackRenderer(get_walker(), 160, 120) as renderer:
        alone = renderer.render(pose, FRONT)
        both = renderer.render(pose, FRONT, ghost_qpos=ghost)
    assert alone.shape == (120, 160, 3)
    # The walker is orange on a blue floor.
    body = alone[..., 0].astype(int) > alone[..., 2].astype(int) + 20
    added = np.abs(both.astype(int) - alone).max(axis=2) > 40
    assert 0.02 < body.mean() < 0.3
    assert 0.005 < added.mean() < 0.3
    assert np.nonzero(added)[1].mean() > np.nonzero(body)[1].mean() + 15


def test_drawing_leaves_the_shared_model_alone():
    walker = get_walker()
    assert walker.model.geom_size[walker.floor_geom, 0] > 0


def test_a_clip_becomes_an_mp4(opengl, tmp_path):
    import imageio.v3 as iio

    progress = Frames()
    path = film_clip(clip(), tmp_path / "demo.mp4", width=161, height=120, fps=20, progress=progress)
    film = iio.imread(path, plugin="FFMPEG")
    # 0.57 s of motion, its end, and a second of standing still, twenty a second.
    assert film.shape == (12 + 1 + 20, 120, 160, 3)
    assert (progress.seen, progress.total) == (13, 13)
    assert film.std() > 10


def test_a_part_of_a_clip_becomes_a_gif(opengl, tmp_path):
    with Image.open(film_clip(clip(), tmp_path / "demo.gif", start=0, end=10, fps=10)) as film:
        assert (film.n_frames, film.size) == (4, (320, 240))


def test_an_episode_becomes_a_strip(opengl, tmp_path):
    qpos = standing()
    captions = [f"step {step}" for step in range(len(qpos))]
    with Image.open(film_episode(qpos, qpos, tmp_path / "e.png", captions=captions)) as strip:
        assert strip.size == (8 * 240, 180)


def test_words_do_not_cover_the_head_of_a_walker_alone(opengl, tmp_path):
    film_clip(demo("demo_walk"), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as strip:
        pixels = np.asarray(strip).astype(int)
    orange = pixels[..., 0] > pixels[..., 2] + 20
    assert np.flatnonzero(orange.any(axis=1))[0] >= caption_height(240, 180)


def caption_height(width, height):
    grey = np.full((height, width, 3), 128, np.uint8)
    return int(np.flatnonzero((draw_caption(grey, "A")[:, -1] < 128).all(axis=1))[-1]) + 1


def test_an_unknown_ending_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(UsageError):
        film_clip(clip(), tmp_path / "demo.avi")


def test_resampling_goes_the_shortest_way():
    walker, qpos = get_walker(), standing(3)
    qpos[1, 7] = 0.4
    half = resampled(walker, qpos, 0.03, np.array([0.0, 0.015, 0.03, 9.0]))
    assert half[0] == pytest.approx(qpos[0])
    assert half[1, 7] == pytest.approx(0.2)
    assert half[2] == pytest.approx(qpos[1])
    assert half[3] == pytest.approx(qpos[2])
    assert np.linalg.norm(half[:, 3:7], axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "mark",
    [
        Mark("spot", np.array([0.0, -0.8, 0.0]), np.full(3, 0.5)),
        Mark("arrow", np.array([0.0, 0.0, 0.3]), np.array([1.0, -0.5, 0.0])),
    ],
    ids=lambda mark: mark.kind,
)
def test_a_goal_is_drawn_and_does_not_stay(opengl, mark):
    with TrackRenderer(get_walker(), 160, 120) as renderer:
        plain = renderer.render(standing()[0], FRONT)
        marked = renderer.render(standing()[0], FRONT, marks=[mark])
        again = renderer.render(standing()[0], FRONT)
    orange = (marked[..., 0] > marked[..., 2] + 40) & (plain[..., 0] <= plain[..., 2] + 40)
    assert 20 < orange.sum() < 4000
    np.testing.assert_allclose(plain.astype(int), again, atol=5)


def test_an_episode_is_filmed_with_its_goal(opengl, tmp_path):
    marks = [[Mark("spot", np.array([0.5, 0.5, 0.0]), np.ones(3))]] * 20
    film_goal(standing(), marks, tmp_path / "goal.png", captions=["towards it"] * 20)
    film_goal(standing(), [[]] * 20, tmp_path / "none.png", captions=["towards it"] * 20)
    with Image.open(tmp_path / "goal.png") as one, Image.open(tmp_path / "none.png") as other:
        assert one.size == other.size
        assert np.asarray(one).tobytes() != np.asarray(other).tobytes()
