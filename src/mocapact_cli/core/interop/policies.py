"""Opening a policy, whatever it is and whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.interop.expert_folder import load_expert

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.policies.expert import ExpertPolicy


def load_policy(path: Path | str, device: str = "cpu") -> ExpertPolicy:
    """Open an expert, ours or a published one; nothing in its files is executed.

    Args:
        path: The expert's `.../eval_rsi/model`, or any folder above it that holds no other expert.
        device: Where its network runs, such as `cpu` or `cuda:0`.

    Raises:
        NotFoundError: There is no expert.
        InvalidInputError: A file of it is damaged or hostile.
        UsageError: The folder holds several experts.
    """
    return load_expert(path, device=device).policy
