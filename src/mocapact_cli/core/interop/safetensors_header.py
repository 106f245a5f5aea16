"""What a safetensors file says of itself: names, shapes, metadata. No numbers are read, PyTorch is not needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.paths import existing_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PURPOSE = "safetensors files"
DESCRIPTION_KEY = "mocapact"
"""Under which the description of a policy stands in the metadata."""
_TYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


@dataclass(frozen=True)
class SafetensorsHeader:
    """What the header holds.

    Attributes:
        tensors: Name -> shape and type, by name.
        metadata: Texts by name.
    """

    tensors: Mapping[str, tuple[tuple[int, ...], str]]
    metadata: Mapping[str, str]

    @property
    def description(self) -> dict[str, Any] | None:
        """What `policy_files.describe_policy` said of a policy of mocapact; None where there is nothing."""
        try:
            found = json.loads(self.metadata.get(DESCRIPTION_KEY, ""))
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


def read_header(path: Path | str) -> SafetensorsHeader:
    """Read the header of a safetensors file, of mocapact or of others.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged.
        MissingDependencyError: The safetensors package is not installed.
    """
    library, path = require("safetensors", purpose=PURPOSE), existing_file(path)
    try:
        with library.safe_open(str(path), framework="numpy") as file:
            tensors = {name: _shape_and_type(file.get_slice(name)) for name in sorted(file.keys())}
            return SafetensorsHeader(tensors, dict(file.metadata() or {}))
    except Exception as error:
        raise InvalidInputError(f"{path} is damaged: {error}.") from error


def _shape_and_type(part: Any) -> tuple[tuple[int, ...], str]:
    dtype = part.get_dtype()
    return tuple(part.get_shape()), _TYPES.get(dtype, dtype)
