"""An expert with a random network for a built-in clip, and a browser to look at pages with."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Browser, find_browser

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

SNIPPETS = (Snippet("demo_reach", 0, 40), Snippet("demo_squat", 0, 45))


@pytest.fixture(scope="session")
def pairs():
    return [(demo(snippet.clip_id), snippet) for snippet in SNIPPETS]


@pytest.fixture(scope="session")
def policy() -> ExpertPolicy:
    return ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16, 16))


@pytest.fixture(scope="session")
def recorded(policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two snippets with two episodes from the start and two from random steps each."""
    root = tmp_path_factory.mktemp("experts")
    for snippet in SNIPPETS:
        write_model(root / str(snippet) / RSI_MODEL, policy, {"gamma": 0.9})
        write_clip_info(root / str(snippet), snippet, TIME_INDEX, ref_steps=[0])
    folder = tmp_path_factory.mktemp("recorded") / "dataset"
    config = RolloutConfig(n_start_rollouts=2, n_rsi_rollouts=2, min_steps=10, num_envs=4)
    record_rollouts(find_experts(root), open_library(), folder, config)
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory):
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium is installed")
    running = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield running
    running.close()
