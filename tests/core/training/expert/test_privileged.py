from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mocapact_cli.core.policies.expert import ExpertNetwork
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.tasks.balance import BALANCE, BalanceTask
from mocapact_cli.core.training.expert.model import build_env, build_model, training_observables
from mocapact_cli.core.training.expert.privileged import PRIVILEGED, PrivilegedPolicy
from mocapact_cli.core.training.overlap import OverlappedPPO

PUBLIC = ObservableLayout(TIME_INDEX, (0,)).size
ALL = ObservableLayout((*TIME_INDEX, *PRIVILEGED, BALANCE), (0,), BalanceTask.own_observables).size


@pytest.fixture
def build(trainer):
    """Builds a learner with the trainer's settings, changed."""
    opened = []

    def built(**changes: object):
        config = replace(trainer.config, **changes)
        env = build_env(trainer.batch(config), config)
        opened.append(env)
        return build_model(env, config, lambda _: 1e-3)

    yield built
    for env in opened:
        env.close()


def observations(columns: int = ALL) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(0).standard_normal((7, columns)), dtype=torch.float32)


def random_expert(layers: tuple[int, ...]) -> ExpertNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(9)
        return ExpertNetwork(PUBLIC, 56, layers, layers, activation="ELU")


def test_the_public_columns_come_first(trainer) -> None:
    assert training_observables(trainer.config, TIME_INDEX) == (*TIME_INDEX, *PRIVILEGED, BALANCE)
    assert training_observables(replace(trainer.config, balance=False), TIME_INDEX) == TIME_INDEX + PRIVILEGED
    assert training_observables(replace(trainer.config, privileged_critic=False), TIME_INDEX) == TIME_INDEX
    assert not set(PRIVILEGED) & set(TIME_INDEX)


def means(policy: PrivilegedPolicy, seen: torch.Tensor) -> torch.Tensor:
    return policy.get_distribution(seen).distribution.mean.detach()


def test_only_the_critic_of_training_sees_the_rest(build) -> None:
    policy = build().policy
    policy.action_net.weight.data.normal_()
    seen, other = observations(), observations()
    other[:, PUBLIC:] += 1.0
    assert means(policy, seen).std() > 0.0
    assert torch.equal(means(policy, seen), means(policy, other))
    assert torch.equal(policy.public_values(seen), policy.public_values(other))
    assert (policy.predict_values(seen) - policy.predict_values(other)).abs().min() > 0.0


def test_each_parameter_learns_with_one_of_the_optimizers(build) -> None:
    policy = build(critic_learning_rate=7e-4).policy
    (actor,), (critic,) = policy.optimizer.param_groups, policy.critic_optimizer.param_groups
    assert (actor["lr"], critic["lr"], critic["eps"]) == (1e-3, 7e-4, 1e-5)
    assert {id(value) for value in actor["params"] + critic["params"]} == {id(value) for value in policy.parameters()}
    assert len(actor["params"]) + len(critic["params"]) == len(list(policy.parameters()))


def test_a_teacher_sees_the_rest_and_its_pupil_does_not(build) -> None:
    policy = build(teacher=True).policy
    for layer in (policy.action_net, policy.pupil[1]):
        layer.weight.data.normal_()
    seen, other = observations(), observations()
    other[:, PUBLIC:] += 1.0
    assert (means(policy, seen) - means(policy, other)).abs().max() > 0.0
    assert torch.equal(policy.expert_means(seen), policy.expert_means(other))
    assert policy.expert_means(seen).std() > 0.0
    assert torch.equal(policy.public_values(seen), policy.public_values(other))


def test_without_a_teacher_the_actor_is_the_expert(build) -> None:
    policy = build().policy
    policy.action_net.weight.data.normal_()
    assert policy.pupil is None
    assert torch.equal(policy.expert_means(observations()), means(policy, observations()))


def test_the_pupil_learns_along(build) -> None:
    model = build(teacher=True, steps_per_update=256)
    model.learn(256)
    policy, seen = model.policy, torch.as_tensor(model.rollout_buffer.observations.reshape(256, -1))
    policy.action_net.weight.data.normal_(std=0.1)
    wanted = means(policy, seen)

    def distance() -> float:
        return float((policy.expert_means(seen) - wanted).square().mean().detach())

    before, distances = {name: value.clone() for name, value in policy.state_dict().items()}, [distance()]
    for _ in range(3):
        for _ in range(10):
            model._teach_pupil(policy.pupil)
        distances.append(distance())
        model.forget_pupil_gradients()
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.5 * distances[0]
    moved = [name for name, value in policy.state_dict().items() if not torch.equal(value, before[name])]
    assert moved == [name for name in before if name.startswith("pupil.")]


@pytest.mark.parametrize("teacher", [False, True])
@pytest.mark.parametrize("overlap", [False, True])
def test_learning_moves_all_but_the_standard_deviation(build, overlap: bool, teacher: bool) -> None:
    model = build(overlap=overlap, teacher=teacher)
    assert isinstance(model, OverlappedPPO) is overlap
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    model.learn(256)
    still = [name for name, value in model.policy.state_dict().items() if torch.equal(value, before[name])]
    assert still == ["log_std"]


def test_it_learns_what_actions_and_what_states_are_worth(build) -> None:
    """On invented samples: in one half of the states more of action 5 is good, in the other half less of it."""
    model = build(n_epochs=40, steps_per_update=256, batch_size=256, critic_learning_rate=3e-3)
    model.learn(256)
    buffer, policy = model.rollout_buffer, model.policy
    rng = np.random.default_rng(1)
    flat = torch.as_tensor(rng.standard_normal((256, ALL)), dtype=torch.float32)
    signs, came = torch.sign(flat[:, 0]), flat[:, PUBLIC]
    flat[:, 0] *= 3.0
    before = means(policy, flat)
    noise = 0.1 * torch.as_tensor(rng.standard_normal(before.shape), dtype=torch.float32)
    with torch.no_grad():
        chances = policy.get_distribution(flat).log_prob(before + noise)
    invented = {"observations": flat, "actions": before + noise, "log_probs": chances, "returns": came}
    for name, values in (invented | {"advantages": signs * noise[:, 5]}).items():
        setattr(buffer, name, values.numpy().reshape(getattr(buffer, name).shape))
    for _ in range(3):
        model.train()
    moved = means(policy, flat)[:, 5] - before[:, 5]
    assert (torch.sign(moved) == signs).float().mean() > 0.7
    # The returns are a column that only one of the critics sees.
    error = torch.nn.functional.mse_loss
    with torch.no_grad():
        assert error(policy.predict_values(flat)[:, 0], came) < 0.5 * came.var()
        assert error(policy.public_values(flat)[:, 0], came) > 0.5 * came.var()


@pytest.mark.parametrize("teacher", [False, True])
@pytest.mark.parametrize("layers", [(12, 9), ()])
def test_it_becomes_an_expert_and_gives_it_back(build, layers: tuple[int, ...], teacher: bool) -> None:
    policy, expert = build(layers=layers, teacher=teacher).policy, random_expert(layers)
    policy.adopt(expert.state_dict())
    seen = observations()
    for name, value in expert.state_dict().items():
        torch.testing.assert_close(policy.expert_weights()[name], value, rtol=0.0, atol=0.0)
    assert policy.expert_weights().keys() == expert.state_dict().keys()
    with torch.no_grad():
        for acting in (policy.get_distribution(seen).distribution.mean, policy.expert_means(seen)):
            torch.testing.assert_close(acting, expert.mean_actions(seen[:, :PUBLIC]))
        for values in (policy.predict_values(seen), policy.public_values(seen)):
            torch.testing.assert_close(values[:, 0], expert.values(seen[:, :PUBLIC]))


@pytest.mark.parametrize("teacher", [False, True])
def test_a_copy_has_the_same_sizes(build, teacher: bool) -> None:
    """As the overlapping learner makes one to act with."""
    policy = build(teacher=teacher).policy
    copy = PrivilegedPolicy(**policy._get_constructor_parameters())
    copy.load_state_dict(policy.state_dict())
    assert torch.equal(copy.predict_values(observations()), policy.predict_values(observations()))
