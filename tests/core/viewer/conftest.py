"""Experts with random networks for built-in clips, and what has been recorded of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.walker.model import get_walker

SNIPPETS = (Snippet("demo_reach", 0, 40), Snippet("demo_squat", 5, 45))


@pytest.fixture(scope="session")
def walker():
    return get_walker()


@pytest.fixture(scope="session")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two experts."""
    root: Path = tmp_path_factory.mktemp("experts")
    policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16, 16))
    for snippet in SNIPPETS:
        write_model(root / str(snippet) / RSI_MODEL, policy, {"gamma": 0.9})
        write_clip_info(root / str(snippet), snippet, TIME_INDEX, ref_steps=[0])
    return root


@pytest.fixture(scope="session")
def recorded(experts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of both, with an episode from the start without noise and one from a random step each."""
    folder = tmp_path_factory.mktemp("recorded") / "dataset"
    config = RolloutConfig(n_start_rollouts=1, n_rsi_rollouts=1, min_steps=10, num_envs=4, act_noise=0.0)
    record_rollouts(find_experts(experts), open_library(), folder, config)
    return folder
