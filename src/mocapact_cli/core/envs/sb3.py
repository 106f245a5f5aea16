"""The batch as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from mocapact_cli.core.envs.batch import EpisodeEnd, StepBatch, TrackingBatch
from mocapact_cli.core.envs.gym import action_space, observation_space
from mocapact_cli.core.walker.model import NUM_JOINTS


class TrackingVecEnv(VecEnv):
    """N tracking environments for Stable-Baselines3.

    Observations are the batch's flat ones. The info of an ended episode holds `terminal_observation`,
    `TimeLimit.truncated` and `episode` with `r`, `l`, `t` and the normalized `norm_return` and
    `norm_length`.

    Args:
        batch: The environments; closed with this adapter.
        bootstrap_at_end: Report the snippet's end as a time limit, so that the learner adds the value of the last
            observation there; the original treats it as an end like any other.
    """

    def __init__(self, batch: TrackingBatch, *, bootstrap_at_end: bool = False) -> None:
        self.batch = batch
        self.bootstrap_at_end = bootstrap_at_end
        self._actions: NDArray[np.float32] = np.zeros((batch.num_envs, NUM_JOINTS), dtype=np.float32)
        self._started = time.time()
        super().__init__(batch.num_envs, observation_space(batch.layout, flat=True), action_space())

    def reset(self) -> VecEnvObs:
        """Begin an episode everywhere; returns (N, P) observations."""
        seed = next((seed for seed in self._seeds if seed is not None), None)
        self._reset_seeds()
        self.reset_infos = [{} for _ in range(self.num_envs)]
        return self.batch.reset(seed)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions (N, 56) of the next step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step; returns observations (N, P), rewards (N,), dones (N,) and infos."""
        result = self.batch.step(self._actions)
        dones = result.terminated | result.truncated
        return result.observations, result.rewards.astype(np.float32), dones, self._infos(result)

    def close(self) -> None:
        """Release the threads."""
        self.batch.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The batch's attribute, once for each environment."""
        value = None if attr_name == "render_mode" else getattr(self.batch, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """The environments share one batch, so they have no attributes of their own."""
        del value, indices
        raise AttributeError(f"{attr_name} cannot be set: the environments of a batch share their settings.")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """The environments share one batch, so they have no methods of their own."""
        del method_args, method_kwargs, indices
        raise AttributeError(f"{method_name} cannot be called: the environments of a batch are stepped together.")

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """No environment of a batch is wrapped on its own."""
        del wrapper_class
        return [False for _ in self._get_indices(indices)]

    def _infos(self, result: StepBatch) -> list[dict[str, Any]]:
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        elapsed = time.time() - self._started
        for end, final in zip(result.episodes, result.final_observations, strict=True):
            infos[end.env] = {
                "terminal_observation": final,
                "TimeLimit.truncated": self.bootstrap_at_end and not end.early_termination,
                "episode": _episode_info(end, elapsed),
            }
        return infos

    def _get_indices(self, indices: VecEnvIndices) -> Sequence[int]:
        return list(super()._get_indices(indices))


def _episode_info(end: EpisodeEnd, elapsed: float) -> dict[str, float]:
    return {
        "r": end.episode_return,
        "l": end.length,
        "t": elapsed,
        "norm_return": end.norm_return,
        "norm_length": end.norm_length,
    }
