"""`plan.json`: what a fleet is to do, in one file that every worker reads."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mocapact_cli import __version__
from mocapact_cli.core import json_files, paths
from mocapact_cli.core.config import from_dict, to_dict
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.fleet.far import is_address
from mocapact_cli.core.formatting import quoted

PLAN_FILE = "plan.json"
FORMAT = 1
"""Version of the file's layout."""

Kind = Literal["train", "rollout", "eval"]
RESULTS: dict[str, str] = {
    "train": "{}/eval_rsi/model/best_model.zip",
    "rollout": "{}.hdf5",
    "eval": "{}/evaluation.json",
}
"""Kind -> the file below the output that a finished job with this id has left."""
_MAY_CHANGE = ("threads_per_job", "gpus_per_job", "max_retries")
_SAFE = re.compile(r"[\w+=,@-][\w.+=,@-]*(/[\w+=,@-][\w.+=,@-]*)*")


@dataclass(frozen=True)
class Job:
    """One unit of work: an expert to train or to evaluate, or a clip to roll out.

    Raises:
        UsageError: The id could not be the name of a folder.
    """

    id: str
    """Its name, and where its result goes below the output: `<snippet>/<seed>`, or `<clip>`."""
    seed: int = 0
    """Of everything random in it."""
    snippets: tuple[str, ...] = ()
    """What it works on."""
    experts: tuple[str, ...] = ()
    """Folders or addresses of the experts that it runs, one a snippet; none where one is trained."""

    def __post_init__(self) -> None:
        if not _SAFE.fullmatch(self.id):
            raise UsageError(f"{self.id!r} cannot be the name of a folder.", hint="Rename the clip.")


@dataclass(frozen=True)
class Plan:
    """What a fleet is to do."""

    kind: Kind
    """Whether it trains, rolls out or evaluates."""
    output: str
    """Folder or address below which results go."""
    settings: dict[str, Any]
    """Those of the work, as `config.to_dict` gives them; seed, threads and device come from job and machine."""
    jobs: tuple[Job, ...]
    """All there is to do."""
    mocap: tuple[str, ...] = ()
    """Files that hold the clips."""
    chosen: tuple[str, ...] = ()
    """Settings that must not give way to those of a warm start."""
    threads_per_job: int = 1
    """Cores of each job."""
    gpus_per_job: float = 0.0
    """GPUs of each job; 0.25 lets four share one, 0 keeps to the CPU."""
    max_retries: int = 2
    """How often a job that has failed is tried again."""
    version: int = FORMAT
    """Of the file's layout."""
    mocapact: str = __version__
    """Version of the program that made it."""
    _by_id: dict[str, Job] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.jobs:
            raise UsageError("There is nothing to do.", hint="Name clips, snippets, a subset or experts.")
        self._by_id.update({job.id: job for job in self.jobs})
        if len(self._by_id) < len(self.jobs):
            raise UsageError("Two jobs of the plan have one name.", hint="Name every snippet and seed once.")
        if self.threads_per_job < 1 or self.gpus_per_job < 0 or self.max_retries < 0:
            raise UsageError("A job needs at least one core, no negative number of GPUs, and no negative retries.")

    def job(self, job_id: str) -> Job:
        """The job of that name.

        Raises:
            UsageError: The plan has none.
        """
        if job_id not in self._by_id:
            raise UsageError(f"The plan has no job {job_id!r}.")
        return self._by_id[job_id]

    def result_of(self, job: Job) -> str:
        """Path below the output of the file that a finished job has left."""
        return RESULTS[self.kind].format(job.id)


def write_plan(folder: Path, plan: Plan) -> Plan:
    """Write a plan into its folder; one that lies there already must be the same but for cores, GPUs and retries.

    Raises:
        UsageError: Another plan lies there.
        InvalidInputError: What lies there is damaged, or of another version.
    """
    if (folder / PLAN_FILE).exists():
        there = read_plan(folder)
        differing = [name for name in _compared() if getattr(there, name) != getattr(plan, name)]
        if differing:
            raise UsageError(
                f"{folder} holds a plan with other {' and '.join(differing)}.",
                hint=f"Go on with that one: mocapact fleet run {quoted(folder)}; or give another folder with --plan.",
            )
        if there == plan:
            return there
    record = {name: value for name, value in to_dict(plan).items() if not name.startswith("_")}
    json_files.write_json(folder / PLAN_FILE, record)
    return plan


def read_plan(folder: Path) -> Plan:
    """Read the plan in a folder (or the file itself).

    Raises:
        NotFoundError: There is none.
        InvalidInputError: It is damaged, or of another version.
    """
    path = folder if folder.name == PLAN_FILE else folder / PLAN_FILE
    record = json_files.read_json_object(path, hint="`mocapact fleet train` makes one; name its folder.")
    _check_version(path, record)
    try:
        return from_dict(Plan, record)
    except UsageError as error:
        raise InvalidInputError(f"{path} is no plan: {error.message}", hint="Make it anew.") from error


def plan_folder(path: Path) -> Path:
    """The folder of a plan that may be named by its file."""
    return path.parent if path.name == PLAN_FILE else path


def default_folder(output: str) -> Path:
    """Where the plan of an output goes if nobody says: beside it, or below `MOCAPACT_HOME` where it is an address."""
    if not is_address(output):
        path = Path(output)
        return path.parent / f"{path.name}.fleet"
    name = re.sub(r"[^\w.]+", "-", output.partition("://")[2].partition("?")[0]).strip("-.")
    return paths.runs_dir("fleet") / (name or "fleet")


def _compared() -> list[str]:
    return [name for name in Plan.__dataclass_fields__ if name not in _MAY_CHANGE and not name.startswith("_")]


def _check_version(path: Path, record: dict[str, Any]) -> None:
    version, made_by = record.get("version"), record.get("mocapact")
    if version == FORMAT and made_by == __version__:
        return
    if not isinstance(made_by, str) or not isinstance(version, int):
        raise InvalidInputError(f"{path} is no plan: it has no version.", hint="Make it anew.")
    raise InvalidInputError(
        f"{path} was made by mocapact {made_by[:40]} (layout {version}); this is mocapact {__version__} "
        f"(layout {FORMAT}).",
        hint=f"Go on with mocapact {made_by[:40]}, or make a new plan for the same output: finished runs are kept.",
    )
