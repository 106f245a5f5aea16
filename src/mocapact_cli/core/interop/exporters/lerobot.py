"""LeRobot's dataset format v3.0: steps in Parquet files, many episodes to a file, with metadata beside.

A frame is one control step: `observation.state`, `action`, `next.reward`, `next.done` and `next.success`; the
observation after an episode's last step has no frame. Each snippet is a task. Camera images lie in the Parquet files
as PNG, so that they are exact.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.atomic import atomic_folder
from mocapact_cli.core.clips.clip import CONTROL_TIMESTEP
from mocapact_cli.core.interop.exporters.lerobot_statistics import (
    FeatureStatistics,
    Statistics,
    array_statistics,
    as_cell,
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
from mocapact_cli.core.interop.exporters.steps import EpisodeSteps, all_steps, column_names, columns_of
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.json_files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from mocapact_cli.core.datasets.slicing import RolloutSlice
    from mocapact_cli.core.progress import ProgressTask

VERSION = "v3.0"
ROBOT = "cmu_humanoid_v2020"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
ROWS_A_GROUP = 32
"""Episodes whose metadata are written together."""
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
        MissingDependencyError: Pyarrow is not installed.
        InvalidInputError: A source is damaged.
        OSError: The disk is full.
    """
    require("pyarrow.parquet", purpose="LeRobot datasets")
    tasks = {name: index for index, name in enumerate(source.snippets)}
    with atomic_folder(path) as folder:
        with _DatasetWriter(folder, source) as writer:
            for steps in all_steps(source, actions):
                writer.add(steps, tasks[steps.snippet])
                task.advance(len(steps))
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


class _DatasetWriter:
    """Writes episodes to Parquet files of bounded size and adds their statistics up."""

    def __init__(self, folder: Path, source: RolloutSlice) -> None:
        self._source = source
        self.features: Features = {}
        self.frames = self.episodes = 0
        self.statistics = Statistics()
        self._data = RollingParquet(folder, DATA_PATH)
        self._meta = RollingParquet(folder, EPISODES_PATH)
        self._rows: list[Any] = []

    def __enter__(self) -> _DatasetWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._data.close)
            stack.callback(self._meta.close)
            if error is None:
                self._flush()

    def add(self, steps: EpisodeSteps, task_index: int) -> None:
        """Append one episode."""
        if not self.features:
            self.features = features_of(self._source, steps)
            self._schema = frames_schema(self.features)
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
        """Keep an episode's row of the metadata; `place` is where its frames are."""
        import pyarrow as pa

        row: dict[str, Any] = {
            "episode_index": self.episodes,
            "tasks": [task_text(steps.snippet)],
            "length": len(steps),
            "data/chunk_index": place[0],
            "data/file_index": place[1],
            "dataset_from_index": self.frames,
            "dataset_to_index": self.frames + len(steps),
        }
        nested = {f"stats/{name}/{key}": as_cell(found[key]) for name, found in statistics.items() for key in found}
        self._rows.append(pa.table({name: pa.array([value]) for name, value in (row | nested).items()}))
        if len(self._rows) >= ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        """Write the rows that are waiting: one group of rows for many, as a file's footer tells of every group."""
        import pyarrow as pa

        if not self._rows:
            return
        table = pa.concat_tables(self._rows)
        numbers = ("meta/episodes/chunk_index", "meta/episodes/file_index")
        schema = table.schema
        for name in numbers:
            schema = schema.append(pa.field(name, pa.int64()))
        for name, number in zip(numbers, self._meta.begin(schema), strict=True):
            table = table.append_column(name, pa.array(np.full(len(table), number)))
        self._meta.append(table.combine_chunks())
        self._rows.clear()

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
