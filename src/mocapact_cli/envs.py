"""Environments for users: Gymnasium ids, and `make_env` without Gymnasium's registry.

Importing this module registers the ids. `import mocapact_cli` does so too where Gymnasium has been imported before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import gymnasium

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.envs.gym import TrackingEnv, TrackingVectorEnv

TRACKING_ID = "mocapact/Tracking-v0"


@overload
def make_env(clip: str | Sequence[str], num_envs: None = None, **settings: Any) -> TrackingEnv: ...


@overload
def make_env(clip: str | Sequence[str], num_envs: int, **settings: Any) -> TrackingVectorEnv: ...


def make_env(
    clip: str | Sequence[str], num_envs: int | None = None, **settings: Any
) -> TrackingEnv | TrackingVectorEnv:
    """A tracking environment, or with `num_envs` a vector of them.

    Args:
        clip: Name of a clip (`demo_walk`) or snippet (`CMU_016_22-0-82`), or several.
        num_envs: Number of environments stepped together; None for a single one.
        settings: As `tracking_env` and `tracking_vector_env` take them.

    Raises:
        NotFoundError: There is no such clip or file.
        UsageError: A setting is unknown or unusable.
        InvalidInputError: A snippet lies outside its clip or is too short.
    """
    if num_envs is None:
        return tracking_env(clip, **settings)
    return tracking_vector_env(num_envs, clip, **settings)


def tracking_env(
    clip: str | Sequence[str], *, flat: bool = False, render_mode: str | None = None, **settings: Any
) -> TrackingEnv:
    """The environment behind `gymnasium.make("mocapact/Tracking-v0", clip=...)`.

    Args:
        clip: Name of a clip or snippet, or several.
        flat: Give one flat array as observation instead of a dict by observable name.
        render_mode: `rgb_array` or None.
        settings: `mocap` (HDF5 file or files with the clips), `observables` (names; default: the experts'),
            `weights` (of the snippets) and the fields of `mocapact_cli.core.tasks.tracking.TrackingConfig`.
    """
    from mocapact_cli.core.envs.gym import TrackingEnv
    from mocapact_cli.core.media.live import LivePainter

    batch = _batch(clip, 1, threads=1, **settings)
    painter = LivePainter(batch.walker) if render_mode else None
    return TrackingEnv(batch, flat=flat, render_mode=render_mode, painter=painter)


def tracking_vector_env(
    num_envs: int,
    clip: str | Sequence[str],
    *,
    flat: bool = False,
    render_mode: str | None = None,
    threads: int | None = None,
    **settings: Any,
) -> TrackingVectorEnv:
    """The environment behind `gymnasium.make_vec("mocapact/Tracking-v0", num_envs=..., clip=...)`.

    Args:
        num_envs: Number of environments.
        clip: Name of a clip or snippet, or several.
        flat: Give flat observations instead of dicts by observable name.
        render_mode: `rgb_array` or None.
        threads: Threads that step the physics; default: all processors.
        settings: As for `tracking_env`.
    """
    from mocapact_cli.core.envs.gym import TrackingVectorEnv
    from mocapact_cli.core.media.live import LivePainter

    batch = _batch(clip, num_envs, threads=threads, **settings)
    painter = LivePainter(batch.walker) if render_mode else None
    return TrackingVectorEnv(batch, flat=flat, render_mode=render_mode, painter=painter)


def _batch(
    clip: str | Sequence[str],
    num_envs: int,
    *,
    threads: int | None,
    mocap: str | Path | Sequence[str | Path] | None = None,
    observables: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    **task: Any,
) -> TrackingBatch:
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.config import from_dict
    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.sim.observables import TIME_INDEX
    from mocapact_cli.core.tasks.tracking import TrackingConfig

    library = open_library(_paths(mocap))
    snippets = [library.resolve(name) for name in ([clip] if isinstance(clip, str) else clip)]
    return TrackingBatch(
        [(library.get(snippet.clip_id), snippet) for snippet in snippets],
        num_envs=num_envs,
        observables=TIME_INDEX if observables is None else observables,
        config=from_dict(TrackingConfig, task),
        threads=threads,
        weights=weights,
    )


def _paths(mocap: str | Path | Sequence[str | Path] | None) -> list[Path]:
    from pathlib import Path

    if mocap is None:
        return []
    return [Path(mocap)] if isinstance(mocap, str | Path) else [Path(path) for path in mocap]


if TRACKING_ID not in gymnasium.registry:
    gymnasium.register(
        TRACKING_ID,
        entry_point=f"{__name__}:tracking_env",
        vector_entry_point=f"{__name__}:tracking_vector_env",
    )
