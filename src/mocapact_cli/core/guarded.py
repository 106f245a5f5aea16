"""Reading files that nobody vouches for in a child process, so that whatever they do is done to the child.

HDF5 is written in C: a damaged file can crash it, keep it busy for ever or make it ask for absurd amounts of memory.
The child has limits of time and memory, says what it is reading as it goes, and answers in JSON. Its death becomes an
error that names the file and the place in it.

    found = run_guarded("mocapact_cli.core.evaluation.inspection:inspect_path", {"path": "dataset/walk.hdf5"})

This module imports nothing heavy: the parent need not load NumPy or h5py to ask, which makes up for the child's start.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from typing import IO, TYPE_CHECKING, Any, Protocol

from mocapact_cli.core import errors
from mocapact_cli.core.errors import InvalidInputError, MocapactError, RunError
from mocapact_cli.core.formatting import one_line, shortened
from mocapact_cli.core.json_files import jsonable
from mocapact_cli.core.json_lines import json_object
from mocapact_cli.core.progress import NullProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from mocapact_cli.core.progress import ProgressTask

TIMEOUT_S = 30.0
_PATIENCE = 10.0
"""How much longer than its time of work a child may take by the clock: other programs are no fault of the file."""
MEMORY_BYTES = 4 << 30
_PROGRAM = "from mocapact_cli.core.guarded import serve; serve()"
_LAST_WORDS_S = 1.0
_LONGEST_NAME = 200
_DAMAGED = "It is damaged or hostile: copy, download or record it again."
_DEFECT = "If the file is sound, this is a defect of mocapact; MOCAPACT_DEBUG=1 shows where."


def run_guarded(
    function: str,
    arguments: Mapping[str, Any],
    *,
    timeout_s: float = TIMEOUT_S,
    memory_bytes: int | None = MEMORY_BYTES,
    progress: Progress | None = None,
) -> Any:
    """Call a function in a child process of its own and return its result as plain JSON values.

    Args:
        function: "package.module:name"; the child imports it.
        arguments: Keyword arguments, plain JSON values; `path` is the file that messages name.
        timeout_s: Seconds of the processor's time without a word of `now_reading`; a large file as a whole may take
            longer. By the clock it may be ten times as many, as the machine or the disk may be busy.
        memory_bytes: How much the child may allocate, where the system can limit it; None for no limit.
        progress: Told how far the child is, where the function counts.

    Raises:
        InvalidInputError: The child crashed, hung, ran out of memory or met what no reader foresaw.
        RunError: The child waited for too long, such as for a disk that does not answer.
        MocapactError: What the function raised, of the same class.
        OSError: What the function raised, such as missing permission.
    """
    with GuardedProcess(timeout_s=timeout_s, memory_bytes=memory_bytes) as process:
        return process.call(function, arguments, progress=progress)


class GuardedProcess:
    """A child process that calls one function after another, for many files; it is started again after it died.

    Args:
        timeout_s: See `run_guarded`.
        memory_bytes: See `run_guarded`.
    """

    def __init__(self, *, timeout_s: float = TIMEOUT_S, memory_bytes: int | None = MEMORY_BYTES) -> None:
        self._timeout_s, self._memory_bytes = timeout_s, memory_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> GuardedProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def call(self, function: str, arguments: Mapping[str, Any], *, progress: Progress | None = None) -> Any:
        """Call a function in the child; see `run_guarded`."""
        limits = {"timeout_s": self._timeout_s, "memory_bytes": self._memory_bytes}
        request = {"function": function, "arguments": dict(arguments), **limits}
        try:
            outcome, place = self._exchange(request, progress or NullProgress())
        except BaseException:
            # The child is in the middle of something, or of nothing any more.
            self.close()
            raise
        subject = str(arguments.get("path", function))
        if outcome is None:
            raise self._death(subject, place)
        if "result" in outcome:
            return outcome["result"]
        raise _error(outcome, subject, place)

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            for pipe in (process.stdin, process.stdout):
                # What was not sent any more is not missed.
                with contextlib.suppress(OSError):
                    _opened(pipe).close()
            process.wait()

    def _exchange(self, request: Mapping[str, Any], progress: Progress) -> tuple[dict[str, Any] | None, str]:
        """Return the child's outcome, None where it died, and the last place that it said it was reading."""
        process = self._started()
        with contextlib.suppress(BrokenPipeError):
            _opened(process.stdin).write(json.dumps(request).encode() + b"\n")
            _opened(process.stdin).flush()
        with contextlib.ExitStack() as stack:
            follower = _Follower(stack, progress)
            for line in _opened(process.stdout):
                message = json_object(line)
                if message is None or "place" not in message:
                    return message, follower.place
                follower.follow(message)
        return None, follower.place

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            # -P: a module that lies in the current folder must not stand in for one of Python's own.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get("MOCAPACT_DEBUG") else subprocess.DEVNULL,
                # Threads would only cost start-up time and memory; filters are not loaded from wherever.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "HDF5_PLUGIN_PRELOAD": "::"},
            )
        return self._process

    def _death(self, subject: str, place: str) -> MocapactError:
        code = _exit_code(self._process)
        self.close()
        where = f" while reading {place}" if place else ""
        if code == -signal.SIGPROF:
            return InvalidInputError(
                f"{subject} is damaged: {self._timeout_s:g} seconds of work passed without an end{where}.",
                hint=_DAMAGED,
            )
        if code == -signal.SIGALRM:
            return RunError(
                f"{subject}: nothing happened for {_PATIENCE * self._timeout_s:g} seconds{where}.",
                hint="The disk or the machine may be too busy: try again, or copy the file to another disk.",
            )
        how = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
        return InvalidInputError(f"{subject} is damaged: the reading process crashed ({how}){where}.", hint=_DAMAGED)


class _Follower:
    """Keeps what the child is reading, and shows how far it is where it counts."""

    def __init__(self, stack: contextlib.ExitStack, progress: Progress) -> None:
        self.place = ""
        self._stack, self._progress = stack, progress
        self._task: ProgressTask | None = None
        self._named = ("", "")

    def follow(self, message: Mapping[str, Any]) -> None:
        self.place = str(message["place"])
        if message.get("total") is None:
            return
        named = (str(message.get("task", "Checking")), str(message.get("unit", "MB")))
        if self._task is None or named != self._named:
            self._stack.close()
            self._named, total = named, float(message["total"])
            self._task = self._stack.enter_context(self._progress.task(named[0], total, named[1]))
        self._task.update(completed=float(message.get("done") or 0), total=float(message["total"]))


def _error(outcome: Mapping[str, Any], subject: str, place: str) -> Exception:
    """Return the exception that an outcome stands for."""
    kind, message = str(outcome.get("kind")), str(outcome.get("message"))
    where = f" while reading {place}" if place else ""
    if kind == "OSError":
        return OSError(outcome.get("errno"), message, outcome.get("filename"))
    if kind == "MemoryError":
        return InvalidInputError(f"{subject} is damaged: it claims more memory than it may have{where}.", hint=_DAMAGED)
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, MocapactError):
        return known(message, hint=str(outcome.get("hint", "")))
    return InvalidInputError(f"{subject} could not be read: {kind}{where}.", hint=_DEFECT)


def _exit_code(process: subprocess.Popen[bytes] | None) -> int:
    """Return how a child ended; one that only talks nonsense is ended first."""
    if process is None:
        return 0
    try:
        return process.wait(timeout=_LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _opened(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process has no such pipe")
    return pipe


class _Child:
    """The child's side of the conversation; there is none in any other process."""

    def __init__(self) -> None:
        # What libraries print must not end up between the answers.
        self._answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self._timeout = TIMEOUT_S

    def serve(self) -> None:
        for line in sys.stdin.buffer:
            request = json.loads(line)
            self._limit(float(request["timeout_s"]), request["memory_bytes"])
            answer = json.dumps(_outcome(request), default=jsonable)
            self._wind_up(0.0)
            self._send(answer)

    def report(self, message: Mapping[str, Any]) -> None:
        self._wind_up(self._timeout)
        self._send(json.dumps(message))

    def _wind_up(self, timeout_s: float) -> None:
        """Begin to count anew, the processor's time and the clock's; 0 for neither."""
        signal.setitimer(signal.ITIMER_PROF, timeout_s)
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE * timeout_s)

    def _send(self, text: str) -> None:
        content = memoryview(text.encode() + b"\n")
        while content:
            content = content[self._answers.write(content) or 0 :]

    def _limit(self, timeout_s: float, memory_bytes: int | None) -> None:
        import resource

        # The alarms' default action ends the process even inside C code, and also where the parent is gone.
        for alarm in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(alarm, signal.SIG_DFL)
        self._timeout = timeout_s
        self._wind_up(timeout_s)
        for limit, size in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, memory_bytes)):
            if size is not None:
                # Some systems know no such limit, or have set a lower one already.
                with contextlib.suppress(ValueError, OSError):
                    resource.setrlimit(limit, (size, resource.getrlimit(limit)[1]))


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_child: _Child | None = None


def serve() -> None:
    """Be the child: answer the requests on stdin until it ends."""
    global _child  # noqa: PLW0603 - a process is the child of one parent
    # The parent decides what an interrupt means, and ends the child.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _child = _Child()
    with contextlib.suppress(BrokenPipeError):
        _child.serve()


def now_reading(
    place: str, *, inside: _Named | None = None, done: float | None = None, total: float | None = None
) -> None:
    """Say what is being read, so that a crash can be told where; outside a guarded process this does nothing.

    Args:
        place: Such as the path of an array inside its file.
        inside: The group, if `place` is a path inside it.
        done: Megabytes behind us.
        total: Megabytes in all, where they are known.
    """
    if _child is not None:
        place = place if inside is None else f"{str(inside.name).rstrip('/')}/{place}"
        counts = {} if total is None else {"done": done, "total": total}
        _child.report({"place": shortened(place, _LONGEST_NAME), **counts})


class ReportedProgress:
    """Progress of work in a guarded process, which its parent shows; elsewhere nobody sees it."""

    @contextlib.contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "it") -> Iterator[ProgressTask]:
        """Open one bar; it is seen where the total is known."""
        yield _ReportedTask(description, total, unit)

    def message(self, text: str) -> None:
        """Say that something has been reached; only the time limit hears it."""
        now_reading(text)


class _ReportedTask:
    def __init__(self, description: str, total: float | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = 0.0

    def advance(self, n: float = 1) -> None:
        self.update(self._done + n)

    def update(
        self,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
        **fields: str,  # noqa: ARG002 - the signature is the protocol's
    ) -> None:
        self._done = self._done if completed is None else completed
        self._total = self._total if total is None else total
        self._description = description or self._description
        if _child is not None:
            counts = {} if self._total is None else {"done": self._done, "total": self._total}
            _child.report({"place": self._description, "task": self._description, "unit": self._unit, **counts})


_UNSAFE = {code: "?" for code in (*range(32), *range(127, 160), *range(0xD800, 0xE000)) if chr(code) not in "\t\n"}


def _without_controls(value: Any) -> Any:
    """Take from all texts of a document what would steer the terminal that shows them, or cannot be shown at all."""
    if isinstance(value, str):
        return value.translate(_UNSAFE)
    if isinstance(value, dict):
        return {_without_controls(key): _without_controls(item) for key, item in value.items()}
    return [_without_controls(item) for item in value] if isinstance(value, list | tuple) else value


def _outcome(request: Mapping[str, Any]) -> dict[str, Any]:
    """Call what is asked for; whatever happens becomes a document."""
    try:
        return {"result": _without_controls(_find(request["function"])(**request["arguments"]))}
    except MocapactError as error:
        base = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        return {"kind": base.__name__, "message": one_line(error.message), "hint": error.hint}
    except MemoryError:
        return {"kind": "MemoryError"}
    except OSError as error:
        traceback.print_exc()
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
        return {"kind": "OSError", "errno": error.errno, "message": error.strerror or str(error), "filename": name}
    except Exception as error:  # noqa: BLE001 - the boundary
        traceback.print_exc()
        return {"kind": f"{type(error).__name__}: {shortened(str(error), _LONGEST_NAME)}".rstrip(": ")}


def _find(function: str) -> Callable[..., Any]:
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found
