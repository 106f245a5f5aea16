"""What the libraries do when they are really used: in a child process, since broken ones can take a process down."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.doctor.findings import GPU, PACKAGES
from mocapact_cli.core.formatting import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.doctor.findings import Finding

LIMIT_S = 30.0
"""Seconds that the child process may take for all steps."""
_PROGRAM = "mocapact_cli.core.doctor.trial_child"
_EXCHANGE = "numpy and torch"
_REINSTALL = "pip install --force-reinstall --no-deps {0}"
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""One of these is there where a driver of NVIDIA's is loaded."""
_CUDA_TORCH = "pip install --force-reinstall torch, with the index that https://pytorch.org names for your CUDA"


class Trials:
    """The answers of one child process, which several looks share.

    Args:
        program: The module that the child runs.
        timeout_s: Seconds after which it is ended.
    """

    def __init__(self, program: str = _PROGRAM, timeout_s: float = LIMIT_S) -> None:
        self._program, self._timeout_s = program, timeout_s
        self._lock = threading.Lock()

    @functools.cached_property
    def _answers(self) -> dict[str, dict[str, Any]]:
        return _run(self._program, self._timeout_s)

    def _answer(self, step: str) -> dict[str, Any]:
        with self._lock:
            answers = self._answers
        return answers.get(step, {"skipped": True})

    def _failed(self, step: str) -> str | None:
        """Why a step failed; None where it did not."""
        reason: str | None = self._answer(step).get("failed")
        return reason

    def look_at_packages(self) -> Iterator[Finding]:
        """Say whether the libraries load together, and whether the walker can be built and stepped."""
        yield from self._imports()
        yield from self._openmp()
        walker = self._answer("walker")
        if "failed" in walker:
            yield PACKAGES.problem(
                "walker", f"cannot be built and stepped: {walker['failed']}", "pip install 'mujoco>=3.17,<4' dm_control"
            )
        elif not walker.get("skipped"):
            yield PACKAGES.ok("walker", f"built and stepped by {walker['by']}", **walker)

    def _imports(self) -> Iterator[Finding]:
        broken = [step for step in ("numpy", "scipy", "h5py", "torch", "mujoco", _EXCHANGE) if self._failed(step)]
        if _EXCHANGE in broken and {"numpy", "torch"} & set(broken):
            # It fails with them, which says nothing more.
            broken.remove(_EXCHANGE)
        for step in broken:
            package = step.rpartition(" ")[2]
            yield PACKAGES.problem(step, f"cannot be used: {self._failed(step)}", _REINSTALL.format(package))
        if not broken:
            yield PACKAGES.ok("libraries", "NumPy, SciPy, h5py, PyTorch and MuJoCo load together")

    def _openmp(self) -> Iterator[Finding]:
        found = self._answer("OpenMP").get("libraries")
        if found is None:
            return
        kinds = sorted({Path(path).name.split(".")[0].split("-")[0] for path in found})
        if len(kinds) > 1:
            yield PACKAGES.warning(
                "OpenMP",
                f"{len(kinds)} runtimes in one process ({', '.join(kinds)}): their threads compete, and may deadlock",
                "Install all of NumPy, SciPy and PyTorch from one place: all by pip, or all by conda",
                libraries=found,
            )
        elif len(found) > 1:
            yield PACKAGES.note("OpenMP", f"{len(found)} copies of {kinds[0]} in one process", libraries=found)
        elif kinds:
            yield PACKAGES.ok("OpenMP", f"one runtime, {kinds[0]}", libraries=found)

    def look_at_gpu(self) -> Iterator[Finding]:
        """Say which GPUs PyTorch can use, and why it cannot use one that is there."""
        answer = self._answer("CUDA")
        if answer.get("skipped") or self._failed("torch"):
            yield GPU.note("CUDA", "was not tried, as PyTorch or a library before it does not load")
        elif "failed" in answer:
            yield GPU.problem(
                "CUDA", f"fails when it is used: {answer['failed']}", "Use --device cpu, or see nvidia-smi"
            )
        elif answer.get("devices"):
            for device in answer["devices"]:
                yield _device(device)
        else:
            yield _without_gpu(answer)


def _device(device: dict[str, Any]) -> Finding:
    name = f"{device['name']}, {size_text(device['total'])}, {size_text(device['free'])} free"
    if "failed" in device:
        return GPU.problem(device["device"], f"{name}, does not compute: {device['failed']}", _CUDA_TORCH, **device)
    if device["free"] < 0.1 * device["total"]:
        return GPU.warning(
            device["device"], f"{name}: others use it", "See nvidia-smi; choose another by --device", **device
        )
    return GPU.ok(device["device"], name, **device)


def _without_gpu(answer: dict[str, Any]) -> Finding:
    driver = next((path for path in _DRIVERS if path.exists()), None)
    if driver is None:
        return GPU.note("CUDA", "no NVIDIA GPU: networks run on the processor", **answer)
    if answer["built_for"] is None:
        return GPU.warning(
            "CUDA", f"there is a GPU, but PyTorch {answer['torch']} is built without CUDA", _CUDA_TORCH, **answer
        )
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return GPU.note("CUDA", "hidden by CUDA_VISIBLE_DEVICES", "Unset CUDA_VISIBLE_DEVICES to use it", **answer)
    said = f": {answer['said']}" if answer.get("said") else ""
    return GPU.warning(
        "CUDA",
        f"there is a GPU, but PyTorch for CUDA {answer['built_for']} cannot use it{said}",
        "Update the NVIDIA driver, or install PyTorch for an older CUDA; `nvidia-smi` names the newest that fits",
        **answer,
    )


def _run(program: str, timeout_s: float) -> dict[str, dict[str, Any]]:
    """Return the child's answers by step; where it dies or hangs, that step has failed and later ones are missing."""
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    # -P: a module that lies in the current folder must not stand in for an installed one.
    command = [sys.executable, "-P", "-m", program]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=timeout_s, check=False)
        said, ended = done.stdout, None if done.returncode == 0 else _ending(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as error:
        said, ended = error.stdout or b"", f"no answer within {timeout_s:g} s"
    return _parsed(said, ended)


def _parsed(said: bytes, ended: str | None) -> dict[str, dict[str, Any]]:
    answers: dict[str, dict[str, Any]] = {}
    begun = "numpy"
    for line in said.decode(errors="replace").splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            # The line over which it died.
            continue
        begun = message.get("begins", begun)
        if "step" in message:
            answers[message.pop("step")] = message
    if ended is not None and begun not in answers:
        answers[begun] = {"failed": ended}
    return answers


def _ending(code: int, stderr: bytes) -> str:
    if code < 0:
        return f"the process crashed with signal {-code}"
    lines = stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"the process ended with {code}"
