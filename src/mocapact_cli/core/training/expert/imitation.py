"""Teaching an expert what a teacher does who sees more.

The expert acts, so that it learns what to do where its own doings lead, and at every step the teacher says what it
would have done: DAgger (Ross et al., 2011), as for policies that do not see what their teacher does (Chen et al.,
2020). Drift that the expert cannot feel it cannot correct, but that costs little: standing and turning for five
seconds, the copy lasts nearly as long as the teacher.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from mocapact_cli.core.policies.threads import torch_threads
from mocapact_cli.core.progress import Progress
from mocapact_cli.core.training.expert.privileged import PrivilegedPolicy
from mocapact_cli.core.training.ppo.model import mean_actions

STEPS_PER_ROUND = 32
"""Control steps that the expert acts in each environment between two fits."""
FITS_PER_ROUND = 64
"""Gradient steps after each round, on the samples of all rounds so far."""
_BATCH = 1024
_STEP_SIZE, _LAST_STEP_SIZE = 1e-3, 1e-4


def imitate_teacher(model: PPO, env: VecNormalize, steps: int, threads: int, progress: Progress) -> int:
    """Let the expert of a teacher act and learn to do what the teacher would.

    The environments are left in the middle of their episodes; the statistics of their observations stay as they are.

    Args:
        model: With a `PrivilegedPolicy` that has a pupil.
        env: What it acts in.
        steps: Control steps of all environments together, at least; each takes equally many.
        threads: PyTorch's while it fits.
        progress: Told of every round.

    Returns:
        The control steps taken.

    Raises:
        ValueError: There is no teacher.
    """
    policy = cast("PrivilegedPolicy", model.policy)
    if policy.pupil is None:
        raise ValueError("A policy without a teacher has nobody to imitate.")
    each = -(-steps // env.num_envs)
    rounds = [min(STEPS_PER_ROUND, each - begun) for begun in range(0, each, STEPS_PER_ROUND)]
    optimizer = torch.optim.Adam(policy.pupil.parameters(), lr=_STEP_SIZE, fused=True)
    decay = (_LAST_STEP_SIZE / _STEP_SIZE) ** (1.0 / max(1, len(rounds) - 1))
    observed, wanted = [], []
    with progress.task("Imitating the teacher", total=len(rounds), unit="rounds") as task, _fixed_statistics(env):
        seen = cast("NDArray[np.float32]", env.reset())
        for length in rounds:
            with torch_threads(1):
                for _ in range(length):
                    seen, inputs, means = _step(model, policy, env, seen)
                    observed.append(inputs[:, : policy.public])
                    wanted.append(means)
            with torch_threads(threads):
                _fit(policy, optimizer, torch.cat(observed), torch.cat(wanted))
            for group in optimizer.param_groups:
                group["lr"] *= decay
            task.advance()
    return each * env.num_envs


@contextmanager
def _fixed_statistics(env: VecNormalize) -> Iterator[None]:
    training, env.training = env.training, False
    try:
        yield
    finally:
        env.training = training


@torch.no_grad()
def _step(
    model: PPO, policy: PrivilegedPolicy, env: VecNormalize, seen: NDArray[np.float32]
) -> tuple[NDArray[np.float32], Tensor, Tensor]:
    """Act as the expert; returns the next observations, and the last ones with the teacher's mean actions."""
    inputs = torch.as_tensor(seen, device=model.device)
    wanted, means = mean_actions(policy, inputs), policy.expert_means(inputs)
    actions = means + policy.log_std.exp() * torch.randn_like(means)
    reached = env.step(actions.clamp(-1.0, 1.0).cpu().numpy())[0]
    return cast("NDArray[np.float32]", reached), inputs, wanted


def _fit(policy: PrivilegedPolicy, optimizer: torch.optim.Optimizer, inputs: Tensor, wanted: Tensor) -> None:
    for _ in range(FITS_PER_ROUND):
        chosen = torch.randint(len(inputs), (min(_BATCH, len(inputs)),)).to(inputs.device)
        loss = torch.nn.functional.mse_loss(policy.expert_means(inputs[chosen]), wanted[chosen])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
