"""dm_control's environments as the original trains on them: behind Gymnasium, one in a process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """One of dm_control's environments; observations are a dictionary of float32 arrays, as the original's are.

    Args:
        environment: dm_control's.
        layout: What is observed of it, and in how many columns.
    """

    def __init__(self, environment: Any, layout: ObservableLayout) -> None:
        self._environment, self._names = environment, layout.names
        sizes = {name: columns.stop - columns.start for name, columns in layout.slices.items()}
        self.observation_space = spaces.Dict(
            {name: spaces.Box(-np.inf, np.inf, (size,), np.float32) for name, size in sizes.items()}
        )
        self.action_space = action_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode where the environment's own generator draws it."""
        super().reset(seed=seed, options=options)
        return self._observed(self._environment.reset()), {}

    def step(self, action: Float32Array) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance by one control step."""
        timestep = self._environment.step(action)
        failed = timestep.last() and timestep.discount == 0.0
        return self._observed(timestep), float(timestep.reward), failed, timestep.last() and not failed, {}

    def _observed(self, timestep: Any) -> Observation:
        return {name: np.ravel(timestep.observation[name]).astype(np.float32) for name in self._names}


def tracking_gym(clip: str, config: TrackingConfig, seed: int) -> ComposerGym:
    """dm_control's tracking of a whole built-in clip, with the original's 24 observations.

    Args:
        clip: The clip's name.
        config: The task's settings.
        seed: Of the starts.
    """
    library = open_library()
    snippets = [(library.get(clip), library.resolve(clip))]
    environment = composer_environment(snippets, config, observables=MULTI_CLIP_SANS_ID, ghost=True, seed=seed)
    return ComposerGym(environment, ObservableLayout(MULTI_CLIP_SANS_ID, config.ref_steps))


def composer_workers(makers: Sequence[Callable[[], gymnasium.Env[Any, Any]]]) -> SubprocVecEnv:
    """Environments in processes of their own.

    Args:
        makers: Of one each.

    Raises:
        RunError: dm_control's environment does not run here.
    """
    try:
        return SubprocVecEnv(list(makers), start_method="spawn")
    except (EOFError, ConnectionError) as error:
        raise RunError("dm_control's environment cannot run here.") from error


class ExpertFeatures(BaseFeaturesExtractor):
    """What an expert sees of the dictionary, side by side.

    Args:
        observation_space: A dictionary with the observables `TIME_INDEX` among others.
    """

    def __init__(self, observation_space: spaces.Dict) -> None:
        super().__init__(observation_space, sum(spaces.flatdim(observation_space[name]) for name in TIME_INDEX))

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """(B, P) from arrays of B rows."""
        return torch.cat([observations[name] for name in TIME_INDEX], dim=1)
