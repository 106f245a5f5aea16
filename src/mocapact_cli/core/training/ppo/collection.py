"""Collecting the steps that PPO learns from, with as little as possible between two steps of the physics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv

from mocapact_cli.core.training.ppo.model import mean_actions

Float32Array = NDArray[np.float32]
Infos = list[dict[str, Any]]

_ROWS_AT_ONCE = 8192


class Cut(NamedTuple):
    """An episode that was cut off at a step, not ended: its last observation is worth what could have followed."""

    step: int
    env: int
    observation: Float32Array


class DeferredValuesPPO(PPO):
    """PPO whose critic judges all collected steps at once, after the last of them.

    Between the steps only the actor works. What is learned from is the same as in Stable-Baselines3.
    """

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int
    ) -> bool:
        """Fill the buffer; false if the callback ended training before it was full."""
        del n_rollout_steps
        self.policy.set_training_mode(False)
        callback.on_rollout_start()

        def go_on(infos: Infos) -> bool:
            callback.update_locals({"infos": infos})
            return callback.on_step()

        cuts = take_steps(self, self.policy, env, rollout_buffer, go_on)
        if cuts is None:
            return False
        # From here on the physics leaves the processors to PyTorch.
        callback.on_rollout_end()
        judge_steps(self, self.policy, rollout_buffer, cuts)
        return True


@torch.no_grad()
def take_steps(
    model: PPO, policy: ActorCriticPolicy, env: VecEnv, buffer: RolloutBuffer, go_on: Callable[[Infos], bool]
) -> list[Cut] | None:
    """Fill a buffer with steps that nobody has judged yet.

    Args:
        model: Whose steps they are; it knows the last observations.
        policy: Acts; its observations are flat and its actions normally distributed.
        env: What it acts in.
        buffer: What is filled.
        go_on: Told of each step; false ends it.

    Returns:
        The episodes that were cut off meanwhile, or None if `go_on` said no.
    """
    bounds: Any = model.action_space
    log_std = policy.log_std.detach()
    std, constant = log_std.exp(), float(log_std.sum()) + 0.5 * math.log(2.0 * math.pi) * len(log_std)
    unknown = torch.zeros(env.num_envs)
    cuts: list[Cut] = []
    buffer.reset()
    for step in range(model.n_steps):
        observed = cast("Float32Array", model._last_obs)
        mean = mean_actions(policy, torch.as_tensor(observed, device=model.device))
        noise = torch.randn_like(mean)
        log_probs = -0.5 * noise.square().sum(dim=-1) - constant
        actions = (mean + std * noise).cpu().numpy()
        reached, rewards, dones, infos = env.step(np.clip(actions, bounds.low, bounds.high))
        model.num_timesteps += env.num_envs
        if not go_on(infos):
            return None
        model._update_info_buffer(infos, dones)
        cuts += _cut_off(step, dones, infos)
        starts: Any = model._last_episode_starts
        buffer.add(observed, actions, rewards, starts, unknown, log_probs)
        model._last_obs, model._last_episode_starts = cast("Float32Array", reached), dones
    return cuts


@torch.no_grad()
def judge_steps(model: PPO, policy: ActorCriticPolicy, buffer: RolloutBuffer, cuts: list[Cut]) -> None:
    """Add what the critic says of collected steps, and compute returns and advantages.

    Args:
        model: From `take_steps`.
        policy: Its critic judges.
        buffer: Full.
        cuts: The episodes that were cut off.
    """

    def values(observations: NDArray[Any]) -> Float32Array:
        rows = torch.as_tensor(np.asarray(observations, dtype=np.float32), device=model.device)
        parts = [policy.predict_values(part)[:, 0] for part in torch.split(rows, _ROWS_AT_ONCE)]
        return cast("Float32Array", torch.cat(parts).cpu().numpy())

    steps, envs = buffer.rewards.shape
    buffer.values[:] = values(buffer.observations.reshape(steps * envs, -1)).reshape(steps, envs)
    if cuts:
        worth = values(np.stack([cut.observation for cut in cuts]))
        for cut, value in zip(cuts, worth, strict=True):
            buffer.rewards[cut.step, cut.env] += model.gamma * value
    last = torch.as_tensor(values(cast("Float32Array", model._last_obs)))
    buffer.compute_returns_and_advantage(last_values=last, dones=cast("NDArray[np.bool_]", model._last_episode_starts))


def _cut_off(step: int, dones: NDArray[np.bool_], infos: Infos) -> Iterator[Cut]:
    for env in np.flatnonzero(dones).tolist():
        if infos[env].get("TimeLimit.truncated", False):
            yield Cut(step, env, infos[env]["terminal_observation"])
