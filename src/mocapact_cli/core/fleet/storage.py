"""Where results go: a folder that all workers see, or any address that fsspec knows.

With an address a job works in a folder of its own machine. A training run is copied out with every checkpoint, so that
another machine can go on with it. What is finished is copied to a temporary name beside its place and then moved. In an
object store, where folders are no more than names and a file appears when it is complete, it is copied to its place,
and the file by which it is known to be finished comes last.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tempfile
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from mocapact_cli.core import atomic, paths
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.fleet import machine
from mocapact_cli.core.fleet.far import Far, is_address
from mocapact_cli.core.fleet.plan import Job, Plan
from mocapact_cli.core.interop.expert_folder import CLIP_INFO, RSI_MODEL
from mocapact_cli.core.interop.run_files import CHECKPOINTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

CHECKPOINT = Path(CHECKPOINTS, "last.pt")
_LAST = "last_machine.txt"
"""Which machine has copied a run out."""
_LOOK_EVERY = 5.0


class Output(Protocol):
    """Where the results of a plan go."""

    def workplace(self, job: Job) -> AbstractContextManager[Path]:
        """Where a job works: its own folder, or for rollouts that of all files; its result is in place after it."""

    def present(self, jobs: Iterable[Job]) -> set[str]:
        """Ids of the jobs whose results are there."""


def open_output(plan: Plan) -> Output:
    """The place of a plan's results.

    Raises:
        UsageError: No such kind of address is known.
        MissingDependencyError: What reaches such addresses is not installed.
    """
    return AddressOutput(plan) if is_address(plan.output) else FolderOutput(plan)


class FolderOutput:
    """A folder that all workers see under one name."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._root = plan, Path(plan.output)

    @contextlib.contextmanager
    def workplace(self, job: Job) -> Iterator[Path]:
        """The very place of the result."""
        folder = self._root if self._plan.kind == "rollout" else self._root / job.id
        folder.mkdir(parents=True, exist_ok=True)
        yield folder

    def present(self, jobs: Iterable[Job]) -> set[str]:
        """Ids of the jobs whose results are there."""
        return {job.id for job in jobs if (self._root / self._plan.result_of(job)).is_file()}


class AddressOutput:
    """An address of a file system that fsspec knows."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._far = Far(plan.output)

    @contextlib.contextmanager
    def workplace(self, job: Job) -> Iterator[Path]:
        """A folder of this machine; its content goes to the address."""
        folder = self._scratch(job)
        half = self._half(job.id)
        if self._plan.kind == "train":
            self._take_over(half, folder)
        folder.mkdir(parents=True, exist_ok=True)
        copying = _Copying(self._far, folder, half) if self._plan.kind == "train" else contextlib.nullcontext()
        with copying:
            yield folder
        (folder / _LAST).unlink(missing_ok=True)
        self._publish(job, folder)
        self._far.remove(half)
        shutil.rmtree(folder, ignore_errors=True)

    def present(self, jobs: Iterable[Job]) -> set[str]:
        """Ids of the jobs whose results are there."""
        there = self._far.files()
        return {job.id for job in jobs if self._plan.result_of(job) in there}

    def _take_over(self, half: str, folder: Path) -> None:
        """Go on with what another machine has left, unless what lies here is newer."""
        last = self._far.read_text(f"{half}/{_LAST}")
        if last is not None and (last != machine.machine_id() or not folder.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            self._far.fetch(half, folder)

    def _publish(self, job: Job, folder: Path) -> None:
        if self._plan.kind == "rollout":
            name = self._plan.result_of(job)
            self._far.put_file(folder / name, name)
        else:
            self._far.put_folder(folder, job.id, last=Path(self._plan.result_of(job)).relative_to(job.id))

    def _scratch(self, job: Job) -> Path:
        place = hashlib.sha256(self._plan.output.encode()).hexdigest()[:12]
        return paths.runs_dir("fleet") / "work" / place / job.id.replace("/", "~")

    def _half(self, job_id: str) -> str:
        path = PurePosixPath(job_id)
        return str(path.with_name(f".{path.name}.unfinished"))


class _Copying:
    """Copies a training run out whenever it has a new checkpoint, and once more when it is left unfinished."""

    def __init__(self, far: Far, folder: Path, name: str) -> None:
        self._far, self._folder, self._name = far, folder, name
        self._over = threading.Event()
        self._seen = self._stamp()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._over.set()
        self._thread.join()
        if kind is not None:
            self._copy_if_new()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            # The next checkpoint is another chance; a run must not end because its copy did.
            with contextlib.suppress(RunError):
                self._copy_if_new()

    def _copy_if_new(self) -> None:
        now = self._stamp()
        if now != self._seen:
            atomic.write_text(self._folder / _LAST, machine.machine_id())
            self._far.mirror(self._folder, self._name, last=CHECKPOINT)
            self._seen = now

    def _stamp(self) -> int:
        try:
            return (self._folder / CHECKPOINT).stat().st_mtime_ns
        except OSError:
            return 0


@contextlib.contextmanager
def local_experts(experts: Sequence[str]) -> Iterator[list[Path]]:
    """Folders of this machine that hold the experts; those at addresses are fetched for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="mocapact-experts-") as place:
        yield [_fetched(expert, Path(place) / str(number)) for number, expert in enumerate(experts)]


def _fetched(expert: str, folder: Path) -> Path:
    if not is_address(expert):
        return Path(expert)
    far = Far(expert)
    far.fetch(RSI_MODEL.as_posix(), folder / RSI_MODEL)
    far.fetch_file(CLIP_INFO, folder / CLIP_INFO)
    return folder
