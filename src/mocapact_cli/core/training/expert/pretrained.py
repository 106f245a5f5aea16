"""Going on from a trained expert, ours or a published one, on its own snippet or on another.

A run takes over the networks of policy and values with their sizes, and the statistics of observations and returns.
What belongs to the recipe is the settings': the standard deviation of the actions, the discount, the step size.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.config import apply_overrides
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import LoadedExpert, load_expert
from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy, Normalizer
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.training.expert.config import PRESETS, ExpertConfig
from mocapact_cli.core.training.expert.privileged import PrivilegedPolicy
from mocapact_cli.core.training.ppo.model import observation_statistics

_SIZES = ("layers", "activation")


def read_source(root: Path) -> LoadedExpert:
    """Read the expert to go on from; nothing in it is executed.

    Raises:
        NotFoundError: There is none.
        InvalidInputError: It is damaged.
        UsageError: There are several.
    """
    if not root.exists():
        raise NotFoundError(
            f"There is no warm start {str(root)!r}.", hint="A warm start is pd, none or the folder of an expert."
        )
    return load_expert(root)


def adopt_networks(
    config: ExpertConfig, observables: Sequence[str], root: Path, chosen: Collection[str] = ()
) -> ExpertConfig:
    """The settings of a run that begins as an expert: with the sizes of its networks.

    Args:
        config: The settings; without an expert in `warm_start` they are returned as they are.
        observables: What the new run sees.
        root: Its folder.
        chosen: Names of settings that were asked for. They, and those that are not the preset's, do not give way.

    Raises:
        UsageError: The expert's networks are of other sizes than those asked for, or see something else (each
            difference is named), or it lies in the run's own folder.
        NotFoundError: There is no such expert.
        InvalidInputError: It is damaged.
    """
    if not isinstance(config.warm_start, Path):
        return config
    source = read_source(config.warm_start)
    if source.location.root.resolve().is_relative_to(root.resolve()):
        raise UsageError(
            f"The warm start {source.location.root} lies in the run's own folder.",
            hint="Choose another --log-root or --seed, or --resume it.",
        )
    sizes = _sizes(source)
    usual = PRESETS.get(config.preset, ExpertConfig())
    wanted = {name for name in sizes if name in chosen or getattr(config, name) != getattr(usual, name)}
    problems = [
        f"{name} {_shown(getattr(config, name))} here, {_shown(sizes[name])} there"
        for name in _SIZES
        if name in wanted and getattr(config, name) != sizes[name]
    ]
    problems += _other_observables(source.policy.observables, observables)
    if (limit := source.policy.normalizer.clip_obs) != Normalizer.clip_obs:
        problems.append(f"clip_obs {Normalizer.clip_obs:g} here, {limit:g} there")
    if problems:
        raise UsageError(
            f"The warm start {config.warm_start} does not fit: {'; '.join(problems)}.",
            hint="Leave layers and activation out of the settings to take its own, or begin with another expert.",
        )
    return replace(apply_overrides(config, sizes), warm_start=config.warm_start.absolute())


def take_over(model: PPO, env: VecNormalize, source: ExpertPolicy, observables: Sequence[str]) -> None:
    """Give a new model the weights and the statistics of an expert of the same sizes.

    Args:
        model: What is to be trained.
        env: Its environments, with the statistics of its observations.
        source: The expert.
        observables: What it sees, in order.
    """
    fitting = reordered(source, observables)
    weights = fitting.network.state_dict() | {"log_std": model.policy.log_std}
    if isinstance(model.policy, PrivilegedPolicy):
        model.policy.adopt(weights)
    else:
        model.policy.load_state_dict(weights)
    statistics, seen = fitting.normalizer, observation_statistics(env)
    hidden = len(seen.mean) - len(statistics.mean)
    # The expert knows nothing of what only the critic sees: distances from the reference, of a tenth at a guess.
    seen.mean = np.concatenate([statistics.mean, np.zeros(hidden)])
    seen.var = np.concatenate([statistics.var, np.full(hidden, 0.01)])
    seen.count = statistics.count
    returns = env.ret_rms
    returns.mean, returns.var = np.array(statistics.return_mean), np.array(statistics.return_var)
    returns.count = statistics.return_count


def reordered(policy: ExpertPolicy, observables: Sequence[str]) -> ExpertPolicy:
    """The same expert, seeing the same observables in another order.

    Raises:
        InvalidInputError: Its networks do not have as many columns as its observables.
    """
    layout = ObservableLayout(policy.observables, policy.ref_steps)
    if layout.size != policy.obs_size:
        raise InvalidInputError(
            f"The expert's networks see {policy.obs_size} columns, but its observables have {layout.size}."
        )
    columns = layout.columns(observables)
    state, network = dict(policy.network.state_dict()), policy.network
    for name in _input_weights(network):
        state[name] = state[name][:, columns]
    seen = policy.normalizer
    normalizer: Normalizer = replace(seen, mean=seen.mean[columns], var=seen.var[columns])
    return ExpertPolicy(
        ExpertNetwork.from_state_dict(state, network.activation), normalizer, observables, ref_steps=policy.ref_steps
    )


def _sizes(source: LoadedExpert) -> dict[str, object]:
    network = source.policy.network
    if network.actor_widths != network.critic_widths:
        raise UsageError(
            f"The warm start {source.location.root} does not fit: layers {_shown(network.actor_widths)} of its policy, "
            f"{_shown(network.critic_widths)} of its values, but one kind of layers here."
        )
    return {"layers": tuple(network.actor_widths), "activation": network.activation}


def _other_observables(there: Sequence[str], here: Sequence[str]) -> list[str]:
    differing = [f"observable {name} only here" for name in here if name not in there]
    return differing + [f"observable {name} only there" for name in there if name not in here]


def _input_weights(network: ExpertNetwork) -> tuple[str, str]:
    if network.actor_widths:
        return "mlp_extractor.policy_net.0.weight", "mlp_extractor.value_net.0.weight"
    return "action_net.weight", "value_net.weight"


def _shown(value: object) -> str:
    return (
        f"({', '.join(map(str, value))})" if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
    )
