"""How fast the batched physics is: against bare `mj_step` and against dm_control's environment."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from mocapact_cli.core.bench.composer_pool import FRESH_POLICY_STD, ComposerPool, Workload, follow_actions
from mocapact_cli.core.bench.raw_physics import RawPhysics, State
from mocapact_cli.core.bench.rounds import rounds_in_time
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, TIME_INDEX
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker.model import NUM_JOINTS, FloatArray

CLIP = "demo_walk"
LONG_CLIP = "demo_step"
"""Its 200 steps are those of the longest snippets."""
DEFAULT_NUM_ENVS = 128
MAX_ROUNDS, MIN_ROUNDS = 7, 3
TIME_LIMIT = 90.0
"""Seconds after which no further round begins."""
SLICE_SECONDS = 1.2
"""Least duration of one process's turn with dm_control's environment."""
PAIRS = 3
"""Turns of our side and of bare physics in a round."""
_SHORT_STEPS = 1500
"""Control steps of all environments together in one turn with short episodes."""
_LONG_ENVS = 64
"""Most environments in turns with long episodes, which would take long with more."""

SHORT = TrackingConfig()
ALL = TrackingConfig(ref_steps=(1, 2, 3, 4, 5))
LONG = TrackingConfig(termination_error_threshold=math.inf, always_init_at_clip_start=True)
_COMPOSER = {
    "dm_control": Workload(CLIP, SHORT),
    "original": Workload(CLIP, SHORT, ghost=True),
    "dm_control_long": Workload(LONG_CLIP, LONG, follow=True),
    "original_long": Workload(LONG_CLIP, LONG, follow=True, ghost=True),
}


@dataclass
class _Turn:
    """What one turn did, so that bare physics can do the same.

    Attributes:
        seconds: It took.
        actions: (K, N, 56).
        resets: For each step the environments that began anew, and where.
    """

    seconds: float
    actions: FloatArray
    resets: list[list[tuple[int, Start | None]]]

    @property
    def steps(self) -> int:
        """Control steps of all environments together."""
        return int(self.actions.shape[0] * self.actions.shape[1])

    @property
    def rate(self) -> float:
        """Control steps a second."""
        return self.steps / self.seconds

    @property
    def episode_steps(self) -> float:
        """Control steps an ended episode."""
        return self.steps / max(1, sum(map(len, self.resets)))


def measure_env(
    num_envs: int = DEFAULT_NUM_ENVS,
    threads: int | None = None,
    *,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> dict[str, Any]:
    """Measure all sides in turns, several times, and return medians.

    Ratios are medians of ratios between turns that ran one right after the other.

    Args:
        num_envs: Environments in our batch.
        threads: Threads of our batch, and processes of dm_control's environment; default: all processors.
        progress: Told of every turn.

    Returns:
        Control steps a second of each side (`steps_per_s`, `raw_mj_step_per_s`, `dm_control_per_s`, ...), ratios
        (`of_raw`, `of_raw_all_proprios`, `over_dm_control`, `over_dm_control_long`, `over_original`,
        `over_original_long`) and how it was measured. Where dm_control's environment cannot run, what depends on it
        is None and `dm_control_problem` says why.
    """
    threads = threads or available_threads()
    sides = {
        "expert": _OurSide(CLIP, SHORT, TIME_INDEX, num_envs, threads),
        "all_proprios": _OurSide(CLIP, ALL, ALL_PROPRIOS, num_envs, threads),
        "long": _OurSide(LONG_CLIP, LONG, TIME_INDEX, min(num_envs, _LONG_ENVS), threads, follow=True),
    }
    pool, problem = _open_pool(threads)
    try:
        samples = _rounds(sides, pool, progress)
    finally:
        for side in sides.values():
            side.close()
        if pool is not None:
            pool.close()
    settings = {
        "num_envs": num_envs,
        "threads": threads,
        "rounds": len(samples["steps_per_s_long"]),
        "clip": CLIP,
        "clip_long": LONG_CLIP,
    }
    return _medians(samples) | settings | {"dm_control_problem": problem}


def _open_pool(processes: int) -> tuple[ComposerPool | None, str | None]:
    try:
        return ComposerPool(_COMPOSER, processes), None
    except RunError as error:
        return None, error.message


class _OurSide:
    """One kind of work for our batch, and bare physics that replays every turn of it, so that the two go abreast."""

    def __init__(
        self,
        clip: str,
        config: TrackingConfig,
        observables: tuple[str, ...],
        num_envs: int,
        threads: int,
        *,
        follow: bool = False,
    ) -> None:
        library = open_library()
        snippets = [(library.get(clip), library.resolve(clip))]
        self._targets = follow_actions(clip) if follow else None
        self.batch = TrackingBatch(snippets, num_envs=num_envs, observables=observables, config=config, threads=threads)
        self.raw = RawPhysics(self.batch.walker.model, num_envs, threads)
        self._rng = np.random.default_rng(0)
        self.batch.reset()
        for env, start in enumerate(self.batch.starts()):
            self.raw.start(env, self._state(start))

    def turn(self) -> _Turn:
        """Step the batch, observations, rewards and resets included."""
        batch, actions, resets = self.batch, self._actions(), []
        begun = time.perf_counter()
        for action in actions:
            ended = batch.step(action).done_envs
            starts = batch.starts() if len(ended) else []
            resets.append([(int(env), starts[env]) for env in ended])
        return _Turn(time.perf_counter() - begun, actions, resets)

    def replay(self, turn: _Turn) -> float:
        """Control steps a second of bare `mj_step` with the same starts, actions and resets on as many threads."""
        resets = [[(env, self._state(start)) for env, start in ended] for ended in turn.resets]
        return turn.steps / self.raw.replay(turn.actions, resets)

    def close(self) -> None:
        """Release the threads."""
        self.batch.close()

    def _actions(self) -> FloatArray:
        num_envs = self.batch.num_envs
        if self._targets is not None:
            return np.repeat(self._targets[:, None], num_envs, axis=1)
        steps = max(8, round(_SHORT_STEPS / num_envs))
        return FRESH_POLICY_STD * self._rng.standard_normal((steps, num_envs, NUM_JOINTS))

    def _state(self, start: Start | None) -> State | None:
        if start is None:
            return None
        bank = self.batch.task.bank
        row = bank.first_row[start.snippet_index] + start.start_step - bank.start_step[start.snippet_index]
        return bank.start(int(row))


Samples = dict[str, list[float]]


def _rounds(sides: dict[str, _OurSide], pool: ComposerPool | None, progress: Progress) -> Samples:
    samples: Samples = {}
    for number in rounds_in_time(progress, least=MIN_ROUNDS, most=MAX_ROUNDS, seconds=TIME_LIMIT):
        measured = _round(sides, pool)
        for name, values in measured.items() if number else ():
            samples.setdefault(name, []).extend(values)
    return samples


def _round(sides: dict[str, _OurSide], pool: ComposerPool | None) -> Samples:
    samples = _against_raw(sides["expert"], "") | _against_raw(sides["all_proprios"], "_all_proprios")
    turn = sides["long"].turn()
    samples |= {"steps_per_s_long": [turn.rate], "episode_steps_long": [turn.episode_steps]}
    if pool is None:
        return samples
    ours = {"": float(np.mean(samples["steps_per_s"])), "_long": turn.rate}
    for name in _COMPOSER:
        theirs = pool.rate(name, SLICE_SECONDS)
        samples[f"{name}_per_s"] = [theirs]
        samples[f"over_{name}"] = [ours["_long" if name.endswith("_long") else ""] / theirs]
    return samples


def _against_raw(side: _OurSide, suffix: str) -> Samples:
    turns = [(turn, side.replay(turn)) for turn in (side.turn() for _ in range(PAIRS))]
    return {
        f"steps_per_s{suffix}": [turn.rate for turn, _ in turns],
        f"raw_mj_step_per_s{suffix}": [raw for _, raw in turns],
        f"of_raw{suffix}": [turn.rate / raw for turn, raw in turns],
        f"episode_steps{suffix}": [turn.episode_steps for turn, _ in turns],
    }


def _medians(samples: Samples) -> dict[str, float | None]:
    unknown = [name for composer in _COMPOSER for name in (f"{composer}_per_s", f"over_{composer}")]
    return dict.fromkeys(unknown) | {name: float(np.median(taken)) for name, taken in samples.items()}
