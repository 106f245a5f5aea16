"""What checkpoints hold, as facts for `inspect`: nothing is unpickled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mocapact_cli.core.interop.checkpoint_file import is_torch_zip, read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.interop.checkpoint_file import Tensor

Facts = dict[str, Any]
_SUFFIXES = (".ckpt", ".pt", ".pth", ".pkl")


def is_checkpoint(path: Path) -> bool:
    """Whether a file is called or begins like a checkpoint."""
    return path.suffix.lower() in _SUFFIXES or is_torch_zip(path)


def inspect_checkpoint(path: Path) -> Facts:
    """Return what a PyTorch or Lightning checkpoint holds.

    Raises:
        InvalidInputError: It is damaged or none.
    """
    found = read_checkpoint(path)
    settings = dict(found.settings)
    hyper = settings.pop("hyper_parameters", None)
    return {
        "kind": "checkpoint",
        "path": str(path),
        "bytes": path.stat().st_size,
        "format": found.format,
        "lightning": settings.pop("pytorch-lightning_version", None),
        **{name: settings.pop(name, None) for name in ("epoch", "global_step")},
        "parameters": sum(tensor.size for tensor in found.tensors),
        "tensors": [_tensor_row(tensor) for tensor in found.tensors],
        "other_tensors": {"count": len(found.others), "numbers": sum(tensor.size for tensor in found.others)},
        "hyper_parameters": hyper if isinstance(hyper, dict) else {},
        "settings": settings,
        "names": list(found.names),
        "unusual_names": list(found.unusual),
    }


def _tensor_row(tensor: Tensor) -> Facts:
    return {"path": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}
