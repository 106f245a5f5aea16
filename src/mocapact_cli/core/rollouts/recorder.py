"""Rolling out experts and recording what happens, one HDF5 file a clip."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from mocapact_cli import __version__
from mocapact_cli.core.config import to_dict
from mocapact_cli.core.datasets.metrics import METRICS_FILE, write_metrics
from mocapact_cli.core.datasets.reader import SUFFIX, RolloutFile
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import MODEL_FILE, ExpertLocation, LoadedExpert, load_expert
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.rollouts.actors import ExpertsActor, few_torch_threads
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, Tick, open_batch, run_episodes
from mocapact_cli.core.rollouts.gae import generalized_advantages
from mocapact_cli.core.rollouts.noise import stream, text_key
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, ObservableLayout
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig, TrackingTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import EpisodeEnd, TrackingBatch
    from mocapact_cli.core.walker.model import Walker

WAVE_SNIPPETS = 32
"""Snippets whose episodes share a batch: enough to keep it full, few enough to hold their experts in memory."""
_START_STREAM = 0xFFFFFFFF
"""Where an episode's number would stand in a key, for the stream that draws the snippet's random starts."""


@dataclass(frozen=True)
class RolloutConfig:
    """What is recorded; every field but the last three decides the data."""

    n_start_rollouts: int = 10
    """Episodes of each snippet from its first step."""
    n_rsi_rollouts: int = 10
    """Episodes of each snippet from random steps."""
    act_noise: float = 0.1
    """Standard deviation of the noise on the expert's mean action."""
    ref_steps: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Steps ahead at which the recorded reference observables look."""
    min_steps: int = 30
    """Random starts leave room for at least one step less than this."""
    termination_error_threshold: float = 0.3
    """Error at which an episode fails."""
    seed: int = 0
    """Of starts and noise."""
    num_envs: int | None = None
    """Environments side by side; chosen by machine and work if not given."""
    threads: int | None = None
    """Threads of the physics; all cores if not given."""
    device: str = "cpu"
    """Where the experts' networks run."""

    def __post_init__(self) -> None:
        if min(self.n_start_rollouts, self.n_rsi_rollouts) < 0 or self.n_start_rollouts + self.n_rsi_rollouts < 1:
            raise UsageError("At least one rollout a snippet is needed, from its start or from random steps.")
        object.__setattr__(self, "ref_steps", tuple(sorted(self.ref_steps)))

    def record(self) -> dict[str, Any]:
        """Return the settings that decide the data."""
        machine = ("num_envs", "threads", "device")
        return {name: value for name, value in to_dict(self).items() if name not in machine}

    def task(self) -> TrackingConfig:
        """Return the settings of the task; the noise is added here, not there."""
        return TrackingConfig(
            ref_steps=self.ref_steps,
            min_steps=self.min_steps,
            termination_error_threshold=self.termination_error_threshold,
        )


@dataclass(frozen=True)
class RolloutSummary:
    """What a recording has come to.

    Attributes:
        folder: Where the files are.
        recorded: Clips written now.
        skipped: Clips that were complete already.
        episodes: Episodes recorded now.
        steps: Control steps recorded now.
        failed: Recorded episodes that ended early.
    """

    folder: Path
    recorded: tuple[str, ...]
    skipped: tuple[str, ...]
    episodes: int
    steps: int
    failed: int


def record_rollouts(
    experts: Sequence[ExpertLocation],
    get_clip: Callable[[str], Clip],
    folder: Path | str,
    config: RolloutConfig | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    walker: Walker | None = None,
    progress: Progress | None = None,
) -> RolloutSummary:
    """Roll out experts and record their episodes as one HDF5 file a clip, with `dataset_metrics.npz` beside.

    A file appears when all its episodes are in it, so an interrupted recording loses only clips that were being
    recorded. Two recordings with one seed hold equal data, in whatever batches they ran.

    Args:
        experts: The experts, at most one for a snippet.
        get_clip: Gives the clip of an id.
        folder: Where the files go.
        config: What to record.
        resume: Continue in a folder that holds files of the same recording.
        force: Replace the rollouts that the folder holds.
        walker: The body; default: the CMU humanoid.
        progress: Told of every episode.

    Raises:
        UsageError: The folder is not empty and neither `resume` nor `force` is given, the files there are of other
            settings, or a snippet has two experts.
        NotFoundError: A clip does not exist.
        InvalidInputError: An expert is damaged, or a snippet is too short.
        RunError: The disk is full.
    """
    config, progress = config or RolloutConfig(), progress or NullProgress()
    folder = Path(folder)
    clips = _by_clip(experts)
    _prepare_folder(folder, clips, resume=resume, force=force)
    attributes = {clip_id: _attributes(config, members) for clip_id, members in clips.items()}
    done = [clip_id for clip_id in clips if _is_recorded(folder / f"{clip_id}{SUFFIX}", attributes[clip_id])]
    waiting = {clip_id: members for clip_id, members in clips.items() if clip_id not in done}
    recording = _Recording(config, folder, get_clip, walker, progress)
    for wave in _waves(waiting):
        recording.run(wave, attributes)
    if waiting or not (folder / METRICS_FILE).exists():
        write_metrics(folder)
    return RolloutSummary(folder, tuple(waiting), tuple(done), recording.episodes, recording.steps, recording.failed)


Wave = list[tuple[str, list[ExpertLocation]]]


@dataclass
class _Recording:
    """One call of `record_rollouts`: what stays the same from wave to wave, and its counts."""

    config: RolloutConfig
    folder: Path
    get_clip: Callable[[str], Clip]
    walker: Walker | None
    progress: Progress
    episodes: int = 0
    steps: int = 0
    failed: int = 0

    def run(self, wave: Wave, attributes: Mapping[str, Mapping[str, Any]]) -> None:
        """Record the clips of one wave."""
        config = self.config
        loaded = [load_expert(place, device=config.device) for _, members in wave for place in members]
        snippets = [(self.get_clip(expert.location.snippet.clip_id), expert.location.snippet) for expert in loaded]
        plan = plan_rollouts(snippets, config)
        with (
            contextlib.ExitStack() as stack,
            open_batch(
                snippets,
                plan,
                observables=ALL_PROPRIOS,
                config=config.task(),
                num_envs=config.num_envs,
                threads=config.threads,
                walker=self.walker,
            ) as batch,
            few_torch_threads(batch.threads),
        ):
            writers = _Writers(stack, self.folder, config, attributes, wave)
            actor = ExpertsActor([expert.policy for expert in loaded], plan, batch)
            recorder = EpisodeRecorder(batch, plan, actor, loaded, writers.add)
            ends = run_episodes(
                batch,
                plan,
                actor,
                act_noise=config.act_noise,
                seed=config.seed,
                listeners=[recorder],
                progress=self.progress,
                description=f"Rolling out {_name_wave(wave)}",
            )
        self.episodes += len(ends)
        self.steps += sum(end.length for end in ends)
        self.failed += sum(end.early_termination for end in ends)


def plan_rollouts(snippets: Sequence[tuple[Clip, Snippet]], config: RolloutConfig) -> list[PlannedEpisode]:
    """List the episodes of every snippet, starts first; each has a random stream, named by snippet and slot."""
    task = TrackingTask(snippets, config.task())
    plan = []
    for index, (_, snippet) in enumerate(snippets):
        name = text_key(str(snippet))
        rng = stream(config.seed, (name, _START_STREAM))
        offsets = [0] * config.n_start_rollouts
        offsets += rng.integers(task.num_starts(index), size=config.n_rsi_rollouts).tolist()
        starts = [Start(index, snippet.start_step + offset) for offset in offsets]
        plan += [PlannedEpisode(start, (name, slot)) for slot, start in enumerate(starts)]
    return plan


class EpisodeRecorder:
    """A listener that keeps the running episode of each environment and hands it on when it ends.

    Args:
        batch: The environments.
        plan: The episodes that run.
        actor: Who acts; its values are recorded.
        experts: One for each snippet of the batch, for discounts.
        write: Is given (snippet, slot, record) of every ended episode.
    """

    def __init__(
        self,
        batch: TrackingBatch,
        plan: Sequence[PlannedEpisode],
        actor: ExpertsActor,
        experts: Sequence[LoadedExpert],
        write: Callable[[Snippet, int, EpisodeRecord], None],
    ) -> None:
        self._plan, self._actor, self._experts, self._write = plan, actor, experts, write
        self._rows = np.arange(batch.num_envs)
        steps = max(batch.task.steps_left(episode.start) for episode in plan)
        shape = (batch.num_envs, steps)
        act_size = len(experts[0].policy.std)
        self._observations = np.zeros((batch.num_envs, steps + 1, batch.obs_size), dtype=np.float32)
        self._means, self._actions = (np.zeros((*shape, act_size), dtype=np.float32) for _ in range(2))
        self._rewards, self._values = np.zeros(shape), np.zeros(shape, dtype=np.float32)
        self._finals: dict[int, np.ndarray[Any, Any]] = {}

    def on_tick(self, tick: Tick) -> None:
        """Keep one step of every environment."""
        at = (self._rows, tick.steps)
        self._observations[at] = tick.observations
        self._means[at], self._actions[at] = tick.means, tick.actions
        self._rewards[at], self._values[at] = tick.result.rewards, self._actor.values
        self._finals = dict(zip(tick.result.done_envs.tolist(), tick.result.final_observations, strict=True))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Hand the episode on."""
        expert, env, steps = self._experts[episode.snippet_index], episode.env, slice(episode.length)
        self._observations[env, episode.length] = self._finals[env]
        rewards, values = self._rewards[env, steps], self._values[env, steps]
        record = EpisodeRecord(
            observations=self._observations[env, : episode.length + 1],
            actions=self._actions[env, steps],
            mean_actions=self._means[env, steps],
            rewards=rewards,
            values=values,
            advantages=generalized_advantages(rewards, values, gamma=expert.gamma, gae_lambda=expert.gae_lambda),
            early_termination=episode.early_termination,
            episode_return=episode.episode_return,
            norm_return=episode.norm_return,
            norm_length=episode.norm_length,
        )
        self._write(expert.location.snippet, self._plan[index].key[1], record)


class _Writers:
    """The open files of a wave: one is opened with its first episode and closed with its last."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        folder: Path,
        config: RolloutConfig,
        attributes: Mapping[str, Mapping[str, Any]],
        wave: Wave,
    ) -> None:
        self._stack, self._folder, self._attributes = stack, folder, attributes
        self._snippets = {clip_id: [str(place.snippet) for place in members] for clip_id, members in wave}
        widths = ObservableLayout(ALL_PROPRIOS, config.ref_steps).slices
        self._layout = RolloutLayout(
            observables={name: columns.stop - columns.start for name, columns in widths.items()},
            ref_steps=config.ref_steps,
            n_start_rollouts=config.n_start_rollouts,
            n_rsi_rollouts=config.n_rsi_rollouts,
        )
        self._open: dict[str, tuple[RolloutWriter, contextlib.ExitStack]] = {}

    def add(self, snippet: Snippet, slot: int, record: EpisodeRecord) -> None:
        """Write one episode; with a clip's last one its file appears."""
        clip_id = snippet.clip_id
        if clip_id not in self._open:
            own = self._stack.enter_context(contextlib.ExitStack())
            path = self._folder / f"{clip_id}{SUFFIX}"
            writer = RolloutWriter(path, self._layout, self._snippets[clip_id], self._attributes[clip_id])
            self._open[clip_id] = own.enter_context(writer), own
        writer, own = self._open[clip_id]
        writer.add(str(snippet), slot, record)
        if writer.complete:
            del self._open[clip_id]
            own.close()


def _by_clip(experts: Sequence[ExpertLocation]) -> dict[str, list[ExpertLocation]]:
    """Group experts by clip, each group by start step."""
    if not experts:
        raise NotFoundError("There are no experts to roll out.", hint="Give a folder that holds some.")
    clips: dict[str, list[ExpertLocation]] = defaultdict(list)
    for place in sorted(experts, key=lambda place: place.snippet):
        members = clips[place.snippet.clip_id]
        if members and members[-1].snippet == place.snippet:
            raise UsageError(
                f"{place.snippet} has two experts: {members[-1].root} and {place.root}.",
                hint="Name the one that you want instead of the folder above.",
            )
        members.append(place)
    return dict(clips)


def _waves(clips: Mapping[str, list[ExpertLocation]]) -> Iterator[Wave]:
    """Split the clips into groups of about `WAVE_SNIPPETS` snippets."""
    wave: Wave = []
    for item in clips.items():
        wave.append(item)
        if sum(len(members) for _, members in wave) >= WAVE_SNIPPETS:
            yield wave
            wave = []
    if wave:
        yield wave


def _name_wave(wave: Wave) -> str:
    first, last = wave[0][0], wave[-1][0]
    return first if first == last else f"{first} to {last}"


def _attributes(config: RolloutConfig, members: Sequence[ExpertLocation]) -> dict[str, Any]:
    """Return what a file says of its own making; equal makings give equal words."""
    experts = {str(place.snippet): _digest(place.model / MODEL_FILE) for place in members}
    versions = {"mocapact": __version__, "mujoco": mujoco.__version__}
    return {
        "config": json.dumps(config.record(), sort_keys=True),
        "experts": json.dumps(experts, sort_keys=True),
        "versions": json.dumps(versions, sort_keys=True),
        "seed": config.seed,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _prepare_folder(folder: Path, clips: Mapping[str, Any], *, resume: bool, force: bool) -> None:
    """Make sure that nothing is overwritten that the user has not named, and sweep up after a killed recording."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file.", hint="Give the folder of the dataset with -o.")
    content = list(folder.iterdir()) if folder.is_dir() else []
    if content and not resume and not force:
        raise UsageError(
            f"{folder} is not empty.",
            hint="Continue an interrupted recording with --resume, or replace it with --force.",
        )
    leftovers = [folder.glob(f".{clip_id}{SUFFIX}.*.partial") for clip_id in clips]
    replaced = (path for path in content if force and (path.name == METRICS_FILE or _is_rollout_file(path)))
    for path in itertools.chain(replaced, *leftovers):
        path.unlink(missing_ok=True)


def _is_rollout_file(path: Path) -> bool:
    """Whether a file can be replaced without loss to anything but rollouts."""
    if path.suffix != SUFFIX:
        return False
    try:
        RolloutFile(path).close()
    except InvalidInputError:
        return False
    return True


def _is_recorded(path: Path, attributes: Mapping[str, Any]) -> bool:
    """Whether a file holds this very recording.

    Raises:
        UsageError: It holds another one.
    """
    if not path.exists():
        return False
    try:
        with RolloutFile(path) as file:
            found = {name: file.handle.attrs.get(name) for name in ("config", "experts")}
    except InvalidInputError as error:
        raise InvalidInputError(error.message, hint="Delete it, or replace everything with --force.") from error
    differing = [name for name, value in found.items() if value != attributes[name]]
    if differing:
        raise UsageError(
            f"{path} was recorded with other {' and '.join(differing)}.",
            hint="Give the settings that it was begun with, another folder, or --force.",
        )
    return True
