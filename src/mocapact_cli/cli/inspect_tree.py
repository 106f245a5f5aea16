"""The tree of arrays in a file, or of files in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mocapact_cli.core.formatting import size_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.tree import Tree

    Row = Mapping[str, Any]
    Branch = dict[str, Any]

ALIKE = 3
"""Numbered branches with the same leaves, such as episodes, from which on they are shown as one."""


def tree_view(title: str, rows: Sequence[Row]) -> Tree:
    """Return a Rich tree of rows that have a `path` with slashes.

    Args:
        title: The root.
        rows: Each with `bytes`, or with `shape` and `dtype`.
    """
    from rich.tree import Tree

    root = Tree(_plain(title), highlight=False)
    _grow(root, _branches(rows))
    return root


def _branches(rows: Sequence[Row]) -> Branch:
    top: Branch = {}
    for row in rows:
        *parents, leaf = row["path"].split("/")
        place = top
        for name in parents:
            place = place.setdefault(f"{name}/", {})
        place[leaf] = [row]
    return top


def _grow(tree: Tree, branches: Branch) -> None:
    for name, inside in _joined(branches).items():
        if isinstance(inside, dict):
            _grow(tree.add(_plain(name.rstrip("/")), highlight=False), inside)
        else:
            tree.add(_plain(f"{name}  {_described(inside)}"), highlight=False)


def _joined(branches: Branch) -> Branch:
    """Put numbered neighbours that hold the same names into one."""
    result: Branch = {}
    numbered = sorted((name for name in branches if name.rstrip("/").isdigit()), key=lambda name: int(name.rstrip("/")))
    numbered = [name for name in numbered if isinstance(branches[name], dict)]
    joined = len(numbered) >= ALIKE and len({_names(branches[name]) for name in numbered}) == 1
    for name, inside in branches.items():
        if not joined or name not in numbered:
            result[name] = inside
        elif name == numbered[0]:
            title = f"{numbered[0].rstrip('/')} ... {numbered[-1].rstrip('/')}  ({len(numbered)} alike)"
            result[title] = _merged([branches[each] for each in numbered])
    return result


def _names(branch: Branch) -> tuple[Any, ...]:
    inside = [(name, _names(part) if isinstance(part, dict) else None) for name, part in branch.items()]
    return tuple(sorted(inside, key=lambda pair: pair[0]))


def _merged(branches: Sequence[Branch]) -> Branch:
    first = branches[0]
    parts = {name: [branch[name] for branch in branches] for name in first}
    return {
        name: _merged(same) if isinstance(first[name], dict) else [row for rows in same for row in rows]
        for name, same in parts.items()
    }


def _described(rows: Sequence[Row]) -> str:
    if "bytes" in rows[0]:
        return _span([row["bytes"] for row in rows], size_text)
    kinds = " or ".join(sorted({row["dtype"] for row in rows}))
    if len({len(row["shape"]) for row in rows}) > 1:
        return kinds
    shape = " x ".join(_span(list(sizes), str) for sizes in zip(*(row["shape"] for row in rows), strict=True))
    return f"{shape or 'one'}  {kinds}"


def _span(values: Sequence[Any], text: Any) -> str:
    low, high = min(values), max(values)
    return str(text(low)) if low == high else f"{text(low)}..{text(high)}"


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(text)
