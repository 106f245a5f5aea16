"""How rollouts are best laid out in HDF5: size, writing and reading of the same data in several layouts, plain h5py.

    python tests/benchmarks/study_storage.py   # minutes; prints the tables of docs/storage.md
    python tests/benchmarks/study_storage.py --episodes 4 --seconds 0.1

The data are rollouts of an expert with random weights on the built-in walking clip, all proprioceptive observables,
and images of the walker's two cameras along that clip. Every layout is measured in turn, several times over, and the
medians are shown. Seconds are of the processor, so that it does not matter what else the machine does, and files are
read from the system's cache: what differs is what HDF5 does. Where no OpenGL works, the images are left out.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

WINDOW = 30
SIZE = 64
CAMERAS = {"walker/egocentric_camera": "walker/egocentric", "walker/body_camera": "walker/bodycam"}
"""Recorded name -> the camera's name in the model."""
MAIN = "observations/proprioceptive"
COLUMNS = ("size, MB", "write, MB/s", "steps/s", f"windows of {WINDOW}/s", "episodes, MB/s")
Episode = dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """One way to store arrays.

    Attributes:
        name: For the table.
        rows: Rows in a chunk; 0 for contiguous arrays.
        options: Further arguments of h5py's `create_dataset`.
        libver: Version of the file format.
    """

    name: str
    rows: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    libver: str = "earliest"

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """Return what `create_dataset` is given for an array; vectors stay contiguous, they are small."""
        if not self.rows or len(shape) < 2:
            return {}
        return {"chunks": (min(self.rows, shape[0]), *shape[1:]), **self.options}


GZIP = {level: {"compression": "gzip", "compression_opts": level} for level in (1, 4, 9)}
LZF = {"compression": "lzf"}
ROLLOUTS = (
    Layout("contiguous"),
    Layout("contiguous, libver latest", libver="latest"),
    Layout("1 row a chunk", 1),
    Layout("8 rows a chunk", 8),
    Layout("32 rows a chunk", 32),
    Layout("32 rows, fletcher32", 32, {"fletcher32": True}),
    Layout("32 rows, shuffle, lzf", 32, {"shuffle": True, **LZF}),
    Layout("32 rows, shuffle, gzip 1", 32, {"shuffle": True, **GZIP[1]}),
    Layout("32 rows, shuffle, gzip 4", 32, {"shuffle": True, **GZIP[4]}),
    Layout("1 row, shuffle, gzip 1", 1, {"shuffle": True, **GZIP[1]}),
)
IMAGES = (
    Layout("contiguous"),
    Layout("1 image, lzf", 1, LZF),
    Layout("1 image, gzip 1", 1, GZIP[1]),
    Layout("1 image, gzip 4", 1, GZIP[4]),
    Layout("1 image, gzip 9", 1, GZIP[9]),
    Layout("1 image, shuffle, gzip 4", 1, {"shuffle": True, **GZIP[4]}),
    Layout("1 image, gzip 4, libver latest", 1, GZIP[4], "latest"),
    Layout("8 images, gzip 4", 8, GZIP[4]),
    Layout("32 images, gzip 4", 32, GZIP[4]),
    Layout("8 images, lzf", 8, LZF),
)


def main() -> None:
    options = parsed()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        episodes = record(Path(folder), options.episodes)
        print(table(studied(ROLLOUTS, MAIN, episodes, Path(folder), options), "Rollouts"))
        images = film(options.images)
        if images:
            print(table(studied(IMAGES, next(iter(images[0])), images, Path(folder), options), "Images"))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=60, help="of rollouts")
    parser.add_argument("--images", type=int, default=4, help="episodes of images of both cameras")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement of reading")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the files go; default: the system's temporary folder")
    return parser.parse_args()


def record(folder: Path, count: int) -> list[Episode]:
    """Record rollouts of a random expert, which nothing ends early, and return their arrays."""
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model
    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.rollouts.config import RolloutConfig
    from mocapact_cli.core.rollouts.recorder import record_rollouts
    from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

    root = folder / "expert"
    policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(64, 64))
    write_model(root / RSI_MODEL, policy)
    write_clip_info(root, Snippet("demo_walk", 0, 190), TIME_INDEX)
    config = RolloutConfig(n_start_rollouts=count, n_rsi_rollouts=0, termination_error_threshold=1e6)
    record_rollouts(find_experts(root), open_library(), folder / "rollouts", config)
    with h5py.File(folder / "rollouts" / "demo_walk.hdf5") as file:
        groups = [file[f"demo_walk-0-190/{index}"] for index in range(count)]
        return [{name: group[name][()] for name in _names(group)} for group in groups]


def _names(group: h5py.Group) -> list[str]:
    found: list[str] = []
    group.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def film(count: int) -> list[Episode]:
    """Draw the walker's own cameras along the clip; nothing where OpenGL does not work."""
    from mocapact_cli.core.errors import MissingDependencyError
    from mocapact_cli.core.media.gl import defer_gl, make_context

    defer_gl()
    try:
        context = make_context(SIZE, SIZE)
    except MissingDependencyError as error:
        print(f"No images: {error.message} {error.hint}\n")
        return []
    try:
        return [_filmed(episode) for episode in range(count)]
    finally:
        context.free()


def _filmed(episode: int) -> Episode:
    import mujoco

    from mocapact_cli.core.clips.demos import demo
    from mocapact_cli.core.walker.model import get_walker

    walker, clip = get_walker(), demo("demo_walk" if episode % 2 else "demo_squat")
    scene = mujoco.MjvScene(walker.model, maxgeom=500)
    target = mujoco.MjrContext(walker.model, mujoco.mjtFontScale.mjFONTSCALE_100)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, target)
    data = mujoco.MjData(walker.model)
    pictures = defaultdict(list)
    for qpos in clip.qpos():
        data.qpos[:] = qpos
        mujoco.mj_forward(walker.model, data)
        for name, camera in CAMERAS.items():
            pictures[f"observations/{name}"].append(_picture(walker.model, data, camera, scene, target))
    target.free()
    return {name: np.array(frames) for name, frames in pictures.items()}


def _picture(model: Any, data: Any, name: str, scene: Any, target: Any) -> np.ndarray:
    import mujoco

    camera = mujoco.MjvCamera()
    camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(name).id
    everything = mujoco.mjtCatBit.mjCAT_ALL
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, everything, scene)
    view, pixels = mujoco.MjrRect(0, 0, SIZE, SIZE), np.empty((SIZE, SIZE, 3), np.uint8)
    mujoco.mjr_render(view, scene, target)
    mujoco.mjr_readPixels(pixels, None, view, target)
    return pixels[::-1]


def studied(
    layouts: tuple[Layout, ...], main: str, episodes: list[Episode], folder: Path, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Return size and speeds of every layout, in the order of `COLUMNS`."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    for _ in range(options.rounds):
        for layout in layouts:
            found[layout.name].append(_measured(layout, main, episodes, folder / "study.hdf5", options.seconds))
    return {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()}


def _measured(layout: Layout, main: str, episodes: list[Episode], path: Path, seconds: float) -> list[float]:
    total = sum(array.nbytes for episode in episodes for array in episode.values())
    begin = time.process_time()
    write(path, layout, episodes)
    writing = time.process_time() - begin
    with h5py.File(path) as file:
        steps = _rate(_steps(file, main, episodes), seconds)
        windows = _rate(_windows(file, main, episodes), seconds)
        whole = _rate(_whole(file, main, episodes), seconds) * episodes[0][main].nbytes / 1e6
    return [path.stat().st_size / 1e6, total / 1e6 / writing, steps, windows, whole]


def write(path: Path, layout: Layout, episodes: list[Episode]) -> None:
    """Write the episodes in one layout."""
    with h5py.File(path, "w", libver=layout.libver) as file:
        for index, episode in enumerate(episodes):
            for name, array in episode.items():
                file.create_dataset(f"{index}/{name}", data=array, **layout.arguments(array.shape))


Reader = Iterator[Callable[[], Any]]


def _steps(file: h5py.File, main: str, episodes: list[Episode]) -> Reader:
    rng = np.random.default_rng(0)
    for index in itertools.cycle(rng.permutation(len(episodes))):
        row = int(rng.integers(len(episodes[index][main])))
        yield lambda: file[f"{index}/{main}"][row]  # noqa: B023 - called before the next one


def _windows(file: h5py.File, main: str, episodes: list[Episode]) -> Reader:
    rng = np.random.default_rng(0)
    for index in itertools.cycle(rng.permutation(len(episodes))):
        row = int(rng.integers(max(1, len(episodes[index][main]) - WINDOW)))
        yield lambda: file[f"{index}/{main}"][row : row + WINDOW]  # noqa: B023 - called before the next one


def _whole(file: h5py.File, main: str, episodes: list[Episode]) -> Reader:
    for index in itertools.cycle(range(len(episodes))):
        yield lambda: file[f"{index}/{main}"][()]  # noqa: B023 - called before the next one


def _rate(reader: Reader, seconds: float) -> float:
    """Return how many of the reads are done in a second."""
    count, begin = 0, time.process_time()
    while (passed := time.process_time() - begin) < seconds:
        next(reader)()
        count += 1
    return count / passed


def table(results: dict[str, list[float]], title: str) -> str:
    """Return the results as a table in Markdown."""
    lines = [f"| {title} | {' | '.join(COLUMNS)} |", f"|---|{'---:|' * len(COLUMNS)}"]
    for name, (size, *speeds) in results.items():
        lines.append(f"| {name} | {size:.1f} | {' | '.join(f'{_rounded(speed):,}' for speed in speeds)} |")
    return "\n".join(lines) + "\n"


def _rounded(value: float) -> int:
    """Return a speed to two digits: the third is noise."""
    return int(float(f"{value:.2g}"))


if __name__ == "__main__":
    main()
