"""The versions that the numbers of an evaluation depend on."""

from __future__ import annotations

import numpy as np

from mocapact_cli import __version__


def versions() -> dict[str, str]:
    """Return the version of each package that numbers depend on."""
    import mujoco
    import torch

    return {"mocapact": __version__, "mujoco": mujoco.__version__, "torch": torch.__version__, "numpy": np.__version__}
