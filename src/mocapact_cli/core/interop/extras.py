"""Packages of the extras, such as `export`: asked for when they are needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType


def require(*names: str, purpose: str, extra: str = "export") -> ModuleType:
    """Import packages and return the last.

    Args:
        names: Of the packages.
        purpose: What needs them, such as `ONNX files`.
        extra: The extra that brings them.

    Raises:
        MissingDependencyError: One of them is not installed.
    """
    for name in names:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            package = name.partition(".")[0]
            raise MissingDependencyError(
                f"The package {package} is not installed, which {purpose} need.",
                hint=f"pip install 'mocapact[{extra}]'",
            ) from error
    return module
