"""Opening a policy, whatever it is and whoever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import load_expert
from mocapact_cli.core.interop.policy_places import ONNX_SUFFIX, checkpoint_in, exported_in

if TYPE_CHECKING:
    from mocapact_cli.core.policies.distilled import DistilledPolicy
    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.policies.transfer import TransferPolicy


def load_policy(path: Path | str, device: str = "cpu") -> ExpertPolicy | DistilledPolicy | TransferPolicy:
    """Open an expert, a multi-clip policy or a policy for a task, ours or a published one; no file of it is executed.

    Args:
        path: A multi-clip policy's `.ckpt`, or its folder (`model/best.ckpt`, else `model/last.ckpt`); or an exported
            `.safetensors`, or a folder with `model.safetensors`; or an expert's `.../eval_rsi/model`, or any folder
            above it that holds no other expert; or the same of a policy for a task, `.../eval/model`.
        device: Where its network runs, such as `cpu` or `cuda:0`.

    Raises:
        NotFoundError: There is no policy.
        InvalidInputError: A file of it is damaged or hostile.
        UsageError: The folder holds several experts, or the file is an ONNX graph.
        MissingDependencyError: An exported policy is opened without the safetensors package.
    """
    from mocapact_cli.core.interop.lightning_ckpt import load_checkpoint
    from mocapact_cli.core.interop.policy_files import load_safetensors
    from mocapact_cli.core.interop.transfer_folder import find_transfer_models, load_transfer

    if not Path(path).exists():
        raise NotFoundError(f"{path} does not exist.", hint="Give an expert, a policy's file or the folder of a run.")
    if Path(path).suffix == ONNX_SUFFIX:
        raise UsageError(f"{path} is for onnxruntime.", hint="Give the policy that it was exported from.")
    exported = exported_in(path)
    if exported is not None:
        return load_safetensors(exported, device)
    checkpoint = checkpoint_in(path)
    if checkpoint is not None:
        return load_checkpoint(checkpoint, device)
    if Path(path).is_dir() and find_transfer_models(path):
        return load_transfer(path, device=device).policy
    return load_expert(path, device=device).policy
