"""Searching the settings of expert training with Optuna: trials that resume, and bad ones that end early.

A trial is a run like any other, in a folder of its own, so it can be looked at, evaluated and compared like one. The
study lies beside the trials in one SQLite file. Several processes may search in one folder at once; each trial is held
by a lock, so that one whose process was killed is known and goes on from its last checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from mocapact_cli.core import atomic, json_files
from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.config import apply_overrides, check_positive, to_dict
from mocapact_cli.core.config_toml import to_toml
from mocapact_cli.core.errors import InterruptedRunError, InvalidInputError, NotFoundError, RunError, UsageError
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.interop.run_files import CONFIG
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.search_space import Space, check_space, distributions, settings_of
from mocapact_cli.core.training.expert.train import train_expert
from mocapact_cli.core.training.run_folder import RunFolder
from mocapact_cli.core.training.tracking import MetricsReader

RECORD = "search.json"
STUDY = "study.db"
BEST = "best.toml"
_LOCK = "lock"
_RUN = "run"
"""Attribute of a trial that goes on with another one's run: the number of the folder in which that lies."""
_SUPERSEDED = "superseded"
"""Attribute of a trial that another one goes on with."""


@dataclass(frozen=True)
class TuneConfig:
    """How settings are searched."""

    trials: int = 20
    """Trials in all, those of earlier calls included."""
    objective: Literal["return", "length"] = "return"
    """What is to become large: the best normalized return or length from random starts among a trial's evaluations."""
    prune: bool = True
    """End trials early whose evaluations are worse than the median of the others at the same step."""

    def __post_init__(self) -> None:
        check_positive(self, ("trials",))

    @property
    def score(self) -> str:
        """The column of the metrics that is searched for."""
        return f"rsi_norm_{self.objective}"


@dataclass(frozen=True)
class Trial:
    """One run of a search.

    Attributes:
        number: Counts from 0.
        outcome: `finished`, `pruned`, `failed` or `running`.
        score: The best normalized return or length of its evaluations; None where there was none.
        settings: What was varied.
        root: The run's folder.
    """

    number: int
    outcome: str
    score: float | None
    settings: dict[str, Any]
    root: Path


@dataclass(frozen=True)
class TuneResult:
    """What a search found.

    Attributes:
        root: Its folder.
        snippet: What was tracked.
        objective: What was searched for.
        trials: The best first, those without a score last.
        config: TOML file of the best settings, which `--config` reads; None while no trial has finished.
    """

    root: Path
    snippet: Snippet
    objective: str
    trials: list[Trial]
    config: Path | None


def tune_expert(
    clip: Clip,
    snippet: Snippet,
    base: ExpertConfig,
    space: Space,
    root: Path,
    *,
    config: TuneConfig | None = None,
    mocap: Sequence[Path] = (),
    resume: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> TuneResult:
    """Train experts with different settings, and find the settings that are best.

    Args:
        clip: The whole clip.
        snippet: The part to track.
        base: The settings that are not varied, among them how long a trial is, and the seed of training and search.
            A trial is evaluated four times at least.
        space: The settings that are, as `.search_space.read_space` gives them.
        root: The search's folder.
        config: How to search.
        mocap: Files that the clip came from, for the runs' records.
        resume: Go on with the search that lies in `root`, which must be the same one but for its number of trials.
        force: Replace it.
        progress: Told of all that happens.

    Raises:
        UsageError: The space does not fit, `root` holds a search already and neither `resume` nor `force` is
            given, or it holds another one.
        NotFoundError: There is nothing to resume.
        MissingDependencyError: Optuna is not installed.
        InvalidInputError: The search that lies there is damaged.
        InterruptedRunError: After Ctrl-C; all is saved.
    """
    optuna = require("optuna", purpose="searches of settings", extra="tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    check_space(space, base)
    # Without evaluations on the way no trial could end early.
    base = replace(base, eval_every=min(base.eval_every, max(1, base.total_timesteps // 4)))
    config = config or TuneConfig()
    _prepare(root, _record(snippet, base, space, config), resume=resume, force=force)
    search = _Search(_Trials(clip, snippet, base, tuple(mocap)), space, config, root, progress or NullProgress())
    search.run()
    return search.result()


def _record(snippet: Snippet, base: ExpertConfig, space: Space, config: TuneConfig) -> dict[str, Any]:
    """What makes a search the same one."""
    fixed = {name: value for name, value in to_dict(base).items() if name not in ("threads", "device")}
    return {"snippet": str(snippet), "objective": config.objective, "space": dict(space), "training": fixed}


def _prepare(root: Path, record: Mapping[str, Any], *, resume: bool, force: bool) -> None:
    path = root / RECORD
    if resume and not path.is_file():
        raise NotFoundError(f"There is no search to resume in {root}.", hint="Leave out --resume to start one.")
    if path.is_file() and not force:
        if not resume:
            raise UsageError(
                f"{root} already holds a search.",
                hint="Use --resume to go on with it, --force to replace it, or another folder.",
            )
        before = json_files.read_json_object(path, hint="Start again with --force.")
        if changed := [name for name, value in record.items() if before.get(name) != value]:
            raise UsageError(
                f"The search in {root} has another {changed[0]}.",
                hint="Leave it as it was, or begin another search in another folder.",
            )
        return
    if path.is_file():
        shutil.rmtree(root)
    root.mkdir(parents=True, exist_ok=True)
    json_files.write_json(path, dict(record))


@dataclass(frozen=True)
class _Trials:
    """What all trials have in common."""

    clip: Clip
    snippet: Snippet
    base: ExpertConfig
    mocap: tuple[Path, ...]


class _Search:
    """Takes trials from the study, trains them, and tells it how they went."""

    def __init__(self, trials: _Trials, space: Space, config: TuneConfig, root: Path, progress: Progress) -> None:
        self._trials, self._config, self._root, self._progress = trials, config, root, progress
        import optuna

        self._optuna: Any = optuna
        self._states = self._optuna.trial.TrialState
        self._distributions = distributions(space, self._optuna)
        self._study = self._open()

    def run(self) -> None:
        """Run trials until there are enough."""
        with self._progress.task("Searching", self._config.trials, "trials") as task:
            task.update(self._ended())
            while (taken := self._take()) is not None:
                trial, held = taken
                with held:
                    self._try(trial)
                task.update(self._ended())

    def result(self) -> TuneResult:
        """All trials, and the best one's settings in a file."""
        trials = [self._shown(trial) for trial in self._study.trials if not self._is_superseded(trial)]
        trials.sort(key=lambda trial: (trial.score is None, -(trial.score or 0.0)))
        best = next((trial for trial in trials if trial.outcome == "finished"), None)
        config = atomic.write_text(self._root / BEST, to_toml(self._with(best.settings))) if best else None
        return TuneResult(self._root, self._trials.snippet, self._config.objective, trials, config)

    def _open(self) -> Any:
        optuna, config, path = self._optuna, self._config, self._root / STUDY
        try:
            return optuna.create_study(
                storage=f"sqlite:///{path.absolute()}",
                study_name="experts",
                direction="maximize",
                load_if_exists=True,
                pruner=optuna.pruners.MedianPruner() if config.prune else optuna.pruners.NopPruner(),
            )
        except require("sqlalchemy", purpose="searches of settings", extra="tune").exc.SQLAlchemyError as error:
            raise InvalidInputError(f"{path} cannot be used as a study.", hint="Start again with --force.") from error

    def _ended(self) -> int:
        return sum(trial.state.is_finished() and not self._is_superseded(trial) for trial in self._study.trials)

    def _is_superseded(self, trial: Any) -> bool:
        """Whether another trial went on with the run of this one."""
        return bool(trial.user_attrs.get(_SUPERSEDED))

    def _take(self) -> tuple[Any, FileLock] | None:
        """The next trial, and the lock that says that it lives; None where all have been taken."""
        # One process at a time, as both belong together.
        with FileLock(self._root / _LOCK):
            self._requeue_the_dead()
            running = len(self._study.get_trials(deepcopy=False, states=[self._states.RUNNING]))
            if self._ended() + running >= self._config.trials:
                return None
            # By the trial's number, so that processes side by side, or one after the other, never draw alike.
            seed = self._trials.base.seed + len(self._study.trials)
            self._study.sampler = self._optuna.samplers.TPESampler(seed=seed)
            trial = self._study.ask(self._distributions)
            folder = self._folder(trial)
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / _LOCK)
            lock.acquire()
        return trial, lock

    def _requeue_the_dead(self) -> None:
        """Let trials whose process no longer lives go on as new ones, in the same folder."""
        for trial in self._study.get_trials(deepcopy=False, states=[self._states.RUNNING]):
            with suppress(Timeout), FileLock(self._folder(trial) / _LOCK, timeout=0):
                self._supersede(trial)

    def _supersede(self, trial: Any) -> None:
        # Optuna has no public way to note something about a trial that another process took.
        self._study._storage.set_trial_user_attr(trial._trial_id, _SUPERSEDED, True)
        self._study.tell(trial.number, state=self._states.FAIL)
        run = trial.user_attrs.get(_RUN, trial.number)
        self._study.enqueue_trial(trial.params, user_attrs={_RUN: run})

    def _try(self, trial: Any) -> None:
        root, states = self._folder(trial) / "expert", self._states
        follower = _Follower(trial, self._config.score, self._optuna.TrialPruned)
        try:
            train_expert(
                self._trials.clip,
                self._trials.snippet,
                self._with(settings_of(trial.params)),
                root,
                mocap=self._trials.mocap,
                resume=(root / CONFIG).is_file(),
                progress=self._progress,
                tracker=follower,
            )
        except self._optuna.TrialPruned:
            self._study.tell(trial, state=states.PRUNED)
        except InterruptedRunError:
            self._supersede(trial)
            raise
        except RunError as error:
            self._progress.message(f"Trial {trial.number}: {error.message}")
            self._study.tell(trial, state=states.FAIL)
        else:
            self._study.tell(trial, follower.best)

    def _with(self, settings: Mapping[str, Any]) -> ExpertConfig:
        return apply_overrides(self._trials.base, settings)

    def _folder(self, trial: Any) -> Path:
        return self._root / "trials" / f"{trial.user_attrs.get(_RUN, trial.number):04d}"

    def _shown(self, trial: Any) -> Trial:
        root = self._folder(trial) / "expert"
        rows = [row[self._config.score] for row in RunFolder(root).metrics() if self._config.score in row]
        names = {self._states.COMPLETE: "finished", self._states.PRUNED: "pruned", self._states.FAIL: "failed"}
        outcome = names.get(trial.state, "running")
        return Trial(trial.number, outcome, max(rows, default=None), settings_of(trial.params), root)


class _Follower:
    """Reports a run's evaluations to its trial, and ends the run where the study has seen enough.

    Args:
        trial: Optuna's.
        score: Column of the metrics.
        pruned: The exception that ends the run.
    """

    def __init__(self, trial: Any, score: str, pruned: type[Exception]) -> None:
        self._trial, self._score, self._pruned = trial, score, pruned
        self._reader: MetricsReader | None = None
        self.best = float("-inf")

    def begin(self, root: Path) -> None:
        """A run begins or goes on."""
        self._reader = MetricsReader(root)

    def update(self) -> None:
        """Lines were added to the metrics."""
        for _, row in self._reader.new() if self._reader else ():
            if self._score in row:
                self.best = max(self.best, row[self._score])
                self._trial.report(row[self._score], row["timesteps"])
                if self._trial.should_prune():
                    raise self._pruned
