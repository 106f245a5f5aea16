"""Configurations as TOML that reads like their source: every setting with its docstring as a comment above."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import textwrap
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.config_docs import docs_of
from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from _typeshed import DataclassInstance

WIDTH = 100
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_READABLE = 10_000
"""Integers from here on are written with their thousands set apart."""


def to_toml(config: DataclassInstance, *, tables: Mapping[str, DataclassInstance] | None = None) -> str:
    """Return a configuration as TOML that `config.load_toml` reads back to the same.

    What is None is written as "none"; where that could be a text, it is left out instead.

    Args:
        config: Its settings stand at the top; configurations among them become tables.
        tables: Further configurations, each a table of that name.

    Raises:
        UsageError: A value has no form in TOML, or a setting that is None has another default and may be a text.
    """
    inner = {field.name: value for field, value in _values(config) if _is_config(value)}
    blocks = ["\n".join(_lines(config))]
    for name, table in {**inner, **(tables or {})}.items():
        blocks.append("\n".join([f"[{_key(name)}]", *_lines(table)]))
    return "\n\n".join(blocks).strip() + "\n"


def _values(config: DataclassInstance) -> list[tuple[dataclasses.Field[Any], Any]]:
    return [(field, getattr(config, field.name)) for field in dataclasses.fields(config)]


def _is_config(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _lines(config: DataclassInstance) -> Iterator[str]:
    docs, hints = docs_of(type(config)), typing.get_type_hints(type(config))
    for field, value in _values(config):
        if _is_config(value):
            continue
        yield from (f"# {line}" for line in textwrap.wrap(_comment(docs.get(field.name, "")), WIDTH))
        if value is None and _may_be_text(hints[field.name]):
            if field.default is not None:
                raise UsageError(f"{type(config).__name__}.{field.name} cannot be said to be nothing in TOML.")
            yield f"# {field.name} is left out"
        else:
            yield _line(_key(field.name), "none" if value is None else value)


def _comment(doc: str) -> str:
    """Return a docstring in the words of the file."""
    return re.sub(r"\bNone\b", '"none"', doc).replace("`", "")


def _line(key: str, value: Any) -> str:
    """Return a setting on one line, or a long list with one item a line."""
    line = f"{key} = {_written(value)}"
    if len(line) <= WIDTH or not isinstance(value, tuple | list):
        return line
    return "\n".join([f"{key} = [", *(f"    {_written(item)}," for item in value), "]"])


def _may_be_text(hint: Any) -> bool:
    """Whether "none" would be read as a text."""
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return is_union and str in typing.get_args(hint)


def _written(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(str(name))} = {_written(item)}' for name, item in value.items())}}}"
    if isinstance(value, Path):
        return _quoted(_path(value))
    return _quoted(value) if isinstance(value, str) else _number(value)


def _number(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:_}" if abs(value) >= _READABLE else str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    raise UsageError(f"{value!r} cannot be written as TOML.")


def _path(path: Path) -> str:
    """A path is never to be taken for a word such as "none"."""
    text = str(path)
    return text if os.sep in text else f".{os.sep}{text}"


def _quoted(text: str) -> str:
    # A string of JSON is one of TOML, but for this letter.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)
