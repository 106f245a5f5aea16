from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.policies.columns import column_sizes
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.transfer import TransferPolicy
from mocapact_cli.core.policies.zoo import build_policy

SEEN = ("walker/body_height", "walker/target", "walker/sensors_gyro")
OBSERVATIONS = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)


def low_level(decoder: tuple[str, ...] = ("walker/sensors_gyro",), size: int = 4) -> LowLevelPolicy:
    config = NpmpConfig(
        ref_steps=(1,), act_size=5, encoder_observables=decoder, decoder_observables=decoder, embed_size=size,
        encoder_layers=(8,), decoder_layers=(8,),
    )  # fmt: skip
    return LowLevelPolicy(build_policy(config, seed=1).eval(), max_embed=0.5)


def high_level() -> ExpertPolicy:
    return ExpertPolicy.fresh(SEEN, 7, layers=(8,), act_size=4, std=2.0)


def test_the_low_level_policy_does_what_the_high_level_says() -> None:
    above, below = high_level(), low_level()
    policy = TransferPolicy(above, below)
    embeddings = np.clip(above.evaluate(OBSERVATIONS)[0], -0.5, 0.5)
    np.testing.assert_array_equal(policy.embeddings(OBSERVATIONS), embeddings)
    expected = below.act({"walker/sensors_gyro": OBSERVATIONS[:, 4:]}, embeddings)
    np.testing.assert_array_equal(policy.predict(OBSERVATIONS)[0], expected)
    named = {SEEN[0]: OBSERVATIONS[:, :1], SEEN[1]: OBSERVATIONS[:, 1:4], SEEN[2]: OBSERVATIONS[:, 4:]}
    np.testing.assert_array_equal(policy.predict(named)[0], expected)
    np.testing.assert_array_equal(policy.values(named), above.values(OBSERVATIONS))
    assert np.abs(policy.predict(OBSERVATIONS, deterministic=False)[0] - expected).max() > 0


def test_policies_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="gives 4 numbers, its low-level policy takes 6"):
        TransferPolicy(high_level(), low_level(size=6))
    with pytest.raises(UsageError, match="needs walker/world_zaxis"):
        TransferPolicy(high_level(), low_level(("walker/world_zaxis",)))


def test_a_tasks_own_observable_has_the_columns_that_the_others_leave() -> None:
    assert column_sizes(SEEN, (), 7) == [1, 3, 3]
    assert column_sizes(("walker/reference_rel_root_quat", "walker/body_height"), (1, 2), 9) == [8, 1]
    for names, total in ((SEEN, 3), (SEEN[::2], 5), (("a", "b"), 5)):
        with pytest.raises(InvalidInputError, match="columns at its reference steps"):
            column_sizes(names, (), total)
