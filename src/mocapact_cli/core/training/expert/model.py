"""Building Stable-Baselines3's PPO for an expert, and turning it into the policy that is saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.sb3 import TrackingVecEnv
from mocapact_cli.core.envs.starts import StartSampler
from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.tasks.balance import BALANCE, BalanceTask
from mocapact_cli.core.tasks.tracking import TrackingConfig, TrackingTask
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.privileged import PRIVILEGED, PrivilegedPolicy, PrivilegedPPO
from mocapact_cli.core.training.overlap import OverlappedPPO
from mocapact_cli.core.training.ppo.model import normalizer_of, observation_statistics, ppo_arguments
from mocapact_cli.core.training.ppo.side_by_side import SideBySidePPO
from mocapact_cli.core.walker.model import get_walker


class _OverlappedPrivilegedPPO(OverlappedPPO, PrivilegedPPO):
    """Both at once."""


_LEARNERS: dict[tuple[bool, bool], type[PPO]] = {
    (False, False): SideBySidePPO,
    (False, True): OverlappedPPO,
    (True, False): PrivilegedPPO,
    (True, True): _OverlappedPrivilegedPPO,
}
"""By whether the critic is privileged and whether steps overlap with learning."""


def training_observables(config: ExpertConfig, public: tuple[str, ...]) -> tuple[str, ...]:
    """What the environments of training give: what the expert sees, then what only training does."""
    if not config.privileged_critic:
        return public
    return public + PRIVILEGED + ((BALANCE,) if config.balance else ())


def training_batch(
    clip: Clip, snippet: Snippet, config: ExpertConfig, public: tuple[str, ...], starts: StartSampler
) -> TrackingBatch:
    """The environments of training on a snippet.

    Args:
        public: Observables of the expert.
        starts: Where episodes begin.
    """
    settings = TrackingConfig(
        min_steps=config.min_steps,
        termination_error_threshold=min(config.train_error_threshold, config.termination_error_threshold),
    )
    kind = BalanceTask if config.privileged_critic and config.balance else TrackingTask
    return TrackingBatch(
        kind([(clip, snippet)], settings),
        num_envs=config.num_envs,
        observables=training_observables(config, public),
        threads=config.threads,
        seed=config.seed,
        starts=starts,
        walker=get_walker().with_quick_contacts() if config.quick_contacts else None,
    )


def build_env(batch: TrackingBatch, config: ExpertConfig) -> VecNormalize:
    """The batch as a `VecEnv` with normalized observations and rewards."""
    return VecNormalize(
        TrackingVecEnv(batch, bootstrap_at_end=config.bootstrap_at_end), gamma=config.gamma, clip_obs=10.0
    )


def build_model(env: VecNormalize, config: ExpertConfig, step_size: Callable[[float], float]) -> PPO:
    """PPO with the configured networks; the standard deviation of the actions stays as it is.

    Args:
        env: Gives `training_observables`.
        step_size: Of Adam, given the share of training that is left.
    """
    policy: type[PrivilegedPolicy] | str = PrivilegedPolicy if config.privileged_critic else "MlpPolicy"
    arguments = ppo_arguments(config, config.std, step_size)
    arguments["policy_kwargs"] |= _privileged_options(env, config)
    model = _LEARNERS[config.privileged_critic, bool(config.overlap)](policy, env, **arguments)
    model.policy.log_std.requires_grad_(False)
    return model


def _privileged_options(env: VecNormalize, config: ExpertConfig) -> dict[str, Any]:
    if not config.privileged_critic:
        return {}
    hidden = ObservableLayout(training_observables(config, ()), (0,), BalanceTask.own_observables).size
    return {
        "public": len(observation_statistics(env).mean) - hidden,
        "critic_learning_rate": config.critic_learning_rate,
        "teacher": config.teacher,
    }


def snapshot(model: PPO, env: VecNormalize, config: ExpertConfig, observables: tuple[str, ...]) -> ExpertPolicy:
    """A copy of the current policy with the current statistics; later training does not change it."""
    layers = list(config.layers)
    policy = model.policy
    weights = policy.expert_weights() if isinstance(policy, PrivilegedPolicy) else policy.state_dict()
    normalizer = normalizer_of(env, ObservableLayout(observables, (0,)).size)
    network = ExpertNetwork(len(normalizer.mean), 56, layers, layers, activation=config.activation)
    network.load_state_dict({name: value.detach().cpu().clone() for name, value in weights.items()})
    return ExpertPolicy(network, normalizer, observables)
