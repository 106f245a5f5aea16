"""dm_control's environment as the original trains experts on it: with its ghost, behind Gymnasium, one in a process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import SubprocVecEnv

from mocapact_cli.core.bench.composer_env import composer_environment
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.sb3 import action_space, observation_space
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.tasks.tracking import TrackingConfig

Float32Array = NDArray[np.float32]


class ComposerGym(gymnasium.Env[Any, Any]):
    """One environment on a whole built-in clip; the observations are an expert's, flat.

    Args:
        clip: the clip's name. config: the task's settings. seed: of the starts.
    """

    def __init__(self, clip: str, config: TrackingConfig, seed: int) -> None:
        library = open_library()
        snippets = [(library.get(clip), library.resolve(clip))]
        self._environment: Any = composer_environment(snippets, config, observables=TIME_INDEX, ghost=True, seed=seed)
        self.observation_space = observation_space(ObservableLayout(TIME_INDEX, config.ref_steps).size)
        self.action_space = action_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32Array, dict[str, Any]]:
        """Begin an episode, at a step that the environment's own generator draws."""
        super().reset(seed=seed, options=options)
        return _flat(self._environment.reset()), {}

    def step(self, action: Float32Array) -> tuple[Float32Array, float, bool, bool, dict[str, Any]]:
        """Advance by one control step."""
        timestep = self._environment.step(action)
        failed = timestep.last() and timestep.discount == 0.0
        return _flat(timestep), float(timestep.reward), failed, timestep.last() and not failed, {}


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


def _flat(timestep: Any) -> Float32Array:
    return np.concatenate([np.ravel(timestep.observation[name]) for name in TIME_INDEX]).astype(np.float32)
