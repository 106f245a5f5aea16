"""LeRobot's dataset format v3.0: steps in Parquet files, many episodes to a file, with metadata beside.

A frame is one control step: `observation.state`, `action`, `next.reward`, `next.done` and `next.success`; the
observation after an episode's last step has no frame. Each snippet is a task. Camera images lie in the Parquet files
as PNG, so that they are exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.clip import CONTROL_TIMESTEP
from mocapact_cli.core.interop.exporters.lerobot_statistics import (
    FeatureStatistics,
    Statistics,
    array_statistics,
    image_statistics,
)
from mocapact_cli.core.interop.exporters.parquet import (
    FILE_BYTES,
    FILES_A_CHUNK,
    RollingParquet,
    frames_schema,
    frames_table,
    write_tasks,
)
from mocapact_cli.core.interop.exporters.steps import EpisodeSteps, all_steps, column_names, columns_of, require
from mocapact_cli.core.paths import atomic_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mocapact_cli.core.datasets.slicing import RolloutSlice
    from mocapact_cli.core.progress import ProgressTask

VERSION = "v3.0"
ROBOT = "cmu_humanoid_v2020"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
IMAGES = "observation.images."

Features = dict[str, dict[str, Any]]


def write_lerobot(source: RolloutSlice, path: Path, task: ProgressTask, *, actions: str = "sampled") -> None:
    """Write the chosen episodes as a LeRobot dataset.

    Args:
        source: The chosen episodes.
        path: The dataset's folder, LeRobot's `root`; it appears when it is complete.
        task: Told of every step.
        actions: `sampled` or `mean`: which ones are the actions; the others are a feature of their own.

    Raises:
        MissingDependencyError: pyarrow is not installed.
        InvalidInputError: A source is damaged.
        OSError: The disk is full.
    """
    require("pyarrow.parquet")
    tasks = {name: index for index, name in enumerate(source.snippets)}
    with atomic_folder(path) as folder:
        writer: _DatasetWriter | None = None
        try:
            for steps in all_steps(source, actions):
                writer = writer or _DatasetWriter(folder, features_of(source, steps))
                writer.add(steps, tasks[steps.snippet])
                task.advance(len(steps))
        finally:
            if writer is not None:
                writer.close()
        assert writer is not None, "a slice has at least one episode"
        write_tasks(folder / "meta/tasks.parquet", [task_text(name) for name in tasks])
        write_json(folder / "meta/stats.json", writer.statistics.as_json())
        write_json(folder / "meta/info.json", _info(source, writer, actions))


def task_text(snippet: str) -> str:
    """Return the sentence that stands for a snippet's task."""
    return f"Track the motion of {snippet}."


def features_of(source: RolloutSlice, steps: EpisodeSteps) -> Features:
    """Describe the columns of a frame as LeRobot does: type, shape and names, in their order."""
    number = {"shape": [1], "names": None}
    vectors = {
        "observation.state": column_names(source.layout),
        "action": [f"actuator.{index}" for index in range(source.layout.act_size)],
    }
    features: Features = {
        name: {"dtype": "float32", "shape": [len(names)], "names": names} for name, names in vectors.items()
    }
    for name, images in steps.cameras.items():
        shape = list(images.shape[1:])
        features[IMAGES + name] = {"dtype": "image", "shape": shape, "names": ["height", "width", "channels"]}
    for name, array in steps.extras.items():
        wide = {"shape": [array.shape[1]], "names": features["action"]["names"]} if array.ndim > 1 else number
        features[name] = {"dtype": "float32"} | wide
    scalars = {"next.reward": "float32", "next.done": "bool", "next.success": "bool", "timestamp": "float32"}
    scalars |= dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64")
    return features | {name: {"dtype": dtype} | number for name, dtype in scalars.items()}


@dataclass
class _DatasetWriter:
    """Writes episodes to Parquet files of bounded size and adds their statistics up."""

    folder: Path
    features: Features
    frames: int = 0
    episodes: int = 0
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self._schema = frames_schema(self.features)
        self._data = RollingParquet(self.folder, DATA_PATH)
        self._meta = RollingParquet(self.folder, EPISODES_PATH)

    def add(self, steps: EpisodeSteps, task_index: int) -> None:
        """Append one episode."""
        columns = self._columns(steps, task_index)
        statistics = {
            name: image_statistics(values) if self.features[name]["dtype"] == "image" else array_statistics(values)
            for name, values in columns.items()
        }
        place = self._data.begin(self._schema)
        self._data.append(frames_table(columns, self._schema))
        self._describe(steps, place, statistics)
        self.statistics.merge(statistics)
        self.frames += len(steps)
        self.episodes += 1

    def _describe(
        self, steps: EpisodeSteps, place: tuple[int, int], statistics: Mapping[str, FeatureStatistics]
    ) -> None:
        """Write an episode's row of the metadata; `place` is where its frames are."""
        import pyarrow as pa

        row = {
            "episode_index": self.episodes,
            "tasks": [task_text(steps.snippet)],
            "length": len(steps),
            "data/chunk_index": place[0],
            "data/file_index": place[1],
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + len(steps),
        }
        nested = {f"stats/{name}/{key}": found[key].tolist() for name, found in statistics.items() for key in found}
        numbers = ("meta/episodes/chunk_index", "meta/episodes/file_index")
        table = pa.Table.from_pylist([row | nested | dict.fromkeys(numbers, 0)])
        at = dict(zip(numbers, self._meta.begin(table.schema), strict=True))
        self._meta.append(pa.Table.from_pylist([row | nested | at], schema=table.schema))

    def close(self) -> None:
        """Finish the files."""
        self._data.close()
        self._meta.close()

    def _columns(self, steps: EpisodeSteps, task_index: int) -> dict[str, Any]:
        count = len(steps)
        frames = np.arange(count, dtype=np.int64)
        found = {
            "observation.state": steps.observations[:-1],
            "action": steps.actions,
            **{IMAGES + name: images[:-1] for name, images in steps.cameras.items()},
            **steps.extras,
            "next.reward": steps.rewards,
            "next.done": steps.terminals | steps.timeouts,
            "next.success": steps.timeouts,
            "timestamp": (frames * CONTROL_TIMESTEP).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(count, self.episodes, dtype=np.int64),
            "index": frames + self.frames,
            "task_index": np.full(count, task_index, dtype=np.int64),
        }
        return {name: found[name] for name in self.features}


def _info(source: RolloutSlice, writer: _DatasetWriter, actions: str) -> dict[str, Any]:
    """Return what `meta/info.json` holds: LeRobot's own keys, then what the columns and actions mean."""
    megabytes = FILE_BYTES >> 20
    return {
        "codebase_version": VERSION,
        "robot_type": ROBOT,
        "total_episodes": writer.episodes,
        "total_frames": writer.frames,
        "total_tasks": len(source.snippets),
        "chunks_size": FILES_A_CHUNK,
        "data_files_size_in_mb": megabytes,
        "video_files_size_in_mb": megabytes,
        "fps": 1.0 / CONTROL_TIMESTEP,
        "splits": {"train": f"0:{writer.episodes}"},
        "data_path": DATA_PATH,
        "video_path": None,
        "features": writer.features,
        "actions": actions,
        "observables": columns_of(source.layout),
        "ref_steps": list(source.layout.ref_steps),
    }
