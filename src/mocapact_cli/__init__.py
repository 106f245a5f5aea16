"""mocapact: motion capture in, controllable humanoids out.

The public Python API stands here by name and is imported on first use, so that `import mocapact_cli` costs nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__version__ = "0.1.0"

# PyTorch's threads share the cores with the physics; waiting by spinning makes both several times slower. It is read
# when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PUBLIC: dict[str, str] = {
    "make_env": "mocapact_cli.envs",
    "load_policy": "mocapact_cli.core.interop.policies",
    "read_rollouts": "mocapact_cli.core.datasets.reader",
    "ExpertDataset": "mocapact_cli.core.datasets.expert_dataset",
    "D4RLDataset": "mocapact_cli.core.datasets.d4rl_dataset",
    "BatchLoader": "mocapact_cli.core.datasets.loader",
}
"""Public name -> module that defines it."""

__all__ = ["__version__", *_PUBLIC]  # noqa: PLE0604 - the names come from one table


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """List the public names without importing them."""
    return sorted(__all__)


if "gymnasium" in sys.modules:
    # Registering the ids costs next to nothing then; importing Gymnasium would cost every command its start.
    importlib.import_module("mocapact_cli.envs")
