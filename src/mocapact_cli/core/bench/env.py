"""How fast the batched physics is: against bare ``mj_step`` and against dm_control's environment."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from mocapact_cli.core.bench.composer_pool import FRESH_POLICY_STD, ComposerPool, Workload, follow_actions
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.batch import TrackingBatch, available_threads
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, TIME_INDEX
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig
from mocapact_cli.core.walker.model import NUM_JOINTS, SUBSTEPS, FloatArray

CLIP = "demo_walk"
DEFAULT_NUM_ENVS = 128
MAX_ROUNDS, MIN_ROUNDS = 7, 3
TIME_LIMIT = 110.0
"""Seconds after which no further round begins."""
SLICE_SECONDS = 1.2
"""Least duration of one process's turn with dm_control's environment."""
_SHORT_STEPS = 4000
"""Control steps of all environments together in one turn with short episodes."""
_LONG_ENVS = 64
"""Most environments in turns with long episodes, which would take long with more."""

SHORT = TrackingConfig()
ALL = TrackingConfig(ref_steps=(1, 2, 3, 4, 5))
LONG = TrackingConfig(termination_error_threshold=math.inf, always_init_at_clip_start=True)
_COMPOSER = {
    "dm_control": Workload(CLIP, SHORT),
    "original": Workload(CLIP, SHORT, ghost=True),
    "dm_control_long": Workload(CLIP, LONG, follow=True),
    "original_long": Workload(CLIP, LONG, follow=True, ghost=True),
}


@dataclass
class _Turn:
    """What one turn did, so that bare physics can do the same.

    Attributes:
        seconds: it took. actions: (K, N, 56). first: the first starts.
        resets: for each step the environments that began anew, and where.
    """

    seconds: float
    actions: FloatArray
    first: list[Start | None]
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

    Ratios are medians of the ratios within a round, whose sides ran one right after the other.

    Args:
        num_envs: environments in our batch.
        threads: threads of our batch, and processes of dm_control's environment; default: all processors.
        progress: told of every turn.

    Returns:
        Control steps a second of each side (``steps_per_s``, ``raw_mj_step_per_s``, ``dm_control_per_s``, ...), ratios
        (``of_raw``, ``of_raw_all_proprios``, ``over_dm_control``, ``over_dm_control_long``, ``over_original``,
        ``over_original_long``) and how it was measured. Where dm_control's environment cannot run, what depends on it
        is None and ``dm_control_problem`` says why.
    """
    threads = threads or available_threads()
    sides = {
        "expert": _OurSide(SHORT, TIME_INDEX, num_envs, threads),
        "all_proprios": _OurSide(ALL, ALL_PROPRIOS, num_envs, threads),
        "long": _OurSide(LONG, TIME_INDEX, min(num_envs, _LONG_ENVS), threads, follow_actions(CLIP)),
    }
    pool, problem = _open_pool(threads)
    try:
        rounds = _rounds(sides, pool, progress)
    finally:
        for side in sides.values():
            side.close()
        if pool is not None:
            pool.close()
    settings = {"num_envs": num_envs, "threads": threads, "rounds": len(rounds), "clip": CLIP}
    return _summary(rounds) | settings | {"dm_control_problem": problem}


def _open_pool(processes: int) -> tuple[ComposerPool | None, str | None]:
    try:
        return ComposerPool(_COMPOSER, processes), None
    except RunError as error:
        return None, error.message


class _OurSide:
    """One kind of work for our batch, and the bare physics that replays it."""

    def __init__(
        self,
        config: TrackingConfig,
        observables: tuple[str, ...],
        num_envs: int,
        threads: int,
        targets: FloatArray | None = None,
    ) -> None:
        library = open_library()
        snippets = [(library.get(CLIP), library.resolve(CLIP))]
        self.threads, self._targets = threads, targets
        self.batch = TrackingBatch(snippets, num_envs=num_envs, observables=observables, config=config, threads=threads)
        self._data = [mujoco.MjData(self.batch.walker.model) for _ in range(num_envs)]
        self._rng = np.random.default_rng(0)

    def turn(self) -> _Turn:
        """Step the batch, observations, rewards and resets included."""
        batch, actions = self.batch, self._actions()
        batch.reset()
        first, resets = batch.starts(), []
        begun = time.perf_counter()
        for action in actions:
            ended = batch.step(action).done_envs
            starts = batch.starts() if len(ended) else []
            resets.append([(int(env), starts[env]) for env in ended])
        return _Turn(time.perf_counter() - begun, actions, first, resets)

    def replay(self, turn: _Turn) -> float:
        """Control steps a second of bare ``mj_step`` with the same starts, actions and resets on as many threads."""
        bounds = [round(part * len(self._data) / self.threads) for part in range(self.threads + 1)]
        for env, start in enumerate(turn.first):
            self._start(env, start)
        workers = [
            threading.Thread(target=self._replay, args=(turn, begin, end)) for begin, end in itertools.pairwise(bounds)
        ]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return turn.steps / (time.perf_counter() - begun)

    def close(self) -> None:
        """Release the threads."""
        self.batch.close()

    def _actions(self) -> FloatArray:
        num_envs = self.batch.num_envs
        if self._targets is not None:
            return np.repeat(self._targets[:, None], num_envs, axis=1)
        steps = max(8, round(_SHORT_STEPS / num_envs))
        return FRESH_POLICY_STD * self._rng.standard_normal((steps, num_envs, NUM_JOINTS))

    def _replay(self, turn: _Turn, begin: int, end: int) -> None:
        model, step = self.batch.walker.model, mujoco.mj_step
        for action, resets in zip(turn.actions, turn.resets, strict=True):
            for env in range(begin, end):
                data = self._data[env]
                data.ctrl[:] = action[env]
                step(model, data, SUBSTEPS)
            for env, start in resets:
                if begin <= env < end:
                    self._start(env, start)

    def _start(self, env: int, start: Start | None) -> None:
        data, bank = self._data[env], self.batch.task.bank
        mujoco.mj_resetData(self.batch.walker.model, data)
        if start is not None:
            row = bank.first_row[start.snippet_index] + start.start_step - bank.start_step[start.snippet_index]
            data.qpos[:], data.qvel[:] = bank.start(int(row))


Round = dict[str, float]


def _rounds(sides: dict[str, _OurSide], pool: ComposerPool | None, progress: Progress) -> list[Round]:
    rounds: list[Round] = []
    begun = time.perf_counter()
    with progress.task("Measuring", MAX_ROUNDS + 1, "rounds") as task:
        # The first round only warms up.
        while len(rounds) <= MIN_ROUNDS or (len(rounds) <= MAX_ROUNDS and time.perf_counter() - begun < TIME_LIMIT):
            rounds.append(_round(sides, pool))
            task.advance()
    return rounds[1:]


def _round(sides: dict[str, _OurSide], pool: ComposerPool | None) -> Round:
    expert, everything, long = sides["expert"], sides["all_proprios"], sides["long"]
    turn = expert.turn()
    result = {"steps_per_s": turn.rate, "raw_mj_step_per_s": expert.replay(turn), "episode_steps": turn.episode_steps}
    turn = everything.turn()
    result |= {"steps_per_s_all_proprios": turn.rate, "raw_mj_step_per_s_all_proprios": everything.replay(turn)}
    turn = long.turn()
    result |= {"steps_per_s_long": turn.rate, "episode_steps_long": turn.episode_steps}
    if pool is not None:
        result |= {f"{name}_per_s": pool.rate(name, SLICE_SECONDS) for name in _COMPOSER}
    return result


_RATIOS = {
    "of_raw": ("steps_per_s", "raw_mj_step_per_s"),
    "of_raw_all_proprios": ("steps_per_s_all_proprios", "raw_mj_step_per_s_all_proprios"),
    "over_dm_control": ("steps_per_s", "dm_control_per_s"),
    "over_dm_control_long": ("steps_per_s_long", "dm_control_long_per_s"),
    "over_original": ("steps_per_s", "original_per_s"),
    "over_original_long": ("steps_per_s_long", "original_long_per_s"),
}


def _summary(rounds: list[Round]) -> dict[str, float | None]:
    names = dict.fromkeys([*rounds[0], *(f"{name}_per_s" for name in _COMPOSER)])
    result = {name: _median([measured.get(name) for measured in rounds]) for name in names}
    for name, sides in _RATIOS.items():
        result[name] = _median([_ratio(measured, *sides) for measured in rounds])
    return result


def _ratio(measured: Round, above: str, below: str) -> float | None:
    return measured[above] / measured[below] if below in measured else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
