"""The program in processes of its own that need not import its libraries: each is forked off one that has.

A line of JSON on stdin asks for one run and a line on stdout gives its exit code, or null where it took too long. Run
as a script by `conftest.Warm`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time
import traceback
from typing import Any

LIBRARIES = (
    "torch", "numpy", "h5py", "scipy.signal", "gymnasium", "mujoco", "dm_control.mjcf", "matplotlib.pyplot",
    "stable_baselines3", "pytorch_lightning", "rich.table", "rich.progress", "PIL.Image", "imageio", "tensorboard",
    "torch.utils.tensorboard", "minari", "pyarrow.parquet",
    "requests", "azure.storage.blob",
)  # fmt: skip
COMMANDS = (
    "quickstart", "download", "clips", "expert", "distill", "transfer", "complete", "rollout", "inspect", "export",
    "view", "push", "doctor", "fleet", "bench",
)  # fmt: skip
PAUSE_S = 0.01


def main() -> None:
    """Import what the program imports, then serve."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # As the program itself does before it imports anything.
    os.environ["MUJOCO_GL"] = "disable"
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    for name in (*LIBRARIES, "mocapact_cli.cli.main", *(f"mocapact_cli.cli.{command}" for command in COMMANDS)):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        answers.write(json.dumps(_run(json.loads(line))) + "\n")
        answers.flush()


def _run(request: dict[str, Any]) -> int | None:
    child = os.fork()
    if child == 0:
        _be_the_program(request)
    end = time.monotonic() + request["timeout"]
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(PAUSE_S)


def _be_the_program(request: dict[str, Any]) -> None:
    code = 1
    try:
        for place, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
            target = os.open(request[place], os.O_RDONLY if place == "stdin" else os.O_WRONLY)
            os.dup2(target, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.argv = ["mocapact", *request["arguments"]]
        from mocapact_cli.cli.main import run

        run()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - the boundary
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
