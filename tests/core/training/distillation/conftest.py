"""A small dataset that something can be learned from: actions follow from observations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, ObservableLayout

STEPS, EPISODES = 35, 4


def layout(ref_steps=(1, 2, 3, 4, 5)) -> RolloutLayout:
    sizes = {
        name: columns.stop - columns.start for name, columns in ObservableLayout(ALL_PROPRIOS, ref_steps).slices.items()
    }
    return RolloutLayout(sizes, ref_steps, EPISODES // 2, EPISODES // 2)


def write(folder: Path, snippets=("demo_squat-0-40", "demo_reach-0-40"), ref_steps=(1, 2, 3, 4, 5)) -> Path:
    rng, shape = np.random.default_rng(0), layout(ref_steps)
    joints = ObservableLayout(ALL_PROPRIOS, ref_steps).slices["walker/joints_pos"]
    for snippet in snippets:
        with RolloutWriter(folder / f"{snippet.split('-')[0]}.hdf5", shape, [snippet]) as writer:
            for slot in range(EPISODES):
                seen = rng.standard_normal((STEPS + 1, shape.obs_size)).astype(np.float32)
                actions = np.tanh(seen[:-1, joints])
                record = EpisodeRecord(
                    observations=seen,
                    actions=actions,
                    mean_actions=actions,
                    rewards=rng.random(STEPS),
                    values=rng.random(STEPS).astype(np.float32),
                    advantages=rng.standard_normal(STEPS),
                    early_termination=False,
                    episode_return=20.0,
                    norm_return=0.7 if "squat" in snippet else 0.3,
                    norm_length=1.0,
                )
                writer.add(snippet, slot, record)
    write_metrics(folder)
    return folder


@pytest.fixture(scope="session")
def rollouts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(write(tmp_path_factory.mktemp("rollouts")).glob("*.hdf5"))


@pytest.fixture
def write_rollouts():
    return write
