from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.interop.policy_interface import (
    Port,
    initial_state,
    inputs,
    largest_difference,
    model_name,
    observable_sizes,
    outputs,
)
from mocapact_cli.core.policies.expert import ExpertPolicy, Normalizer


def test_ports_are_what_predict_takes_and_gives(tiny, policy: ExpertPolicy) -> None:
    gpt = tiny("gpt")
    assert inputs(gpt)[1:] == (Port("context", ("batch", 4, 7)), Port("fill", ("batch",), "int64"))
    assert outputs(gpt) == (
        Port("actions", ("batch", 5)), Port("next_context", ("batch", 4, 7)), Port("next_fill", ("batch",), "int64"),
    )  # fmt: skip
    assert inputs(policy) == (Port("observations", ("batch", 57)),)
    assert outputs(policy) == (Port("actions", ("batch", 56)),)
    assert (model_name(gpt), model_name(policy)) == ("gpt", "expert")
    assert [part.shape for part in initial_state(tiny("mcp"), 3)] == [(3, 4)]
    assert observable_sizes(policy) == [56, 1]


def test_observables_that_are_not_what_the_network_sees(policy: ExpertPolicy) -> None:
    wrong = ExpertPolicy(policy.network, policy.normalizer, policy.observables[:1])
    with pytest.raises(InvalidInputError, match="56 columns"):
        observable_sizes(wrong)


@pytest.mark.parametrize("model", ["mlp", "npmp", "gpt"])
def test_a_policy_acts_like_itself(tiny, model: str) -> None:
    policy = tiny(model)
    assert largest_difference(policy, policy.predict) == 0.0


def test_a_copy_without_memory_is_told(tiny) -> None:
    for model in ("npmp", "gpt"):
        policy = tiny(model)
        assert largest_difference(policy, lambda seen, _, policy=policy: policy.predict(seen, None)) > 1e-5


def test_a_context_that_never_moves_on_is_told(tiny) -> None:
    policy = tiny("gpt")

    def act(seen: Any, state: Any) -> Any:
        actions, following = policy.predict(seen, state)
        return actions, following._replace(fill=np.minimum(following.fill, policy.window - 1))

    assert largest_difference(policy, act) > 1e-5


def test_a_copy_that_does_not_limit_observations_is_told(policy: ExpertPolicy) -> None:
    limited = replace(policy.normalizer, clip_obs=10.0)
    copy = ExpertPolicy(policy.network, replace(limited, clip_obs=1e9), policy.observables)
    original = ExpertPolicy(policy.network, limited, policy.observables)
    assert largest_difference(original, copy.predict) > 1e-5


def test_what_is_not_a_number_is_no_small_difference(policy: ExpertPolicy) -> None:
    calls = []

    def act(seen: Any, state: Any) -> Any:
        calls.append(len(seen))
        actions, state = policy.predict(seen, state)
        return (actions * np.nan if len(calls) == 2 else actions), state

    assert math.isnan(largest_difference(policy, act))
    assert len(set(calls)) == 3


def test_every_column_is_tried_in_its_own_scale(policy: ExpertPolicy) -> None:
    seen: list[np.ndarray] = []
    mean, var = np.linspace(-9.0, 9.0, 57), np.logspace(-6, 4, 57)
    scaled = ExpertPolicy(policy.network, Normalizer(mean, var), policy.observables)
    largest_difference(scaled, lambda rows, _: (seen.append(rows), scaled.predict(rows))[1])
    columns = (np.concatenate(seen) - mean) / np.sqrt(var)
    assert np.abs(np.median(columns, axis=0)).max() < 1.0
    assert np.abs(columns).max() > 10.0
