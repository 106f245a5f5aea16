"""JSON files: written whole or not at all, and read as objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mocapact_cli.core.atomic import write_text
from mocapact_cli.core.errors import InvalidInputError, NotFoundError

_LARGEST = 1 << 26
"""Bytes of a file that is read."""


def write_json(path: Path | str, value: Any) -> Path:
    """Write `value` to `path` atomically as indented JSON that ends with a newline, and return the path.

    Raises:
        TypeError: It holds what `jsonable` does not know.
    """
    return write_text(path, json.dumps(value, indent=2, default=jsonable) + "\n")


def read_json_object(path: Path, *, hint: str = "") -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: The file.
        hint: What to say where it does not exist.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is not JSON, not an object, or too large.
    """
    if not path.is_file():
        raise NotFoundError(f"{path} does not exist.", hint=hint)
    if path.stat().st_size > _LARGEST:
        raise InvalidInputError(f"{path} is too large for what it should be.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f"{path} is not a JSON object.")
    return found


def jsonable(value: Any) -> Any:
    """Turn paths and NumPy scalars and arrays into what JSON knows, for `json.dumps(default=...)`.

    Raises:
        TypeError: The value is neither.
    """
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
