"""The one place that prints: data on stdout, progress and messages on stderr.

Three modes: for people (tables), `--json` (one document) and `--quiet` (the bare result).
Rich is imported on first use.
"""

from __future__ import annotations

import functools
import json as json_module
import math
import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mocapact_cli.core.formatting import cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console
    from rich.table import Table

    from mocapact_cli.core.progress import Progress

__all__ = ["Output", "cell", "facts", "out", "table", "to_json"]

PIPE_WIDTH = 200
"""Columns of a table that goes into a file or a pipe."""


_GAP = 3
"""Columns between those of a table."""
_NARROWEST = 9
"""Columns that a number of a crowded table takes at least, the gap before it included."""


class Mode(Enum):
    """Who reads stdout."""

    HUMAN = "human"
    JSON = "json"
    QUIET = "quiet"


class Output:
    """Everything that a command says."""

    def __init__(self) -> None:
        self.mode = Mode.HUMAN

    def configure(self, *, json: bool, quiet: bool) -> None:
        """Choose the mode; `--json` wins over `--quiet` on stdout."""
        self.mode = Mode.JSON if json else Mode.QUIET if quiet else Mode.HUMAN
        self._silent = quiet

    _silent = False

    @functools.cached_property
    def stdout(self) -> Console:
        """The console for data."""
        return _console(sys.stdout)

    @functools.cached_property
    def stderr(self) -> Console:
        """The console for progress and messages."""
        return _console(sys.stderr)

    def show(self, data: Any, human: Any, *, short: str | Sequence[str] = ()) -> None:
        """Print a command's result once, in the form that the mode asks for.

        Args:
            data: The JSON document: mappings, sequences, numbers, strings, paths, NumPy scalars and arrays.
            human: What people read: a string, a Rich renderable, a sequence of these, or a function that returns one.
            short: The line or lines that `--quiet` prints, such as the path of the written file.
        """
        if self.mode is Mode.JSON:
            sys.stdout.write(to_json(data) + "\n")
        elif self.mode is Mode.QUIET:
            for line in (short,) if isinstance(short, str) else short:
                sys.stdout.write(f"{line}\n")
        else:
            self._show_human(human() if callable(human) else human)
        sys.stdout.flush()

    def show_text(self, data: Any, text: str) -> None:
        """Print a result that is a file's content, letter by letter, however wide; with `--json` the document."""
        sys.stdout.write(to_json(data) + "\n" if self.mode is Mode.JSON else text)
        sys.stdout.flush()

    def _show_human(self, human: Any) -> None:
        if isinstance(human, str):
            self.stdout.print(human, markup=False, highlight=False, soft_wrap=True)
        elif isinstance(human, list | tuple):
            for part in human:
                self._show_human(part)
        else:
            self.stdout.print(human)

    def message(self, text: str) -> None:
        """Say one line on stderr; `--quiet` drops it."""
        if not self._silent:
            self.stderr.print(text, markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Say on stderr that something is not as it should be, though the work goes on; `--quiet` drops it."""
        if not self._silent:
            self.stderr.print(f"[yellow]Warning:[/yellow] {escaped(text)}", highlight=False, soft_wrap=True)

    def error(self, kind: str, message: str, hint: str) -> None:
        """Report a failure: a JSON document on stdout with `--json`, else one or two lines on stderr."""
        if self.mode is Mode.JSON:
            document = {"error": {"type": kind, "message": message, "hint": hint}}
            sys.stdout.write(to_json(document) + "\n")
            sys.stdout.flush()
            return
        self.stderr.print(f"[bold red]Error:[/bold red] {escaped(message)}", highlight=False, soft_wrap=True)
        if hint:
            self.stderr.print(f"  {escaped(hint)}", highlight=False, soft_wrap=True)

    @property
    def is_live(self) -> bool:
        """Whether what is shown on stderr can be redrawn: it is a terminal, and not to be silent."""
        return not self._silent and self.stderr.is_terminal and not self.stderr.is_dumb_terminal

    @functools.cached_property
    def _live_progress(self) -> Progress:
        from mocapact_cli.cli.progress import make_progress

        return make_progress(self.stderr)

    def progress(self) -> Progress:
        """Return the listener to hand to core: bars on a terminal, occasional lines elsewhere, nothing if quiet."""
        if self._silent:
            from mocapact_cli.core.progress import NullProgress

            return NullProgress()
        return self._live_progress


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", numeric: Iterable[str] = ()
) -> Table:
    """Return a Rich table of plain cells.

    Args:
        columns: Headings.
        rows: One sequence of cells a row; numbers are formatted by `cell`.
        title: Line above the table.
        numeric: Headings of the columns that are aligned to the right.
    """
    from rich import box
    from rich.table import Table

    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(columns, *cells, strict=True)]
    others, room = len(columns) - 1, out.stdout.width
    crowded = sum(widths) + _GAP * others > room
    result = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    result.collapse_padding = crowded
    # A title is wrapped at the table's width, and a narrow table would break it though there is room.
    result.min_width = min(len(title), room)
    right = set(numeric)
    for number, column in enumerate(columns):
        # In a crowded table numbers break at their spaces before names break anywhere.
        kept = number == 0 and crowded and widths[0] + _NARROWEST * others <= room
        justify: Literal["left", "right"] = "right" if column in right else "left"
        result.add_column(column, justify=justify, overflow="fold", no_wrap=kept)
    for row in cells:
        result.add_row(*map(escaped, row))
    return result


def facts(pairs: Mapping[str, Any] | Iterable[tuple[str, Any]], *, title: str = "") -> Table:
    """Return a Rich table of names and values without headings."""
    from rich.table import Table

    result = Table.grid(padding=(0, 2))
    result.title, result.title_justify = title or None, "left"
    result.add_column(style="bold")
    result.add_column(overflow="fold")
    for name, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
        result.add_row(escaped(name), escaped(cell(value)))
    return result


def to_json(value: Any) -> str:
    """Return a value as strict JSON: NumPy as numbers and lists, paths as strings, infinities and NaN as null."""
    return json_module.dumps(_strict(value), indent=2, ensure_ascii=False, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return _strict(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def escaped(text: str) -> str:
    """Return a text that Rich prints letter by letter."""
    from rich.markup import escape

    return escape(text)


def _console(stream: Any) -> Console:
    from rich.console import Console

    piped = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(file=stream, width=PIPE_WIDTH if piped else None, no_color="NO_COLOR" in os.environ or None)


out = Output()
