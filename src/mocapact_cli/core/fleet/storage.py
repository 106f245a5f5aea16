"""Where results go: a folder that all workers see, or any address that fsspec knows.

With an address a job works in a folder of its own machine. A training run is copied out with every checkpoint, so that
another machine can go on with it. What is finished is copied to a temporary name beside its place and then moved. In an
object store, where folders are no more than names and a file appears when it is complete, it is copied to its place,
and the file by which it is known to be finished comes last.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import shutil
import tempfile
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from mocapact_cli.core import paths
from mocapact_cli.core.errors import MissingDependencyError, RunError, UsageError
from mocapact_cli.core.fleet import machine
from mocapact_cli.core.fleet.plan import Job, Plan
from mocapact_cli.core.interop.expert_folder import CLIP_INFO, RSI_MODEL
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.remote.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

CHECKPOINT = Path("checkpoints", "last.pt")
_LAST = "last_machine.txt"
"""Which machine has copied a run out."""
_LOOK_EVERY = 5.0
_WITH_FOLDERS = {"file", "local", "sftp", "ssh", "smb", "ftp", "hdfs", "arrow_hdfs", "webhdfs", "memory"}
"""Protocols of file systems that move a folder as one."""


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


def is_address(place: str) -> bool:
    """Whether a place is an address, not a path."""
    return "://" in place


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


class Far:
    """Files below an address; paths are given below it.

    Args:
        address: Such as `s3://bucket/experts`.

    Raises:
        UsageError: No such kind of address is known.
        MissingDependencyError: What reaches such addresses is not installed.
    """

    def __init__(self, address: str) -> None:
        fsspec: Any = require("fsspec", "fsspec.core", purpose="addresses", extra="cloud")
        self._shown = without_secrets(address)
        try:
            self._fs, self._root = fsspec.url_to_fs(address)
        except ImportError as error:
            raise MissingDependencyError(
                f"What reaches {self._shown} is not installed: {error}.", hint="Install it beside mocapact[cloud]."
            ) from error
        except ValueError as error:
            raise UsageError(f"{self._shown} is no address that fsspec knows: {error}.") from error

    def files(self, below: str = "") -> set[str]:
        """All files below the address, or below a folder of it."""
        with self._named():
            folder = self._at(below).rstrip("/")
            found = self._fs.find(folder) if self._fs.exists(folder) else []
        return {str(PurePosixPath(name).relative_to(self._root)) for name in map(self._fs._strip_protocol, found)}

    def fetch(self, below: str, folder: Path) -> None:
        """Copy what lies below a folder of the address, if anything, to this machine."""
        for name in self.files(below):
            self.fetch_file(name, folder / PurePosixPath(name).relative_to(below))

    def fetch_file(self, name: str, target: Path) -> None:
        """Copy a file to this machine."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._named():
            self._fs.get_file(self._at(name), str(target))

    def read_text(self, name: str) -> str | None:
        """Return what a small file says; None where it is not there."""
        with self._named():
            return self._fs.cat_file(self._at(name)).decode() if self._fs.exists(self._at(name)) else None

    def put_file(self, source: Path, name: str) -> None:
        """Copy a file to its place, which it takes when it is complete."""
        beside = self._beside(name) if self._has_folders else name
        self._put(source, beside)
        if beside != name:
            with self._named():
                self._fs.mv(self._at(beside), self._at(name))

    def put_folder(self, source: Path, name: str, *, last: Path) -> None:
        """Copy a folder to its place, as one where the file system can, else with one of its files last."""
        if not self._has_folders:
            self.remove(name)
            self.mirror(source, name, last=last)
            return
        beside = self._beside(name)
        self.mirror(source, beside, last=last)
        self.remove(name)
        with self._named():
            self._fs.mv(self._at(beside), self._at(name), recursive=True)

    def mirror(self, source: Path, name: str, *, last: Path = CHECKPOINT) -> None:
        """Copy a folder's files, one of them last."""
        files = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.name.startswith(".")]
        for path in sorted(files, key=lambda path: path.relative_to(source) == last):
            self._put(path, f"{name}/{path.relative_to(source).as_posix()}")

    @property
    def _has_folders(self) -> bool:
        protocol = self._fs.protocol
        return not _WITH_FOLDERS.isdisjoint((protocol,) if isinstance(protocol, str) else protocol)

    @staticmethod
    def _beside(name: str) -> str:
        path = PurePosixPath(name)
        return str(path.with_name(f".{path.name}.{secrets.token_hex(4)}"))

    def remove(self, name: str) -> None:
        """Remove a folder, if it is there."""
        with self._named():
            if self._fs.exists(self._at(name)):
                self._fs.rm(self._at(name), recursive=True)

    def _put(self, source: Path, name: str) -> None:
        with self._named():
            self._fs.makedirs(self._fs._parent(self._at(name)), exist_ok=True)
            self._fs.put_file(str(source), self._at(name))

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else str(self._root)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:
            # Each of the many file systems has errors of its own.
            raise RunError(
                f"{self._shown} cannot be read or written: {type(error).__name__}: {error}",
                hint="Check the address, your rights there and the network.",
            ) from error


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
            paths.write_text(self._folder / _LAST, machine.machine_id())
            self._far.mirror(self._folder, self._name)
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
