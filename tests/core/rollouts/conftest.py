"""Experts with random networks for built-in clips, and their folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

SNIPPETS = (Snippet("demo_reach", 0, 40), Snippet("demo_reach", 20, 70), Snippet("demo_squat", 0, 45))
SETTINGS = {"gamma": 0.9, "gae_lambda": 0.8}


@pytest.fixture(scope="session")
def experts(tmp_path_factory: pytest.TempPathFactory):
    """Three experts of two clips."""
    root: Path = tmp_path_factory.mktemp("experts")
    for seed, snippet in enumerate(SNIPPETS):
        size = ObservableLayout(TIME_INDEX, (0,)).size
        policy = ExpertPolicy.fresh(TIME_INDEX, size, layers=(16, 16), seed=seed)
        write_model(root / str(snippet) / RSI_MODEL, policy, SETTINGS)
        write_clip_info(root / str(snippet), snippet, TIME_INDEX, ref_steps=[0])
    return find_experts(root)


@pytest.fixture(scope="session")
def pairs():
    """(clip, snippet) of the experts."""
    return [(demo(snippet.clip_id), snippet) for snippet in SNIPPETS]
