"""Small policies of every model, and batches for them to imitate."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mocapact_cli.core.policies.distilled import DistilledPolicy, PolicyConfig
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.hierarchical import HierarchicalConfig
from mocapact_cli.core.policies.mcp import McpConfig
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy

BODY = ("walker/world_zaxis", "walker/sensors_gyro")
SEEN = (*BODY, "walker/body_height", "walker/reference_rel_root_pos_local")
"""13 columns with the two reference steps below, 6 of them the body's."""
_COMMON: dict[str, Any] = {"ref_steps": (1, 2), "act_size": 5}
_VIEWS: dict[str, Any] = {"encoder_observables": SEEN, "decoder_observables": BODY, "embed_size": 4}
CONFIGS: dict[str, PolicyConfig] = {
    "mlp": MlpConfig(**_COMMON, observables=SEEN, layers=(16, 12)),
    "hierarchical": HierarchicalConfig(**_COMMON, **_VIEWS, encoder_layers=(16,), decoder_layers=(16, 12)),
    "npmp": NpmpConfig(
        **_COMMON, **_VIEWS, encoder_layers=(16, 12), decoder_layers=(16,), seq_steps=6, embedding_correlation=0.5
    ),
    "mcp": McpConfig(
        **_COMMON,
        **_VIEWS,
        encoder_layers=(16,),
        n_primitives=3,
        gating_layers=(8,),
        shared_layers=(12, 10),
        primitive_layers=(8,),
        seq_steps=6,
    ),
    "gpt": GptConfig(**_COMMON, observables=BODY, block_size=6, n_layer=2, n_head=2, n_embd=16),
}
RECURRENT = ("npmp", "mcp", "gpt")


def make(model: str, seed: int = 0, **changes: Any) -> DistilledPolicy:
    """A small policy with statistics of its own."""
    policy = build_policy(replace(CONFIGS[model], **changes), seed=seed)
    rng = np.random.default_rng(seed)
    policy.set_statistics(rng.standard_normal(policy.obs_size), rng.random(policy.obs_size) + 0.5)
    return policy


def make_batch(policy: DistilledPolicy, size: int = 8, seed: int = 0) -> SimpleNamespace:
    """Samples whose actions follow from the observations."""
    generator = torch.Generator().manual_seed(seed)
    shape = (size, policy.window) if policy.window > 1 else (size,)
    observations = torch.randn(*shape, policy.obs_size, generator=generator)
    mixing = torch.randn(policy.obs_size, policy.config.act_size, generator=generator)
    return SimpleNamespace(
        observations=observations,
        actions=(0.2 * observations @ mixing).tanh(),
        weights=torch.rand(shape, generator=generator) + 0.5,
        lengths=torch.full((size,), policy.window),
    )


@pytest.fixture(params=sorted(CONFIGS))
def policy(request: pytest.FixtureRequest) -> DistilledPolicy:
    return make(request.param)
