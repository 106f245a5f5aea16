"""dm_control's own tracking environment, as the original research code steps it: the other side of comparisons."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mocapact_cli.core.clips.clip import ARRAYS, Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.tasks.tracking import TrackingConfig

GHOST_OFFSET = (1.0, 0.0, 0.0)
"""Metres from the reference to the ghost in the original's expert training."""
ARENA_SIZE = (8.0, 8.0)
"""Half extents of the floor in metres."""


def composer_environment(
    snippets: Sequence[tuple[Clip, Snippet]],
    config: TrackingConfig,
    *,
    mocap: Path | None = None,
    weights: Sequence[float] | None = None,
    observables: Sequence[str] = (),
    ghost: bool = False,
    seed: int = 0,
) -> Any:
    """dm_control's composer environment of the task that `TrackingBatch` computes.

    Action noise is not part of it: the original adds that in a wrapper.

    Args:
        snippets: (clip, snippet) pairs.
        config: The task's settings, in this package's meaning.
        mocap: HDF5 file that dm_control's loader reads the clips from; by default they are handed over in memory,
            without protobuf's descriptors, which that loader does not find in newer versions.
        weights: Relative probability of each snippet's starts.
        observables: Names to switch on besides the task's usual ones.
        ghost: Add the second, transparent walker that shows the reference, as the original's training does.
        seed: Of the starts.
    """
    with warnings.catch_warnings():
        # On a machine without a screen the import warns of a window library that is not needed here.
        warnings.simplefilter("ignore")
        from dm_control import composer

    task = _task(snippets, config, mocap, weights, ghost=ghost)
    available = task._walker.observables.as_dict(fully_qualified=False)
    for name in observables:
        available[name.removeprefix("walker/")].enabled = True
    environment = composer.Environment(
        task,
        random_state=np.random.RandomState(seed),
        strip_singleton_obs_buffer_dim=True,
        raise_exception_on_physics_error=False,
    )
    # Compiling has filled this cache from the clip's beginning, even where the snippet begins later.
    task._reference_ego_bodies_quats.clear()
    return environment


def _task(
    snippets: Sequence[tuple[Clip, Snippet]],
    config: TrackingConfig,
    mocap: Path | None,
    weights: Sequence[float] | None,
    *,
    ghost: bool,
) -> Any:
    from dm_control.locomotion.arenas import floors
    from dm_control.locomotion.tasks.reference_pose import types
    from dm_control.locomotion.walkers import cmu_humanoid

    return _task_class([clip for clip, _ in snippets], mocap)(
        walker=cmu_humanoid.CMUHumanoidPositionControlledV2020,
        arena=floors.Floor(size=ARENA_SIZE),
        ref_path=None if mocap is None else str(mocap),
        ref_steps=config.ref_steps,
        dataset=types.ClipCollection(
            ids=[clip.id for clip, _ in snippets],
            start_steps=[snippet.start_step for _, snippet in snippets],
            end_steps=[snippet.end_step for _, snippet in snippets],
            weights=weights,
        ),
        termination_error_threshold=config.termination_error_threshold,
        min_steps=config.min_steps - 1,
        reward_type=config.reward_type,
        always_init_at_clip_start=config.always_init_at_clip_start,
        ghost_offset=np.array(GHOST_OFFSET) if ghost else None,
    )


def _task_class(clips: Sequence[Clip], mocap: Path | None) -> Any:
    """The task's class; without a file its method that opens one is replaced."""
    from dm_control.locomotion.mocap import loader
    from dm_control.locomotion.tasks.reference_pose import tracking

    class ClipLoader(loader.TrajectoryLoader):  # type: ignore[misc]  # dm_control has no types
        def keys(self) -> tuple[str, ...]:
            return tuple(clip.id for clip in clips)

        def _get_proto_for_key(self, key: str) -> Any:
            return _trajectory(next(clip for clip in clips if clip.id == key))

    class InMemoryTracking(tracking.MultiClipMocapTracking):  # type: ignore[misc]  # dm_control has no types
        def _load_reference_data(self, ref_path: object, proto_modifier: object, dataset: Any) -> None:
            del ref_path, proto_modifier
            self._loader, self._dataset = ClipLoader(), dataset
            self._num_clips = len(dataset.ids)
            self._all_clips = [None] * self._num_clips

    return InMemoryTracking if mocap is None else tracking.MultiClipMocapTracking


def _trajectory(clip: Clip) -> Any:
    """The clip as dm_control's protocol buffer message."""
    from dm_control.locomotion.mocap import mocap_pb2

    proto = mocap_pb2.FittedTrajectory(identifier=clip.id.encode(), dt=clip.dt)
    proto.walkers.add()
    arrays = {name: getattr(clip, name).reshape(clip.num_steps, -1).tolist() for name in ARRAYS}
    for step in range(clip.num_steps):
        pose = proto.timesteps.add().walkers.add()
        for name, rows in arrays.items():
            getattr(pose, name).extend(rows[step])
    return proto
