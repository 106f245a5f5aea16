"""How fast experts are recorded: everything from reading them to files on disk, against bare `mj_step`."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.bench.pd_experts import FAST_LAYERS, PUBLISHED_LAYERS, SNIPPETS, write_pd_experts
from mocapact_cli.core.bench.raw_physics import RawPhysics, State
from mocapact_cli.core.bench.rounds import rounds_in_time
from mocapact_cli.core.clips.library import ClipLibrary, open_library
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.rollouts.clip_files import group_by_clip
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.plan import RolloutPlan
from mocapact_cli.core.rollouts.recorder import record_clips
from mocapact_cli.core.tasks.tracking import RollingTask
from mocapact_cli.core.walker.model import FloatArray, get_walker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd
    from mocapact_cli.core.interop.expert_folder import ExpertLocation
    from mocapact_cli.core.rollouts.episodes import Tick

MAX_ROUNDS, MIN_ROUNDS = 5, 2
TIME_LIMIT = 90.0
"""Seconds after which no further round begins."""
SIZES = {"": FAST_LAYERS, "_published": PUBLISHED_LAYERS}
"""Ending of the names of what is measured -> hidden layers of the experts."""

TO_THE_END = RolloutConfig(n_start_rollouts=15, n_rsi_rollouts=15, termination_error_threshold=math.inf)


def measure_rollout(
    num_envs: int | None = None,
    threads: int | None = None,
    *,
    config: RolloutConfig | None = None,
    snippets: Sequence[Snippet] = SNIPPETS,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> dict[str, Any]:
    """Record the same experts several times, replay each recording in bare physics, and return medians.

    This is done with experts as large as those that the preset `fast` trains, and with some as large as the published.

    Args:
        num_envs: Environments of the batch; default: as `mocapact rollout` chooses.
        threads: Threads of both sides; default: all processors.
        config: What is recorded; default: 30 episodes of each snippet that run to the snippet's end, as those of
            trained experts do.
        snippets: Of built-in clips; default: seven of four clips.
        progress: Told of every round.

    Returns:
        Control steps a second of both sides (`steps_per_s`, `raw_mj_step_per_s`), the median `of_raw` of their
        ratios, the same with the ending `_published`, and how they were measured.
    """
    threads = threads or available_threads()
    config = replace(config or TO_THE_END, num_envs=num_envs, threads=threads)
    with tempfile.TemporaryDirectory(prefix="mocapact-bench-") as temporary:
        library = open_library()
        clips, sides = _HeldClips(library), {}
        for size, layers in SIZES.items():
            place = Path(temporary, f"experts{size}")
            experts = write_pd_experts(place, library, snippets, layers)
            sides[size] = _Side(experts, clips, Path(temporary, "dataset"), config)
        samples = _rounds(sides, progress)
    return {name: float(np.median(taken)) for name, taken in samples.items()} | {
        "num_envs": sides[""].num_envs,
        "threads": threads,
        "rounds": len(samples["of_raw"]),
        "snippets": len(experts),
        "episodes": len(experts) * config.episodes_each,
        **{f"expert{size}": "x".join(map(str, layers)) for size, layers in SIZES.items()},
    }


class _HeldClips:
    """Clips that are made once: a built-in one takes longer to make than a recorded one to read."""

    def __init__(self, library: ClipLibrary) -> None:
        self._library = library
        self.held: dict[str, Clip] = {}

    def num_steps(self, clip_id: str) -> int:
        return self._library.num_steps(clip_id)

    def get(self, clip_id: str) -> Clip:
        if clip_id not in self.held:
            self.held[clip_id] = self._library.get(clip_id)
        return self.held[clip_id]


class _Schedule:
    """Listens to a recording so that bare physics can repeat it."""

    def __init__(self) -> None:
        self._actions: list[NDArray[np.float32]] = []
        self._episodes: list[NDArray[np.int64]] = []

    def on_tick(self, tick: Tick) -> None:
        self._actions.append(tick.actions)
        self._episodes.append(tick.episodes)

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Nothing: the next tick shows it."""

    @property
    def actions(self) -> FloatArray:
        """(K, N, 56)."""
        return np.array(self._actions, dtype=np.float64)

    @property
    def episodes(self) -> NDArray[np.int64]:
        """(K, N) planned episode of each environment in each step; -1 for none."""
        return np.array(self._episodes)


@dataclass
class _Side:
    """Records the experts, and repeats in bare physics what came of it."""

    experts: list[ExpertLocation]
    clips: _HeldClips
    folder: Path
    config: RolloutConfig
    num_envs: int = 0

    def round(self) -> dict[str, float]:
        """Record once and replay once; control steps a second of both."""
        schedule = _Schedule()
        begun = time.perf_counter()
        lengths = [end.length for end in self._record(schedule)]
        rate = sum(lengths) / (time.perf_counter() - begun)
        raw = sum(lengths) / self._replay(schedule)
        shutil.rmtree(self.folder)
        return {
            "steps_per_s": rate,
            "raw_mj_step_per_s": raw,
            "of_raw": rate / raw,
            "episode_steps": float(np.mean(lengths)),
        }

    def _record(self, schedule: _Schedule) -> Iterator[EpisodeEnd]:
        by_clip = group_by_clip(self.experts)
        return record_clips(by_clip, self.clips, self.folder, self.config, listeners=[schedule])

    def _replay(self, schedule: _Schedule) -> float:
        episodes = schedule.episodes
        self.num_envs = episodes.shape[1]
        raw = RawPhysics(get_walker().model, self.num_envs, self.config.threads or available_threads())
        states = self._states()
        for env, episode in enumerate(episodes[0]):
            raw.start(env, states[episode])
        changes = [np.flatnonzero((now != then) & (now >= 0)) for then, now in itertools.pairwise(episodes)]
        resets = [
            [(int(env), states[now[env]]) for env in envs] for envs, now in zip(changes, episodes[1:], strict=True)
        ]
        return raw.replay(schedule.actions, [*resets, []], episodes >= 0)

    def _states(self) -> list[State]:
        """Where each planned episode begins."""
        snippets = [place.snippet for members in group_by_clip(self.experts).values() for place in members]
        plan = RolloutPlan(RollingTask(snippets, self.config.task()), self.config)
        motions = {clip_id: (clip.qpos(), clip.qvel()) for clip_id, clip in self.clips.held.items()}
        places = [(snippets[start.snippet_index].clip_id, start.start_step) for start in (one.start for one in plan)]
        return [(motions[clip_id][0][step], motions[clip_id][1][step]) for clip_id, step in places]


Samples = dict[str, list[float]]


def _rounds(sides: dict[str, _Side], progress: Progress) -> Samples:
    samples: Samples = {}
    for number in rounds_in_time(progress, least=MIN_ROUNDS, most=MAX_ROUNDS, seconds=TIME_LIMIT):
        if number == 0:
            # One side warms up what both use.
            sides[""].round()
            continue
        for size, side in sides.items():
            for name, value in side.round().items():
                samples.setdefault(f"{name}{size}", []).append(value)
    return samples
