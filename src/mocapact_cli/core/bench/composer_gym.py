"""dm_control's environment as the original trains experts on it: with its ghost, behind Gymnasium, one in a process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import SubprocVecEnv

from mocapact_cli.core.bench.composer_env import composer_environment
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.gym import action_space
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.sim.observables import MULTI_CLIP_SANS_ID, TIME_INDEX, ObservableLayout
from mocapact_cli.core.tasks.tracking import TrackingConfig

Float32Array = NDArray[np.float32]
Observation = dict[str, Float32Array]


class ComposerGym(gymnasium.Env[Any, Any]):
    """One environment on a whole built-in clip; the observations are the original's, a dictionary of 24 arrays.

    Args:
        clip: the clip's name. config: the task's settings. seed: of the starts.
    """

    def __init__(self, clip: str, config: TrackingConfig, seed: int) -> None:
        library = open_library()
        snippets = [(library.get(clip), library.resolve(clip))]
        names = MULTI_CLIP_SANS_ID
        self._environment: Any = composer_environment(snippets, config, observables=names, ghost=True, seed=seed)
        columns = ObservableLayout(names, config.ref_steps).slices
        sizes = {name: columns[name].stop - columns[name].start for name in names}
        self.observation_space = spaces.Dict(
            {name: spaces.Box(-np.inf, np.inf, (size,), np.float32) for name, size in sizes.items()}
        )
        self.action_space = action_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode, at a step that the environment's own generator draws."""
        super().reset(seed=seed, options=options)
        return _observation(self._environment.reset()), {}

    def step(self, action: Float32Array) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance by one control step."""
        timestep = self._environment.step(action)
        failed = timestep.last() and timestep.discount == 0.0
        return _observation(timestep), float(timestep.reward), failed, timestep.last() and not failed, {}


def composer_vec_env(clip: str, config: TrackingConfig, processes: int) -> SubprocVecEnv:
    """As many environments as processes.

    Raises:
        RunError: dm_control's environment does not run here.
    """
    try:
        makers: list[Callable[[], gymnasium.Env[Any, Any]]] = [
            partial(ComposerGym, clip, config, seed) for seed in range(processes)
        ]
        return SubprocVecEnv(makers, start_method="spawn")
    except (EOFError, ConnectionError) as error:
        raise RunError("dm_control's environment cannot run here.") from error


class ExpertFeatures(BaseFeaturesExtractor):
    """What an expert sees of the dictionary, side by side.

    Args:
        observation_space: a dictionary with the observables :data:`TIME_INDEX` among others.
    """

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, sum(spaces.flatdim(observation_space[name]) for name in TIME_INDEX))

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """(B, P) from arrays of B rows."""
        return torch.cat([observations[name] for name in TIME_INDEX], dim=1)


def _observation(timestep: Any) -> Observation:
    return {name: np.ravel(timestep.observation[name]).astype(np.float32) for name in MULTI_CLIP_SANS_ID}
