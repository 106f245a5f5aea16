"""Rolling out experts and recording what happens, one HDF5 file a clip."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.datasets.metrics import METRICS_FILE, write_metrics
from mocapact_cli.core.datasets.reader import SUFFIX
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.formatting import counted
from mocapact_cli.core.interop.expert_folder import check_model
from mocapact_cli.core.media.gl import find_backend
from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.rollouts.actors import ExpertsActor
from mocapact_cli.core.rollouts.clip_files import ClipFiles, group_by_clip, is_recorded, prepare_folder
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.episode_recorder import EpisodeRecorder, EpisodeWriting
from mocapact_cli.core.rollouts.episodes import default_num_envs, stream_episodes
from mocapact_cli.core.rollouts.filming import Filmed, open_cameras
from mocapact_cli.core.rollouts.plan import RolloutPlan, SnippetQueue
from mocapact_cli.core.rollouts.supply import Clips, SnippetSupply
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, ObservableLayout
from mocapact_cli.core.tasks.tracking import RollingTask, check_clip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mocapact_cli.core.envs.batch import EpisodeEnd
    from mocapact_cli.core.interop.expert_folder import ExpertLocation
    from mocapact_cli.core.rollouts.episodes import Listener
    from mocapact_cli.core.walker.model import Walker

MAX_EXPERTS = 64
"""Snippets in a batch of the default size, and so experts in memory: at most about 1.2 GB of published ones."""
MAX_FILMED = 32
"""Environments in a batch of the default size whose images are in memory until their episodes end."""


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
    clips: Clips,
    folder: Path | str,
    config: RolloutConfig | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    metrics: bool = True,
    walker: Walker | None = None,
    progress: Progress | None = None,
) -> RolloutSummary:
    """Roll out experts and record their episodes as one HDF5 file a clip, with `dataset_metrics.npz` beside.

    A file appears when all its episodes are in it, so an interrupted recording loses only clips that were being
    recorded. Two recordings with one seed hold equal data, in whatever batches they ran.

    Args:
        experts: The experts, at most one for a snippet.
        clips: Gives the clips.
        folder: Where the files go.
        config: What to record.
        resume: Continue in a folder that holds files of the same recording.
        force: Replace the rollouts that the folder holds.
        metrics: Write `dataset_metrics.npz`, for which all files of the folder are read; who records into it in parts
            does so after the last one.
        walker: The body; default: the CMU humanoid.
        progress: Told of every episode.

    Raises:
        UsageError: The folder is not empty and neither `resume` nor `force` is given, the files there are of other
            settings, a snippet has two experts, or an expert sees what is not recorded.
        NotFoundError: A clip does not exist.
        InvalidInputError: An expert is damaged, or a snippet is too short.
        MissingDependencyError: Images are to be recorded and no OpenGL works here.
        RunError: The disk is full.
    """
    config, folder = config or RolloutConfig(), Path(folder)
    by_clip = group_by_clip(experts)
    _check(experts, clips, config)
    recording = _Recording(config, folder, clips, walker)
    prepare_folder(folder, by_clip, resume=resume, force=force, metrics=metrics)
    done = [
        clip_id for clip_id, members in by_clip.items() if is_recorded(folder / f"{clip_id}{SUFFIX}", config, members)
    ]
    waiting = {clip_id: members for clip_id, members in by_clip.items() if clip_id not in done}
    if waiting:
        recording.run(waiting, progress or NullProgress())
    if metrics and (waiting or not (folder / METRICS_FILE).exists()):
        write_metrics(folder)
    return RolloutSummary(folder, tuple(waiting), tuple(done), recording.episodes, recording.steps, recording.failed)


def record_clips(
    clips_of_experts: Mapping[str, Sequence[ExpertLocation]],
    clips: Clips,
    folder: Path,
    config: RolloutConfig,
    *,
    walker: Walker | None = None,
    listeners: Sequence[Listener] = (),
) -> Iterator[EpisodeEnd]:
    """Record the files of some clips and yield the end of every episode; all is written when nothing more comes.

    The arguments and errors are those of `record_rollouts`, with the experts grouped by clip; `listeners` are told of
    everything besides.
    """
    places = [place for members in clips_of_experts.values() for place in members]
    task = RollingTask([place.snippet for place in places], config.task())
    plan, layout = RolloutPlan(task, config), ObservableLayout(ALL_PROPRIOS, config.ref_steps)
    with contextlib.ExitStack() as stack:
        supply = stack.enter_context(
            SnippetSupply(places, clips, task, layout, episodes_each=plan.episodes_each, device=config.device)
        )
        batch = stack.enter_context(_open_batch(task, plan, supply, config, walker))
        stack.enter_context(few_torch_threads(1))
        actor = stack.enter_context(ExpertsActor(supply.expert, plan.snippets_of, threads=batch.threads))
        files = stack.enter_context(ClipFiles(folder, config, clips_of_experts, layout))
        cameras = stack.enter_context(open_cameras(batch)) if config.log_cameras else None
        writing = stack.enter_context(EpisodeWriting(files.add, makers=max(1, batch.threads // 4)))
        recorder = EpisodeRecorder(plan, supply, writing, cameras)
        acting = Filmed(actor, cameras) if cameras else actor
        ends = stream_episodes(
            batch, plan, acting, act_noise=config.act_noise, seed=config.seed, listeners=[recorder, *listeners]
        )
        for _, end in ends:
            yield end


@dataclass
class _Recording:
    """One call of `record_rollouts`, and its counts."""

    config: RolloutConfig
    folder: Path
    clips: Clips
    walker: Walker | None
    episodes: int = 0
    steps: int = 0
    failed: int = 0

    def run(self, waiting: Mapping[str, Sequence[ExpertLocation]], progress: Progress) -> None:
        """Record clips."""
        config = self.config
        snippets = sum(map(len, waiting.values()))
        total = snippets * config.episodes_each
        with progress.task(f"Rolling out {counted(snippets, 'expert')}", total=total, unit="episodes") as task:
            for end in record_clips(waiting, self.clips, self.folder, config, walker=self.walker):
                self.episodes += 1
                self.steps += end.length
                self.failed += end.early_termination
                task.advance()


def _check(experts: Sequence[ExpertLocation], clips: Clips, config: RolloutConfig) -> None:
    """See that everything is there before anything begins, without reading much of it."""
    for place in experts:
        check_clip(place.snippet, clips.num_steps(place.snippet.clip_id))
        check_model(place.model)
    RollingTask([place.snippet for place in experts], config.task())
    if config.log_cameras:
        find_backend()


def _open_batch(
    task: RollingTask, plan: RolloutPlan, supply: SnippetSupply, config: RolloutConfig, walker: Walker | None
) -> TrackingBatch:
    threads = config.threads or available_threads()
    suitable = min(default_num_envs(len(plan), threads), max(1, MAX_EXPERTS * plan.episodes_each // 2))
    if config.log_cameras:
        suitable = min(suitable, MAX_FILMED)
    return TrackingBatch(
        task,
        num_envs=min(config.num_envs or suitable, len(plan)),
        observables=ALL_PROPRIOS,
        threads=threads,
        starts=SnippetQueue(plan, supply.open),
        walker=walker,
    )
