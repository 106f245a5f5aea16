"""The batch as Gymnasium environments: a single one, and a vector of them that is stepped together."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, NUM_JOINTS, FloatArray

Array = NDArray[Any]
Observation = Array | dict[str, Array]
_METADATA: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_TIMESTEP)}


class Painter(Protocol):
    """Draws one environment. (The drawing itself lives above this layer, which does without OpenGL.)"""

    def __call__(self, qpos: FloatArray, reference: FloatArray) -> NDArray[np.uint8]:
        """A picture (height, width, 3) of the walker and its reference, (63,) poses each."""

    def close(self) -> None:
        """Release what it holds."""


def observation_space(layout: ObservableLayout, *, flat: bool = False) -> spaces.Space[Any]:
    """Unbounded float32: a `Box` of all columns in the layout's order if `flat`, else a `Dict` by name."""
    if flat:
        return spaces.Box(-np.inf, np.inf, (layout.size,), np.float32)
    sizes = {name: columns.stop - columns.start for name, columns in layout.slices.items()}
    return spaces.Dict({name: spaces.Box(-np.inf, np.inf, (size,), np.float32) for name, size in sizes.items()})


def action_space() -> spaces.Box:
    """(56,) position targets in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (NUM_JOINTS,), np.float32)


class _Interface:
    """What the two environments share: shaping observations, telling of episodes, drawing."""

    def __init__(self, batch: TrackingBatch, *, flat: bool, render_mode: str | None, painter: Painter | None) -> None:
        if render_mode not in (None, *_METADATA["render_modes"]):
            raise UsageError(f"There is no render mode {render_mode!r}.", hint="Use rgb_array or None.")
        if render_mode is not None and painter is None:
            raise UsageError("Rendering needs a painter.", hint="Make the environment with mocapact_cli.make_env.")
        self.batch, self.flat, self.painter = batch, flat, painter

    def shaped(self, flat: NDArray[np.float32]) -> Observation:
        """Observations (..., P) as the space has them."""
        return flat if self.flat else self.batch.layout.split(flat)

    def begun(self, env: int) -> dict[str, Any]:
        """Info of an episode's first observation."""
        start = self.batch.starts()[env]
        if start is None:
            return {}
        return {"snippet": str(self.batch.snippets[start.snippet_index]), "start_step": start.start_step}

    def ended(self, end: EpisodeEnd) -> dict[str, Any]:
        """Info of an episode's last observation."""
        return {
            "norm_return": end.norm_return,
            "norm_length": end.norm_length,
            "early_termination": end.early_termination,
            "diverged": end.diverged,
        }

    def frames(self) -> list[NDArray[np.uint8]] | None:
        """A picture of every environment, if there is a painter."""
        if self.painter is None:
            return None
        return [self.painter(qpos, reference) for qpos, reference in zip(*self.batch.poses(), strict=True)]

    def close(self) -> None:
        """Release threads and pictures."""
        self.batch.close()
        if self.painter is not None:
            self.painter.close()


class TrackingEnv(gymnasium.Env[Any, Array]):
    """One tracking environment.

    An observation is a dict of arrays by observable name, or one flat array. An episode is terminated when the
    tracking error passes the threshold and truncated at the snippet's end. Infos: `snippet` and `start_step` at a
    reset; `norm_return`, `norm_length`, `early_termination` and `diverged` at an episode's end; the reward's
    parts under `reward_channels` at every step.

    Args:
        batch: Of one environment; closed with this one.
        flat: Give flat observations.
        render_mode: `rgb_array` or None.
        painter: Draws, where there is a render mode.
    """

    metadata = _METADATA

    def __init__(
        self,
        batch: TrackingBatch,
        *,
        flat: bool = False,
        render_mode: str | None = None,
        painter: Painter | None = None,
    ) -> None:
        if batch.num_envs != 1:
            raise UsageError(f"A single environment needs a batch of one, not of {batch.num_envs}.")
        self._interface = _Interface(batch, flat=flat, render_mode=render_mode, painter=painter)
        self.batch, self.render_mode = batch, render_mode
        self.observation_space = observation_space(batch.layout, flat=flat)
        self.action_space = action_space()
        self._next: NDArray[np.float32] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; returns the first observation and its info."""
        super().reset(seed=seed, options=options)
        # After an end the batch has already begun the next episode.
        if seed is not None or self._next is None:
            self._next = self.batch.reset(int(self.np_random.integers(2**31)))[0]
        first, self._next = self._next, None
        return self._interface.shaped(first), self._interface.begun(0)

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Take one control step with an action (56,); returns observation, reward, terminated, truncated and info."""
        result = self.batch.step(np.asarray(action)[None])
        info: dict[str, Any] = {"reward_channels": {name: float(part[0]) for name, part in result.channels.items()}}
        observation = result.observations[0]
        if result.episodes:
            info |= self._interface.ended(result.episodes[0])
            self._next, observation = observation, result.final_observations[0]
        reward, terminated, truncated = result.rewards[0], result.terminated[0], result.truncated[0]
        return self._interface.shaped(observation), float(reward), bool(terminated), bool(truncated), info

    def render(self) -> NDArray[np.uint8] | None:
        """A picture (height, width, 3), or None without a render mode."""
        frames = self._interface.frames()
        return None if frames is None else frames[0]

    def close(self) -> None:
        """Release threads and pictures."""
        self._interface.close()


class TrackingVectorEnv(VectorEnv[Any, Array, Array]):
    """N tracking environments, stepped together.

    An environment that has ended begins its next episode in the same step (`AutoresetMode.SAME_STEP`): the
    observation is then the new episode's first one, and the old one's last is in `infos["final_obs"]`, with its
    info in `infos["final_info"]`. Everything else is as in `TrackingEnv`.

    Args:
        batch: The environments; closed with this one.
        flat: Give flat observations.
        render_mode: `rgb_array` or None.
        painter: Draws, where there is a render mode.
    """

    metadata = _METADATA | {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        batch: TrackingBatch,
        *,
        flat: bool = False,
        render_mode: str | None = None,
        painter: Painter | None = None,
    ) -> None:
        self._interface = _Interface(batch, flat=flat, render_mode=render_mode, painter=painter)
        self.batch, self.render_mode, self.num_envs = batch, render_mode, batch.num_envs
        self.single_observation_space = observation_space(batch.layout, flat=flat)
        self.single_action_space = action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode everywhere; returns observations (N, ...) and infos."""
        super().reset(seed=seed, options=options)
        observations = self.batch.reset(int(self.np_random.integers(2**31)))
        infos: dict[str, Any] = {}
        for env in range(self.num_envs):
            infos = self._add_info(infos, self._interface.begun(env), env)
        return self._interface.shaped(observations), infos

    def step(self, actions: Array) -> tuple[Observation, Array, Array, Array, dict[str, Any]]:
        """Take one control step with actions (N, 56)."""
        result = self.batch.step(actions)
        infos: dict[str, Any] = {}
        if len(result.channels):
            infos = {"reward_channels": result.channels, "_reward_channels": result.active}
        for end, final in zip(result.episodes, result.final_observations, strict=True):
            info = {
                "final_obs": self._interface.shaped(final),
                "final_info": self._interface.ended(end),
                **self._interface.begun(end.env),
            }
            infos = self._add_info(infos, info, end.env)
        observations = self._interface.shaped(result.observations)
        return observations, result.rewards, result.terminated, result.truncated, infos

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Pictures (height, width, 3) of all environments, or None without a render mode."""
        frames = self._interface.frames()
        return None if frames is None else tuple(frames)

    def close_extras(self, **kwargs: Any) -> None:
        """Release threads and pictures."""
        del kwargs
        self._interface.close()
