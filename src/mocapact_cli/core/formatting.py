"""Numbers, names and foreign texts as people read them, in a terminal and on a page."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_HUGE = 1 << 63


def cell(value: Any) -> str:
    """Format one value for a table: floats with four significant digits, thousands separated, nothing for `None`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def counted(number: int, noun: str) -> str:
    """Return a number with what it counts, such as `1 snippet` or `2,589 snippets`; the plural takes an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def quoted(word: object) -> str:
    """Return a path or a name as it is typed in a command line: in quotation marks where it needs them."""
    return shlex.quote(str(word))


def some_of(names: Sequence[str], most: int = 4) -> str:
    """Return the first names with commas, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def one_line(text: str) -> str:
    """Return what a file calls something, with a question mark for everything that is not printed as one letter."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def shortened(text: str, longest: int = 120) -> str:
    """Return what a file says in one line, cut where it is longer than so many letters."""
    line = one_line(text[: longest + 1])
    return line if len(line) <= longest else f"{line[:longest]}..."


def shown(value: object) -> str:
    """Return what a file calls something in one short line; what is no text or number is named by its type.

    Anything else may print for ever: a list of itself, or of a list of lists that are all one.
    """
    if isinstance(value, int) and not -_HUGE < value < _HUGE:
        return "a huge number"
    return shortened(str(value)) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def size_text(count: float) -> str:
    """Return bytes with three significant digits in the largest decimal unit that fits, such as `1.08 GB`."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def mean_and_spread(value: Any) -> str | None:
    """Return `mean ± std` of a mapping with both, or a plain number; None where there is neither."""
    if value is None or isinstance(value, float):
        return None if value is None else f"{value:.3f}"
    # What rounding leaves of numbers that are all alike is no spread.
    std = value["std"] if value["std"] > 1e-6 * abs(value["mean"]) else 0.0
    return f"{value['mean']:.3g} ± {std:.2g}"
