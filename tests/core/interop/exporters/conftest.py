"""Small datasets of two clips, and their episodes as they were recorded."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.datasets.schema import CAMERAS
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter

LAYOUT = RolloutLayout(
    {"walker/body_height": 1, "walker/joints_pos": 4, "walker/world_zaxis": 3},
    ref_steps=(1, 2),
    n_start_rollouts=1,
    n_rsi_rollouts=2,
    act_size=5,
)
SNIPPETS = {"a": ["a-0-9", "a-5-20"], "b": ["b-0-9"]}


def _record(seed: int, *, cameras: bool, mean_actions: bool, steps: int) -> EpisodeRecord:
    rng = np.random.default_rng(seed)
    images = {name: rng.integers(0, 256, (steps + 1, 64, 64, 3), dtype=np.uint8) for name in CAMERAS}
    return EpisodeRecord(
        observations=rng.standard_normal((steps + 1, LAYOUT.obs_size)).astype(np.float32),
        actions=rng.uniform(-1, 1, (steps, LAYOUT.act_size)).astype(np.float32),
        mean_actions=rng.uniform(-1, 1, (steps, LAYOUT.act_size)).astype(np.float32) if mean_actions else None,
        rewards=rng.random(steps),
        values=rng.random(steps),
        advantages=rng.standard_normal(steps),
        early_termination=bool(seed % 2),
        episode_return=1.0,
        norm_return=0.5,
        norm_length=1.0,
        cameras=images if cameras else {},
    )


@pytest.fixture
def record(tmp_path: Path):
    """Return a function that writes a dataset and returns its folder."""

    def write(
        name: str = "dataset", *, cameras: bool = False, mean_actions: bool = True, clips=SNIPPETS, steps: int = 3
    ) -> Path:
        seed = 0
        for clip, snippets in clips.items():
            with RolloutWriter(tmp_path / name / f"{clip}.hdf5", LAYOUT, snippets, {"seed": 3}) as writer:
                for snippet in snippets:
                    for slot in range(LAYOUT.episodes):
                        kinds = {"cameras": cameras, "mean_actions": mean_actions}
                        writer.add(snippet, slot, _record(seed, steps=steps + seed % 4, **kinds))
                        seed += 1
        return tmp_path / name

    return write


@pytest.fixture(params=["recorded", "published", "published_cameras"])
def dataset(request: pytest.FixtureRequest, record) -> Path:
    """A dataset of our own and, where they exist, the published ones."""
    if request.param == "recorded":
        return record(cameras=True)
    names = {"published": "dataset", "published_cameras": "dataset_cameras"}
    return request.getfixturevalue("test_data") / "published" / names[request.param]


@pytest.fixture
def episodes_of():
    """Return a function that gives the episodes of a dataset, readable until the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda folder: iter(stack.enter_context(read_rollouts(folder)))
