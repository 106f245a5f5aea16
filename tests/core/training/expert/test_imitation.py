from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.training.expert import imitation
from mocapact_cli.core.training.expert.imitation import imitate_teacher
from mocapact_cli.core.training.expert.model import build_env, build_model


@pytest.fixture
def build(trainer):
    """Builds a learner whose teacher moves the joints by what it sees, differently from its pupil."""
    opened = []

    def built(**changes: object):
        config = replace(trainer.config, **{"teacher": True, "layers": (32,)} | changes)
        env = build_env(trainer.batch(config), config)
        opened.append(env)
        torch.manual_seed(1)
        model = build_model(env, config, lambda _: 1e-3)
        model.policy.action_net.weight.data.normal_(std=0.1)
        env.reset()
        for _ in range(20):
            env.step(np.zeros((8, 56), dtype=np.float32))
        return model, env

    yield built
    for env in opened:
        env.close()


def distance(model, env) -> float:
    """Root mean square between the pupil and its teacher where the pupil leads."""
    policy, seen, found = model.policy, env.reset(), []
    env.training = False
    for _ in range(40):
        inputs = torch.as_tensor(seen)
        with torch.no_grad():
            own, wanted = policy.expert_means(inputs), policy.get_distribution(inputs).distribution.mean
        found.append((own - wanted).square().mean())
        seen = env.step(own.clamp(-1, 1).numpy())[0]
    env.training = True
    return float(torch.stack(found).mean().sqrt())


def test_the_pupil_comes_to_do_what_the_teacher_would(build) -> None:
    model, env = build()
    before = distance(model, env)
    assert imitate_teacher(model, env, 2048, 1, NullProgress()) == 2048
    assert distance(model, env) < 0.35 * before


def test_the_pupil_acts_and_the_teacher_does_not(build, monkeypatch: pytest.MonkeyPatch) -> None:
    model, env = build(std=1e-6)
    taken = []
    usual = type(env).step_async

    def step(self, actions: np.ndarray) -> None:
        with torch.no_grad():
            own = model.policy.expert_means(torch.as_tensor(seen[-1])).clamp(-1, 1).numpy()
        taken.append(np.abs(actions - own).max())
        usual(self, actions)

    seen = []
    usual_wait, usual_reset = type(env).step_wait, type(env).reset

    def wait(self):
        result = usual_wait(self)
        seen.append(result[0])
        return result

    def reset(self):
        seen.append(usual_reset(self))
        return seen[-1]

    for name, replacement in (("step_async", step), ("step_wait", wait), ("reset", reset)):
        monkeypatch.setattr(type(env), name, replacement)
    imitate_teacher(model, env, 8 * 40, 1, NullProgress())
    assert len(taken) == 40
    assert max(taken) < 1e-4


def test_nothing_but_the_pupil_changes(build) -> None:
    model, env = build()
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    mean, count = env.obs_rms.mean.copy(), env.obs_rms.count
    imitate_teacher(model, env, 100, 1, NullProgress())
    moved = [name for name, value in model.policy.state_dict().items() if not torch.equal(value, before[name])]
    assert moved == [name for name in before if name.startswith("pupil.")]
    np.testing.assert_array_equal(env.obs_rms.mean, mean)
    assert env.obs_rms.count == count
    assert env.training


@pytest.mark.parametrize(("steps", "taken", "rounds"), [(1, 8, 1), (256, 256, 1), (257, 264, 2), (600, 600, 3)])
def test_each_environment_takes_equally_many(
    build, monkeypatch: pytest.MonkeyPatch, steps: int, taken: int, rounds: int
) -> None:
    fits = []
    monkeypatch.setattr(imitation, "_fit", lambda policy, optimizer, inputs, wanted: fits.append(len(inputs)))
    model, env = build()
    assert imitate_teacher(model, env, steps, 1, NullProgress()) == taken
    assert len(fits) == rounds
    assert fits[-1] == taken


def test_there_must_be_a_teacher(build) -> None:
    model, env = build(teacher=False)
    with pytest.raises(ValueError, match="nobody to imitate"):
        imitate_teacher(model, env, 8, 1, NullProgress())
