"""Building Stable-Baselines3's PPO for a task, and turning it into the policy that is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.transfer import Decoder, TransferPolicy
from mocapact_cli.core.tasks.goal import GoalTask
from mocapact_cli.core.training.overlap import OverlappedPPO
from mocapact_cli.core.training.ppo.model import normalizer_of, ppo_arguments
from mocapact_cli.core.training.ppo.side_by_side import SideBySidePPO
from mocapact_cli.core.training.transfer.config import TransferConfig
from mocapact_cli.core.training.transfer.env import DecodedVecEnv
from mocapact_cli.core.walker.model import get_walker


def decoder_for(task: GoalTask, low_level: LowLevelPolicy | None) -> Decoder:
    """What a task's actions go through."""
    return Decoder(low_level, task.observables, task.own_observables)


def training_batch(task: GoalTask, config: TransferConfig, decoder: Decoder) -> TrackingBatch:
    """The environments of training on a task."""
    return TrackingBatch(
        task,
        num_envs=config.num_envs,
        observables=decoder.observables,
        threads=config.threads,
        seed=config.seed,
        walker=get_walker().with_quick_contacts() if config.quick_contacts else None,
    )


def build_env(batch: TrackingBatch, config: TransferConfig, decoder: Decoder) -> VecNormalize:
    """The batch as a `VecEnv` with normalized observations and rewards."""
    env = DecodedVecEnv(batch, decoder, bootstrap_at_end=config.bootstrap_at_end)
    return VecNormalize(env, gamma=config.gamma, clip_obs=10.0)


def build_model(env: VecNormalize, config: TransferConfig, step_size: Callable[[float], float]) -> PPO:
    """PPO with the configured networks.

    Args:
        env: From `build_env`.
        step_size: Of Adam, given the share of training that is left.
    """
    learner = OverlappedPPO if config.overlap else SideBySidePPO
    model = learner("MlpPolicy", env, target_kl=config.target_kl, **ppo_arguments(config, config.std, step_size))
    model.policy.log_std.requires_grad_(config.learn_std)
    return model


def snapshot(
    model: PPO, env: VecNormalize, config: TransferConfig, task: GoalTask, low_level: LowLevelPolicy | None
) -> TransferPolicy:
    """A copy of the current controller with the current statistics; later training does not change it."""
    layers = list(config.layers)
    own: Mapping[str, int] = task.own_observables
    size = decoder_for(task, low_level).size
    normalizer = normalizer_of(env, env.observation_space.shape[0])  # type: ignore[index]
    network = ExpertNetwork(len(normalizer.mean), size, layers, layers, activation=config.activation)
    weights = model.policy.state_dict()
    network.load_state_dict({name: value.detach().cpu().clone() for name, value in weights.items()})
    device = "cpu" if low_level is None else str(low_level.policy.device)
    controller = ExpertPolicy(network, normalizer, task.observables, device=device)
    return TransferPolicy(controller, low_level, task.name, own=own)
