from __future__ import annotations

import numpy as np
import pytest
import torch

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.gpt import CachedContext, ContextState, GptPolicy

from .conftest import make


@pytest.fixture
def gpt() -> GptPolicy:
    policy = make("gpt")
    assert isinstance(policy, GptPolicy)
    return policy.eval()


def test_later_steps_do_not_change_earlier_actions(gpt: GptPolicy) -> None:
    windows = torch.randn(3, 6, gpt.obs_size, generator=torch.Generator().manual_seed(0))
    changed = windows.clone()
    changed[:, 4:] += 1.0
    before, after = gpt(windows), gpt(changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-4


def test_acting_step_by_step_is_seeing_the_last_window(gpt: GptPolicy) -> None:
    steps = np.random.default_rng(0).standard_normal((15, 2, gpt.obs_size)).astype(np.float32)
    state = None
    for step, seen in enumerate(steps):
        actions, state = gpt.predict(seen, state)
        window = torch.from_numpy(steps[max(0, step - 5) : step + 1]).transpose(0, 1)
        np.testing.assert_allclose(actions, gpt(window)[:, -1].detach().clamp(-1, 1), atol=1e-5)
        assert (state.fill == min(step + 1, 6)).all()


def test_environments_may_be_at_different_steps(gpt: GptPolicy) -> None:
    steps = np.random.default_rng(0).standard_normal((9, 2, gpt.obs_size)).astype(np.float32)
    state, alone = None, None
    for step, seen in enumerate(steps):
        if step == 4:
            state = gpt.reset_state(state, np.array([False, True]))
        actions, state = gpt.predict(seen, state)
        if step >= 4:
            expected, alone = gpt.predict(seen[1:], alone)
            np.testing.assert_allclose(actions[1:], expected, atol=1e-5)


def test_only_matrices_decay(gpt: GptPolicy) -> None:
    decayed, others = gpt.parameter_groups(0.1)
    assert decayed["weight_decay"] == 0.1
    assert others["weight_decay"] == 0.0
    names = {id(value): name for name, value in gpt.named_parameters()}
    assert all(names[id(value)].endswith("weight") and value.ndim == 2 for value in decayed["params"])
    assert sorted(names) == sorted(id(value) for value in decayed["params"] + others["params"])
    assert "gpt.pos_emb" in {names[id(value)] for value in others["params"]}


def test_windows_beyond_the_block_are_refused(gpt: GptPolicy) -> None:
    from .conftest import make_batch

    batch = make_batch(make("gpt", block_size=7))
    with pytest.raises(UsageError, match="up to 6 steps"):
        gpt.loss(batch)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="3 heads"):
        make("gpt", n_head=3)
    with pytest.raises(UsageError, match="Dropout"):
        make("gpt", attn_pdrop=1.5)


def test_a_cache_changes_nothing_but_the_work(gpt: GptPolicy) -> None:
    steps = np.random.default_rng(0).standard_normal((15, 5, gpt.obs_size)).astype(np.float32)
    cached = plain = None
    for step, seen in enumerate(steps):
        if step in {3, 9}:
            started = np.array([False, True, False, step == 9, True])
            cached, plain = gpt.reset_state(cached, started), gpt.reset_state(plain, started)
        # A plain tuple has no cache.
        expected, plain = gpt.predict(seen, ContextState(*(gpt.initial_state(5) if plain is None else plain)))
        actions, cached = gpt.predict(seen, cached)
        np.testing.assert_allclose(actions, expected, atol=1e-5)
        assert isinstance(cached, CachedContext)
        assert not isinstance(plain, CachedContext)
        np.testing.assert_array_equal(cached.fill, plain.fill)
        np.testing.assert_array_equal(cached.context, plain.context)


def test_a_state_may_be_gone_on_from_twice(gpt: GptPolicy) -> None:
    steps = np.random.default_rng(0).standard_normal((4, 3, gpt.obs_size)).astype(np.float32)
    _, shared = gpt.predict(steps[0])
    _, first = gpt.predict(steps[1], shared)
    expected, _ = gpt.predict(steps[2], first)
    gpt.predict(steps[3], shared)
    actions, _ = gpt.predict(steps[2], first)
    np.testing.assert_array_equal(actions, expected)


def test_a_rows_actions_do_not_depend_on_the_rows_beside_it(gpt: GptPolicy) -> None:
    steps = np.random.default_rng(0).standard_normal((9, 8, gpt.obs_size)).astype(np.float32)
    mixed = alone = None
    for step, seen in enumerate(steps):
        if step == 4:
            mixed = gpt.reset_state(mixed, np.arange(8) % 2 == 1)
        actions, mixed = gpt.predict(seen, mixed)
        expected, alone = gpt.predict(seen[::2], alone)
        np.testing.assert_array_equal(actions[::2], expected)


def test_noise_on_observations_is_for_training_alone() -> None:
    from .conftest import make_batch

    policy = make("gpt", obs_noise=0.5, embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0)
    batch = make_batch(policy)
    policy.train()
    torch.manual_seed(0)
    first, second = (policy.loss(batch)[0].detach() for _ in range(2))
    assert first != second
    policy.eval()
    assert policy.loss(batch)[0].detach() == policy.loss(batch)[0].detach()
    with pytest.raises(UsageError, match="deviation of -1"):
        make("gpt", obs_noise=-1.0)
