"""Progress on stderr: live bars on a terminal, an occasional plain line everywhere else."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console
    from rich.progress import Progress as RichBars
    from rich.progress import Task, TaskID

    from mocapact_cli.core.progress import Progress, ProgressTask

FIRST_LINE_AFTER = 5.0
"""Seconds before a task without a terminal says its first line."""
LINE_EVERY = 20.0
"""Seconds between its lines."""


def make_progress(console: Console) -> Progress:
    """Return bars where the console can redraw them, plain lines where it cannot (a pipe, `TERM=dumb`)."""
    live = console.is_terminal and not console.is_dumb_terminal
    return BarProgress(console) if live else LineProgress(console)


class BarProgress:
    """Rich bars with rate and remaining time; all open tasks share one display."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: RichBars | None = None

    @contextlib.contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "it") -> Iterator[ProgressTask]:
        """Open a bar below those already open."""
        outermost = self._bars is None
        bars = self._bars or _make_bars(self._console)
        if outermost:
            self._bars = bars
            bars.start()
        bar = bars.add_task(description, total=total, unit=unit, fields_text="")
        try:
            yield _BarTask(bars, bar)
        finally:
            if outermost:
                bars.stop()
                self._bars = None
            else:
                bars.remove_task(bar)

    def message(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _BarTask:
    def __init__(self, bars: RichBars, bar: TaskID) -> None:
        self._bars = bars
        self._bar = bar

    def advance(self, n: float = 1) -> None:
        self._bars.advance(self._bar, n)

    def update(
        self,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
        **fields: str,
    ) -> None:
        self._bars.update(self._bar, completed=completed, total=total, description=description)
        if fields:
            self._bars.update(self._bar, fields_text=_joined(fields))


class LineProgress:
    """Whole lines, seldom enough for a log file."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock

    @contextlib.contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "it") -> Iterator[ProgressTask]:
        """Open a task that says a line after five seconds and then every twenty, and one at its end if it said any."""
        task = _LineTask(self.message, self._clock, description, total, unit)
        try:
            yield task
        finally:
            task.close()

    def message(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _LineTask:
    def __init__(
        self,
        say: Callable[[str], None],
        clock: Callable[[], float],
        description: str,
        total: float | None,
        unit: str,
    ) -> None:
        self._say, self._clock, self._unit = say, clock, unit
        self._description, self._total = description, total
        self._completed, self._fields, self._spoke, self._said = 0.0, "", False, (0.0, "")
        self._started = clock()
        self._next_line = self._started + FIRST_LINE_AFTER

    def advance(self, n: float = 1) -> None:
        self._completed += n
        self._speak_if_due()

    def update(
        self,
        completed: float | None = None,
        total: float | None = None,
        description: str | None = None,
        **fields: str,
    ) -> None:
        self._completed = self._completed if completed is None else completed
        self._total = self._total if total is None else total
        self._description = self._description if description is None else description
        self._fields = _joined(fields) if fields else self._fields
        self._speak_if_due()

    def close(self) -> None:
        if self._spoke and (self._completed, self._fields) != self._said:
            self._say(self._line())

    def _speak_if_due(self) -> None:
        now = self._clock()
        if now >= self._next_line:
            self._next_line, self._spoke, self._said = now + LINE_EVERY, True, (self._completed, self._fields)
            self._say(self._line())

    def _line(self) -> str:
        elapsed = max(self._clock() - self._started, 1e-9)
        rate = self._completed / elapsed
        parts = [f"{self._count()} {self._unit}", f"{format_rate(rate)} {self._unit}/s"]
        if self._total and 0 < self._completed < self._total:
            parts.append(f"{format_seconds((self._total - self._completed) / rate)} left")
        return ", ".join([f"{self._description}: {parts[0]}", *parts[1:], *([self._fields] if self._fields else [])])

    def _count(self) -> str:
        if not self._total:
            return f"{self._completed:,.0f}"
        return f"{self._completed:,.0f}/{self._total:,.0f} ({self._completed / self._total:.0%})"


def format_rate(rate: float) -> str:
    """Format units a second with about three digits: 0.52, 4.1, 37, 12,400."""
    if rate >= 1000:
        return f"{round(rate, -2):,.0f}"
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}" if rate >= 1 else f"{rate:.2f}"


def format_seconds(seconds: float) -> str:
    """Format a duration by its two largest units: 42s, 3m 05s, 2h 10m."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if whole < 60:
        return f"{whole}s"
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def _joined(fields: dict[str, str]) -> str:
    return "  ".join(f"{name} {value}" for name, value in fields.items())


def _make_bars(console: Console) -> RichBars:
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Count(ProgressColumn):
        def render(self, task: Task) -> Text:
            total = f"/{task.total:,.0f}" if task.total else ""
            rate = f"  {format_rate(task.speed)} {task.fields['unit']}/s" if task.speed else ""
            return Text(f"{task.completed:,.0f}{total}{rate}", style="progress.download")

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        Count(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[fields_text]}", style="dim"),
        console=console,
        speed_estimate_period=60.0,
    )
