"""The program of the child process that uses the libraries; it says on stdout, in lines of JSON, how each step went."""

from __future__ import annotations

import importlib
import json
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import class_and_line, first_line
from mocapact_cli.core.formatting import shortened

if TYPE_CHECKING:
    from collections.abc import Callable

_OPENMP = re.compile(r"/[^\s]*/(?:libgomp|libiomp5|libomp|vcomp)[^/\s]*$")
_STEPS = 50


def main() -> None:
    """Take every step, whatever becomes of the others."""
    answers = os.fdopen(os.dup(1), "w")
    # What libraries print must not be taken for an answer.
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    for name, step in STEPS.items():
        say({"begins": name})
        try:
            found = step()
        except BaseException as error:  # noqa: BLE001 - that is what is asked
            found = {"failed": shortened(class_and_line(error))}
        say({"step": name, **found})


def _importing(name: str) -> Callable[[], dict[str, Any]]:
    def step() -> dict[str, Any]:
        return {"version": str(getattr(importlib.import_module(name), "__version__", ""))}

    return step


def exchange() -> dict[str, Any]:
    """Hand an array to PyTorch and back, which fails where the two were built for other versions of NumPy."""
    import numpy as np
    import torch

    total = float((torch.from_numpy(np.ones(4, dtype=np.float32)) + 1).numpy().sum())
    return {"total": total}


def openmp() -> dict[str, Any]:
    """Name the OpenMP runtimes that are loaded once PyTorch has worked on several threads."""
    import torch

    torch.ones(1 << 16).exp_()
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return {}
    found = {match[0] for line in maps.read_text().splitlines() if (match := _OPENMP.search(line))}
    return {"libraries": sorted({str(Path(path).resolve()) for path in found})}


def cuda() -> dict[str, Any]:
    """Compute something on every GPU that PyTorch sees."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
        devices = [_device(torch, index) for index in range(torch.cuda.device_count())] if usable else []
    said = shortened(str(caught[0].message).strip()) if caught else ""
    return {"torch": torch.__version__, "built_for": torch.version.cuda, "devices": devices, "said": said}


def _device(torch: Any, index: int) -> dict[str, Any]:
    properties = torch.cuda.get_device_properties(index)
    found = {"device": f"cuda:{index}", "name": properties.name, "total": properties.total_memory, "free": 0}
    try:
        found["free"] = torch.cuda.mem_get_info(index)[0]
        square = torch.ones(64, 64, device=f"cuda:{index}")
        if float((square @ square).sum()) != 64.0**3:
            found["failed"] = "a product of matrices came out wrong"
    except Exception as error:  # noqa: BLE001 - another device may be well
        found["failed"] = shortened(first_line(error))
    return found


def walker() -> dict[str, Any]:
    """Build the walker, by dm_control where it is installed, and step it."""
    import mujoco
    import numpy as np

    from mocapact_cli.core.walker import model

    try:
        importlib.import_module("dm_control")
        built, by = model.build_walker(), "dm_control"
    except ModuleNotFoundError:
        built, by = model.get_walker(), "a saved model"
    data = mujoco.MjData(built.model)
    mujoco.mj_step(built.model, data, nstep=_STEPS)
    if not np.isfinite(data.qpos).all() or data.warning[mujoco.mjtWarning.mjWARN_BADQACC].number:
        raise FloatingPointError("the simulation diverges")
    return {"by": f"{by}, MuJoCo {mujoco.__version__}", "dofs": int(built.model.nv)}


STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    "numpy": _importing("numpy"),
    "scipy": _importing("scipy.spatial"),
    "h5py": _importing("h5py"),
    "mujoco": _importing("mujoco"),
    "walker": walker,
    "torch": _importing("torch"),
    "numpy and torch": exchange,
    "OpenMP": openmp,
    "CUDA": cuda,
}
"""Step -> what is done; those that fail most rarely come first, since a crash ends them all."""


if __name__ == "__main__":
    main()
