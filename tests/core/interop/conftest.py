"""A small expert in a folder of its own, and small policies of every model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.policies.expert import ExpertPolicy, Normalizer
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.hierarchical import HierarchicalConfig
from mocapact_cli.core.policies.mcp import McpConfig
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy

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


SEEN, BODY = ("walker/world_zaxis", "walker/sensors_gyro", "walker/body_height"), ("walker/sensors_gyro",)
_COMMON: dict[str, Any] = {"ref_steps": (1,), "act_size": 5}
_VIEWS: dict[str, Any] = {"encoder_observables": SEEN, "decoder_observables": BODY, "embed_size": 4}
CONFIGS = {
    "mlp": MlpConfig(**_COMMON, observables=SEEN, layers=(8,)),
    "hierarchical": HierarchicalConfig(**_COMMON, **_VIEWS, encoder_layers=(8,), decoder_layers=(8,)),
    "npmp": NpmpConfig(**_COMMON, **_VIEWS, encoder_layers=(8,), decoder_layers=(8,)),
    "mcp": McpConfig(
        **_COMMON, **_VIEWS, encoder_layers=(8,), n_primitives=2, gating_layers=(8,), shared_layers=(8,),
        primitive_layers=(8,),
    ),
    "gpt": GptConfig(**_COMMON, observables=SEEN, block_size=4, n_layer=1, n_head=2, n_embd=8),
}  # fmt: skip


@pytest.fixture
def tiny():
    """Return a function that builds a tiny policy of a model, over 7 columns, with statistics of its own."""

    def build(model: str, seed: int = 0) -> DistilledPolicy:
        policy = build_policy(CONFIGS[model], seed=seed)
        policy.set_statistics(np.arange(7.0), np.arange(7.0) + 1.0)
        return policy

    return build
