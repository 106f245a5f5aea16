"""Takes of what has been recorded: clips of motion capture, and episodes of rollouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.playback import poses, start_step
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.sim.rewards import termination_error
from mocapact_cli.core.viewer.curves import ERROR, HEIGHT, REWARD, SPEED, Chart, error_chart, reward_chart
from mocapact_cli.core.viewer.takes import FloatArray, Take
from mocapact_cli.core.walker.kinematics import BodyPoser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.datasets.reader import Episode
    from mocapact_cli.core.walker.model import Walker

USUAL_THRESHOLD = 0.3
"""Termination error at which recorded episodes have failed; files do not say theirs."""
_CLIP_CHARTS = (
    Chart("Speed of the root (m/s)", (SPEED,), 0.0, 1.0),
    Chart("Height of the root (m)", (HEIGHT,), 0.0, 1.2),
)


def clip_take(clip: Clip, part: Snippet) -> Take:
    """Return a part of a clip, with the root's speed and height as curves."""
    steps = slice(part.start_step, part.end_step + 1)
    qpos = clip.qpos()[steps]
    speed = np.linalg.norm(clip.velocity[steps], axis=1)
    return Take(
        title=str(part),
        capacity=len(qpos),
        poses=list(qpos),
        ghosts=[None] * len(qpos),
        curves={SPEED: speed.tolist(), HEIGHT: qpos[:, 2].tolist()},
        charts=_CLIP_CHARTS,
        first_step=part.start_step,
        dt=clip.dt,
    )


def episode_take(episode: Episode, ref_steps: Sequence[int], walker: Walker) -> Take:
    """Return a recorded episode, with its reference as far as its observations tell.

    Args:
        episode: The episode.
        ref_steps: Steps ahead at which its reference observables look.
        walker: The body.

    Raises:
        InvalidInputError: Its observations do not say where the walker was.
    """
    found = poses(episode, ref_steps, walker.actuator_joint)
    title = f"{episode.snippet}, episode {episode.index}"
    if found is None:
        raise InvalidInputError(
            f"{title} does not say where the walker was.", hint="Record it with `mocapact rollout`, which does."
        )
    qpos, reference = found
    rewards = np.concatenate([[np.nan], episode.rewards.ravel()])[: len(qpos)]
    end = "failed" if episode.early_termination else "ran to the end"
    return Take(
        title=title,
        capacity=len(qpos),
        poses=list(qpos),
        ghosts=[pose if np.isfinite(pose).all() else None for pose in reference],
        curves={REWARD: rewards.tolist(), ERROR: pose_errors(walker, qpos, reference).tolist()},
        charts=(reward_chart(), error_chart(USUAL_THRESHOLD)),
        first_step=start_step(episode),
        outcome=f"{end} after {counted(episode.length, 'step')}",
    )


def pose_errors(walker: Walker, qpos: FloatArray, reference: FloatArray) -> FloatArray:
    """Return (T,) termination errors of poses (T, 63) against their reference (T, 63); NaN where that is NaN."""
    poser, errors = BodyPoser(walker), np.full(len(qpos), np.nan)
    known = np.flatnonzero(np.isfinite(reference).all(axis=1))
    if len(known):
        bodies = [poser(qpos[row])[1:, :3] - poser(reference[row])[1:, :3] for row in known]
        apart = np.reshape(bodies, (len(known), -1))
        errors[known] = termination_error(qpos[known, 7:] - reference[known, 7:], apart)
    return errors
