from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.low_level import LowLevelPolicy

from .conftest import BODY, SEEN, make


@pytest.mark.parametrize("model", ["hierarchical", "npmp", "mcp"])
def test_it_acts_as_the_decoder_does_with_limited_embeddings(model: str) -> None:
    policy = make(model)
    low_level = LowLevelPolicy(policy)
    rng = np.random.default_rng(0)
    body, told = rng.standard_normal((5, 6)).astype(np.float32), 4.0 * rng.standard_normal((5, 4)).astype(np.float32)
    assert low_level.observables == BODY
    assert np.abs(told).max() > 3.0
    limited = np.clip(told, -3.0, 3.0)
    np.testing.assert_array_equal(low_level.act(body, told), policy.low_level(body, limited))
    unlimited = LowLevelPolicy(policy, max_embed=None).act(body, told)
    np.testing.assert_array_equal(unlimited, policy.low_level(body, told))
    assert np.abs(unlimited - low_level.act(body, told)).max() > 1e-4
    named = {"walker/world_zaxis": body[:, :3], "walker/sensors_gyro": body[:, 3:]}
    np.testing.assert_array_equal(low_level.act(named, limited), low_level.act(body, told))


@pytest.mark.parametrize("model", ["mlp", "gpt"])
def test_policies_without_an_embedding_are_refused(model: str) -> None:
    with pytest.raises(UsageError, match="has no embedding"):
        LowLevelPolicy(make(model))


def test_a_decoder_that_sees_the_reference_cannot_act_without_it() -> None:
    with pytest.raises(UsageError, match="walker/reference_rel_root_pos_local"):
        LowLevelPolicy(make("npmp", decoder_observables=SEEN))
