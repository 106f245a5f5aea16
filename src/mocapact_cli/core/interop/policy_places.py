"""Where a multi-clip policy lies in a file or folder; nothing is read."""

from __future__ import annotations

from pathlib import Path

SAFETENSORS_SUFFIX, ONNX_SUFFIX = ".safetensors", ".onnx"
EXPORTED_FILE = f"model{SAFETENSORS_SUFFIX}"
"""Name by which a folder's exported policy is known."""
TASK_MODEL = Path("eval", "model")
"""Where the model of a policy for a task lies in its run's folder."""
LOW_LEVEL_FILE = "low_level_policy.ckpt"
"""The policy that it acts through, beside its model."""
_FOLDERS = ("", "model/", "checkpoints/")
_CHECKPOINTS = (
    *(f"{folder}best.ckpt" for folder in _FOLDERS),
    *(f"{folder}last.ckpt" for folder in _FOLDERS),
    "policy.ckpt",
    *(f"{folder}best_model.ckpt" for folder in ("", "train_rsi/", "eval/train_rsi/")),
)
"""Ours first; the last ones are the original's names for the best of a run."""


def checkpoint_in(path: Path | str) -> Path | None:
    """Return the checkpoint that `path` is or, as a folder, holds: the best, else the last; None if there is none."""
    path = Path(path)
    if path.is_file():
        return path if path.suffix == ".ckpt" else None
    return next((path / place for place in _CHECKPOINTS if (path / place).is_file()), None)


def exported_in(path: Path | str) -> Path | None:
    """Return the `.safetensors` file that `path` is or, as a folder, holds as `model.safetensors`; None for others."""
    path = Path(path)
    if path.suffix == SAFETENSORS_SUFFIX:
        return path
    return path / EXPORTED_FILE if (path / EXPORTED_FILE).is_file() else None
