"""Starting from the PD controller: imitate the actions that hold the next reference pose.

The walker's actuators are position servos, so the reference itself says what to aim at, and inverse dynamics how far
beyond it gravity asks for. That controller falls after a second or two; but a policy that begins as its copy has little
left to explore but balance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.progress import Progress
from mocapact_cli.core.rollouts.controllers import PoseActor
from mocapact_cli.core.training.expert.privileged import PrivilegedPolicy
from mocapact_cli.core.training.ppo.model import observation_statistics
from mocapact_cli.core.walker.model import FloatArray

Float32Array = NDArray[np.float32]

STEPS_PER_ENV = 160
"""Control steps that the controller acts in each environment."""
FIT_STEPS = 600
"""Gradient steps of the imitation."""
_BATCH = 512
_STEP_SIZE = 1e-3


@dataclass(frozen=True)
class Demonstration:
    """What the controller did: T steps of N environments, flattened.

    Attributes:
        observations: (T * N, P).
        actions: (T * N, 56) the controller's, without noise.
        returns: (T * N,) discounted rewards to the end of the episode or of the recording.
    """

    observations: Float32Array
    actions: Float32Array
    returns: FloatArray


def demonstrate(batch: TrackingBatch, *, noise: float, gamma: float, seed: int) -> Demonstration:
    """Let the controller act, disturbed by Gaussian noise as the policy's own actions will be."""
    rng = np.random.default_rng(seed)
    nobody = np.full(batch.num_envs, -1)
    observation, rows, controller = batch.reset(), [], PoseActor(batch, against_gravity=True)
    for _ in range(STEPS_PER_ENV):
        wanted = controller.means(observation, nobody)
        result = batch.step(np.clip(wanted + noise * rng.standard_normal(wanted.shape), -1.0, 1.0))
        rows.append((observation, wanted, result.rewards, result.terminated | result.truncated))
        observation = result.observations
    observations, actions, rewards, dones = (np.stack(parts) for parts in zip(*rows, strict=True))
    returns = discounted_returns(rewards, dones, gamma)
    return Demonstration(_flat(observations), _flat(actions), returns.reshape(-1))


def discounted_returns(rewards: FloatArray, dones: NDArray[np.bool_], gamma: float) -> FloatArray:
    """(T, N) discounted sums of rewards (T, N) up to the end of each episode or of the recording."""
    returns, ahead = np.zeros_like(rewards), np.zeros(rewards.shape[1])
    for step in reversed(range(len(rewards))):
        ahead = rewards[step] + gamma * ahead * ~dones[step]
        returns[step] = ahead
    return returns


def imitate(model: PPO, env: VecNormalize, shown: Demonstration, progress: Progress) -> float:
    """Fit the policy to the controller's actions and the value function to its returns.

    The normalizer takes its statistics from the demonstration first.

    Returns:
        The root mean square error of the actions.
    """
    observation_statistics(env).update(shown.observations)
    env.ret_rms.update(shown.returns)
    scale = float(np.sqrt(env.ret_rms.var + env.epsilon))
    inputs = torch.as_tensor(env.normalize_obs(shown.observations), dtype=torch.float32, device=model.device)
    actions = torch.as_tensor(shown.actions, device=model.device)
    values = torch.as_tensor(shown.returns / scale, dtype=torch.float32, device=model.device)
    optimizer = torch.optim.Adam(model.policy.parameters(), lr=_STEP_SIZE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, FIT_STEPS)
    generator = torch.Generator().manual_seed(model.seed or 0)
    loss = torch.zeros(())
    with progress.task("Imitating the PD controller", total=FIT_STEPS, unit="steps") as task:
        for _ in range(FIT_STEPS):
            chosen = torch.randint(len(inputs), (_BATCH,), generator=generator).to(model.device)
            loss = _imitation_step(model, optimizer, inputs[chosen], actions[chosen], values[chosen])
            schedule.step()
            task.advance()
    return float(loss.sqrt())


def _imitation_step(
    model: PPO, optimizer: torch.optim.Optimizer, inputs: torch.Tensor, actions: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    policy = model.policy
    policy_latent, value_latent = policy.mlp_extractor(inputs)
    action_loss = torch.nn.functional.mse_loss(policy.action_net(policy_latent), actions)
    value_loss = torch.nn.functional.mse_loss(policy.value_net(value_latent)[:, 0], values)
    total = action_loss
    if isinstance(policy, PrivilegedPolicy):
        value_loss = value_loss + torch.nn.functional.mse_loss(policy.public_values(inputs)[:, 0], values)
        if policy.teacher:
            total = total + torch.nn.functional.mse_loss(policy.expert_means(inputs), actions)
    optimizer.zero_grad()
    torch.autograd.backward(total + 0.1 * value_loss)
    torch.nn.utils.clip_grad_norm_(model.policy.parameters(), 1.0)
    optimizer.step()
    return action_loss.detach()


def _flat(values: NDArray[np.float32]) -> Float32Array:
    return np.ascontiguousarray(values.reshape(-1, values.shape[-1]))
