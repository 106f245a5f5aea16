"""All tasks with a goal by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.library import ClipLibrary
from mocapact_cli.core.config import from_dict
from mocapact_cli.core.errors import UsageError, check_known
from mocapact_cli.core.tasks.go_to_target import GoToTarget
from mocapact_cli.core.tasks.goal import GoalTask
from mocapact_cli.core.tasks.velocity_control import VelocityControl

POSE = "CMU_040_12"
"""The clip in whose first pose the original's tasks begin."""
BUILT_IN_POSE = "demo_squat"
"""The clip whose first pose serves where that one is not at hand."""
TASKS: dict[str, type[GoalTask]] = {task.name: task for task in (GoToTarget, VelocityControl)}
"""Every task by the name that the command line takes."""


def register_task(task: type[GoalTask]) -> type[GoalTask]:
    """Make a task known by its name; to be used as a decorator of its class.

    Raises:
        UsageError: There is another one of that name.
    """
    if TASKS.setdefault(task.name, task) is not task:
        raise UsageError(f"There is a task {task.name!r} already.", hint="Choose another name.")
    return task


def task_class(name: str) -> type[GoalTask]:
    """The task of a name; underscores stand for hyphens, as the original writes them.

    Raises:
        UsageError: There is none.
    """
    known = name.replace("_", "-")
    check_known(known, TASKS, "task")
    return TASKS[known]


def make_task(name: str, pose: Clip, settings: Mapping[str, Any] | None = None) -> GoalTask:
    """A task with its settings.

    Args:
        name: The task.
        pose: The clip in whose first pose episodes begin.
        settings: Values that differ from the original's, by name.

    Raises:
        UsageError: There is no such task or setting, or a value does not fit.
    """
    task = task_class(name)
    return task(pose, from_dict(task.Settings, dict(settings or {})))


def start_pose(library: ClipLibrary) -> Clip:
    """The clip in whose first pose episodes begin: the original's, else a built-in one that stands as well.

    Args:
        library: The clips at hand.
    """
    return library.get(POSE if POSE in library.ids() else BUILT_IN_POSE)


def task_seen_in(observables: Sequence[str]) -> str | None:
    """The name of the task whose own observables are among these; None if there is no such task, or several."""
    found = [
        name for name, task in TASKS.items() if task.own_observables and set(task.own_observables) <= set(observables)
    ]
    return found[0] if len(found) == 1 else None
