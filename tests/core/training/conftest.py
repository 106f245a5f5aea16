"""Tiny training runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import TaskStarts
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.training.expert.config import ExpertConfig, preset
from mocapact_cli.core.training.expert.model import build_env, build_model, training_batch
from mocapact_cli.core.training.expert.train import ExpertResult, train_expert

TINY = replace(
    preset("fast"),
    total_timesteps=512,
    num_envs=8,
    threads=1,
    steps_per_update=128,
    batch_size=64,
    n_epochs=2,
    layers=(16,),
    teacher=False,
    warm_start="none",
    eval_every=256,
    n_rsi_episodes=4,
    n_start_episodes=2,
)
"""Four updates, with an evaluation at 0, 256 and 512 steps; nobody imitates anybody."""


class Trainer:
    """Trains on the first steps of a built-in clip."""

    config = TINY
    snippet = Snippet("demo_reach", 0, 30)

    @property
    def clip(self) -> Clip:
        return open_library().get("demo_reach")

    def batch(self, config: ExpertConfig) -> TrackingBatch:
        """The environments in which these settings train, with starts drawn alike."""
        return training_batch(self.clip, self.snippet, config, TIME_INDEX, TaskStarts())

    def __call__(self, root: Path, *, resume: bool = False, force: bool = False, **changes: object) -> ExpertResult:
        config: ExpertConfig = replace(self.config, **changes)
        return train_expert(self.clip, self.snippet, config, root, resume=resume, force=force)


@pytest.fixture(scope="module")
def trainer():
    """Trains on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Trainer()
    torch.set_num_threads(threads)


@pytest.fixture
def build(trainer):
    """Builds the learner of `TINY`, on a short snippet that some episodes reach the end of."""
    batches = []

    def built(**settings: Any) -> Any:
        config = replace(TINY, seed=3, **settings)
        batch = trainer.batch(config)
        batches.append(batch)
        return build_model(build_env(batch, config), config, lambda _: 1e-3)

    yield built
    for batch in batches:
        batch.close()
