"""A small expert in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy, Normalizer

OBSERVABLES = ("walker/joints_pos", "walker/time_in_clip")


def make_policy(seed: int = 0, activation: str = "Tanh") -> ExpertPolicy:
    """A 2-layer expert over 57 columns with statistics of its own."""
    fresh = ExpertPolicy.fresh(OBSERVABLES, 57, layers=(8, 6), activation=activation, seed=seed)
    rng = np.random.default_rng(seed)
    normalizer = Normalizer(rng.standard_normal(57), rng.random(57), count=123.0, return_var=6.25, gamma=0.97)
    return ExpertPolicy(fresh.network, normalizer, OBSERVABLES)


@pytest.fixture
def policy() -> ExpertPolicy:
    return make_policy()


@pytest.fixture
def expert(tmp_path: Path, policy: ExpertPolicy) -> Path:
    """The folder of an expert, `experts/walk-0-30/0`."""
    root = tmp_path / "experts" / "walk-0-30" / "0"
    write_model(root / RSI_MODEL, policy, {"gamma": 0.97, "gae_lambda": 0.9, "num_timesteps": 4096, "n_steps": 64})
    write_clip_info(root, Snippet("walk", 0, 30), policy.observables, ref_steps=[0])
    return root


@pytest.fixture
def observations() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((9, 57)).astype(np.float32)
