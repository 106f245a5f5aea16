"""The images that the walker's cameras see while episodes run, drawn beside the physics."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.media.walker_cameras import WalkerCameras

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.rollouts.episodes import Actor

    Images = Mapping[str, NDArray[np.uint8]]
    FloatArray = NDArray[np.float64]


class EpisodeCameras:
    """Draws every observation of every running episode; OpenGL belongs to one thread, so one thread draws.

    Only the images of running episodes are in memory. From `open_cameras`.
    """

    def __init__(self, batch: TrackingBatch, renderer: WalkerCameras, thread: ThreadPoolExecutor) -> None:
        self._batch, self._renderer, self._thread = batch, renderer, thread
        self._drawn: dict[int, list[dict[str, NDArray[np.uint8]]]] = defaultdict(list)
        self._latest: Future[None] | None = None

    def look(self, episodes: NDArray[np.int64]) -> None:
        """Draw the present pose of each environment's episode (N,), -1 for none; of the step before, all is drawn."""
        if self._latest is not None:
            self._latest.result()
        running = [int(env) for env in np.flatnonzero(episodes >= 0)]
        poses = self._batch.poses()[0]
        self._latest = self._thread.submit(self._draw, [(int(episodes[env]), poses[env]) for env in running])

    def finish(self, index: int, env: int) -> Future[Images]:
        """Draw the last pose of planned episode `index`, which has just ended in environment `env`.

        Returns:
            All its images (T + 1, 64, 64, 3) by camera, once they are drawn.
        """
        # A diverged simulation holds no pose that could be drawn.
        pose = np.nan_to_num(self._batch.reached().qpos[env], posinf=0.0, neginf=0.0)
        return self._thread.submit(self._finish, index, pose)

    def _draw(self, poses: list[tuple[int, FloatArray]]) -> None:
        for index, pose in poses:
            self._drawn[index].append(self._renderer.render(pose))

    def _finish(self, index: int, pose: FloatArray) -> Images:
        self._draw([(index, pose)])
        images = self._drawn.pop(index)
        return {name: np.stack([image[name] for image in images]) for name in images[0]}


class Filmed:
    """An actor before whose every action the cameras look.

    Args:
        actor: Who acts.
        cameras: They look.
    """

    def __init__(self, actor: Actor, cameras: EpisodeCameras) -> None:
        self._actor, self._cameras = actor, cameras

    def means(self, observations: NDArray[np.float32], episodes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the actor's mean actions (N, A)."""
        self._cameras.look(episodes)
        return self._actor.means(observations, episodes)


@contextlib.contextmanager
def open_cameras(batch: TrackingBatch) -> Iterator[EpisodeCameras]:
    """Give the cameras of a batch for the duration of the block.

    Raises:
        MissingDependencyError: No OpenGL works here.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="cameras") as thread:
        renderer = thread.submit(WalkerCameras, batch.walker).result()
        try:
            yield EpisodeCameras(batch, renderer, thread)
        finally:
            thread.submit(renderer.close).result()
