"""Packages of the extra `export`: asked for when they are needed."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import MissingDependencyError

if TYPE_CHECKING:
    from types import ModuleType


def require(*names: str, purpose: str) -> ModuleType:
    """Import packages and return the last.

    Args:
        names: Of the packages.
        purpose: What needs them, such as `ONNX files`.

    Raises:
        MissingDependencyError: One of them is not installed.
    """
    for name in names:
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            package = name.partition(".")[0]
            raise MissingDependencyError(
                f"The package {package} is not installed, which {purpose} need.", hint="pip install 'mocapact[export]'"
            ) from error
    return module
