"""Building Stable-Baselines3's PPO for an expert, and turning it into the policy that is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.sb3 import TrackingVecEnv
from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy, Normalizer
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.overlap import OverlappedPPO


def build_env(batch: TrackingBatch, config: ExpertConfig) -> VecNormalize:
    """The batch as a ``VecEnv`` with normalized observations and rewards."""
    return VecNormalize(
        TrackingVecEnv(batch, bootstrap_at_end=config.bootstrap_at_end), gamma=config.gamma, clip_obs=10.0
    )


def build_model(env: VecNormalize, config: ExpertConfig, step_size: Callable[[float], float]) -> PPO:
    """PPO with the configured networks; the standard deviation of the actions stays as it is.

    Args:
        step_size: of Adam, given the share of training that is left.
    """
    learner = OverlappedPPO if config.overlap else PPO
    model = learner(
        "MlpPolicy",
        env,
        learning_rate=step_size,
        n_steps=config.steps_per_update // config.num_envs,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        clip_range=config.clip_range,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        max_grad_norm=config.max_grad_norm,
        vf_coef=config.vf_coef,
        ent_coef=0.0,
        seed=config.seed,
        device=config.device,
        policy_kwargs={
            "net_arch": {"pi": list(config.layers), "vf": list(config.layers)},
            "activation_fn": getattr(torch.nn, config.activation),
            "log_std_init": float(np.log(config.std)),
            # Stable-Baselines3's epsilon; fused, because the usual Adam takes a tenth of the time of large networks.
            "optimizer_kwargs": {"eps": 1e-5, "fused": True},
        },
    )
    model.policy.log_std.requires_grad_(False)
    return model


def observation_statistics(env: VecNormalize) -> RunningMeanStd:
    """The running statistics of an environment's flat observations."""
    return cast("RunningMeanStd", env.obs_rms)


def snapshot(model: PPO, env: VecNormalize, config: ExpertConfig, observables: tuple[str, ...]) -> ExpertPolicy:
    """A copy of the current policy with the current statistics; later training does not change it."""
    layers = list(config.layers)
    network = ExpertNetwork(len(observation_statistics(env).mean), 56, layers, layers, activation=config.activation)
    network.load_state_dict({name: value.detach().cpu().clone() for name, value in model.policy.state_dict().items()})
    return ExpertPolicy(network, normalizer_of(env), observables)


def normalizer_of(env: VecNormalize) -> Normalizer:
    """The statistics of a ``VecNormalize``."""
    seen = observation_statistics(env)
    return Normalizer(
        mean=seen.mean.copy(),
        var=seen.var.copy(),
        count=float(seen.count),
        return_mean=float(env.ret_rms.mean),
        return_var=float(env.ret_rms.var),
        return_count=float(env.ret_rms.count),
        clip_obs=env.clip_obs,
        clip_reward=env.clip_reward,
        epsilon=env.epsilon,
        gamma=env.gamma,
    )
