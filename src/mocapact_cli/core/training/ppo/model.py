"""Arguments of Stable-Baselines3's PPO, and the statistics of its environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from mocapact_cli.core.policies.expert import Normalizer
from mocapact_cli.core.training.ppo.settings import PpoSettings


def ppo_arguments(config: PpoSettings, std: float, step_size: Callable[[float], float]) -> dict[str, Any]:
    """Arguments of `PPO` beside the policy and the environments.

    Args:
        config: The settings.
        std: Standard deviation of the actions at first.
        step_size: Of Adam, given the share of training that is left.
    """
    return {
        "learning_rate": step_size,
        "n_steps": config.steps_per_update // config.num_envs,
        "batch_size": config.batch_size,
        "n_epochs": config.n_epochs,
        "clip_range": config.clip_range,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "max_grad_norm": config.max_grad_norm,
        "vf_coef": config.vf_coef,
        "ent_coef": 0.0,
        "seed": config.seed,
        "device": config.device,
        "policy_kwargs": {
            "net_arch": {"pi": list(config.layers), "vf": list(config.layers)},
            "activation_fn": getattr(torch.nn, config.activation),
            "log_std_init": float(np.log(std)),
            # Stable-Baselines3's epsilon; fused, because the usual Adam takes a tenth of the time of large networks.
            "optimizer_kwargs": {"eps": 1e-5, "fused": True},
        },
    }


def mean_actions(policy: ActorCriticPolicy, observations: Tensor) -> Tensor:
    """Means (B, A) of the actor's actions for observations (B, P)."""
    means: Tensor = policy.action_net(policy.mlp_extractor.forward_actor(observations))
    return means


def observation_statistics(env: VecNormalize) -> RunningMeanStd:
    """The running statistics of an environment's flat observations."""
    return cast("RunningMeanStd", env.obs_rms)


def normalizer_of(env: VecNormalize, columns: int) -> Normalizer:
    """The statistics of a `VecNormalize`, of its first columns."""
    seen = observation_statistics(env)
    return Normalizer(
        mean=seen.mean[:columns].copy(),
        var=seen.var[:columns].copy(),
        count=float(seen.count),
        return_mean=float(env.ret_rms.mean),
        return_var=float(env.ret_rms.var),
        return_count=float(env.ret_rms.count),
        clip_obs=env.clip_obs,
        clip_reward=env.clip_reward,
        epsilon=env.epsilon,
        gamma=env.gamma,
    )
