"""dm_control's own task of going to a target, as the original trains on it: the other side of comparisons."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.tasks.go_to_target import GoToTargetSettings
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, PHYSICS_TIMESTEP


def composer_go_to_target(
    pose: Clip,
    settings: GoToTargetSettings | None = None,
    *,
    observables: Sequence[str] = (),
    target_spawn: Any = None,
    walker_spawn: Any = None,
    seed: int = 0,
) -> Any:
    """dm_control's composer environment of the task that `GoToTarget` computes.

    Args:
        pose: The clip in whose first pose episodes begin.
        settings: The task's; its time limit is not part of dm_control's class.
        observables: Names to switch on besides the task's usual ones.
        target_spawn: A variation of dm_control's of two numbers; default: uniform in the arena's middle.
        walker_spawn: The same for the walker.
        seed: Of all draws.
    """
    settings = settings or GoToTargetSettings()
    with warnings.catch_warnings():
        # On a machine without a screen the import warns of a window library that is not needed here.
        warnings.simplefilter("ignore")
        from dm_control import composer
        from dm_control.locomotion.arenas import floors
        from dm_control.locomotion.tasks import go_to_target
        from dm_control.locomotion.walkers import cmu_humanoid

    walker = cmu_humanoid.CMUHumanoidPositionControlledV2020(initializer=_pose_initializer(pose))
    task = go_to_target.GoToTarget(
        walker,
        floors.Floor(size=settings.arena_size),
        moving_target=settings.moving_target,
        steps_before_moving_target=settings.steps_before_moving_target,
        distance_tolerance=settings.distance_tolerance,
        target_spawn_position=target_spawn,
        walker_spawn_position=walker_spawn,
        physics_timestep=PHYSICS_TIMESTEP,
        control_timestep=CONTROL_TIMESTEP,
    )
    available = walker.observables.as_dict(fully_qualified=False)
    for name in observables:
        available[name.removeprefix("walker/")].enabled = True
    return composer.Environment(
        task,
        random_state=np.random.RandomState(seed),
        strip_singleton_obs_buffer_dim=True,
        raise_exception_on_physics_error=False,
    )


def _pose_initializer(pose: Clip) -> Any:
    """Puts a walker into a clip's first pose with its velocities, as the original does."""
    import mujoco
    from dm_control.locomotion.tasks.reference_pose import utils
    from dm_control.locomotion.walkers import initializers

    class FirstPose(initializers.WalkerInitializer):  # type: ignore[misc]  # dm_control has no types
        def initialize_pose(self, physics: Any, walker: Any, random_state: Any) -> None:
            del random_state
            utils.set_walker(physics, walker, pose.qpos()[0], pose.qvel()[0])
            mujoco.mj_kinematics(physics.model.ptr, physics.data.ptr)

    return FirstPose()
