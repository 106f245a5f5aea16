"""The model of a transfer task, as published: reading.

<task>/<seed>/eval/model/best_model.zip, vecnormalize.pkl
<task>/<seed>/eval/model/low_level_policy.ckpt      where it acts through one
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import InvalidInputError, MocapactError, UsageError
from mocapact_cli.core.interop import sb3_zip
from mocapact_cli.core.interop.expert_folder import MODEL_FILE, VECNORMALIZE_FILE
from mocapact_cli.core.interop.lightning_ckpt import load_checkpoint
from mocapact_cli.core.interop.normalizers import normalizer_from_dict, read_vecnormalize

if TYPE_CHECKING:
    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.policies.transfer import TransferPolicy

LOW_LEVEL_FILE = "low_level_policy.ckpt"
EVAL_MODEL = Path("eval", "model")


def transfer_model_in(path: Path | str) -> Path | None:
    """Return the folder of the one model of a transfer task that `path` is, is inside of or holds; None if none.

    Raises:
        UsageError: There are several, of different seeds.
    """
    path = Path(path)
    here = path.absolute()
    for folder in (here, here / "model", here / EVAL_MODEL):
        if folder.parts[-2:] == EVAL_MODEL.parts and (folder / MODEL_FILE).is_file():
            return folder
    seeds = sorted(path.glob(f"*/{EVAL_MODEL}/{MODEL_FILE}")) if path.is_dir() else []
    if len(seeds) > 1:
        raise UsageError(f"{path} holds {len(seeds)} models.", hint=f"Name one of them, such as {seeds[0].parents[2]}.")
    return seeds[0].parent if seeds else None


def load_transfer(folder: Path | str, device: str = "cpu") -> ExpertPolicy | TransferPolicy:
    """Read the model of a transfer task, ours or published; nothing in it is executed.

    Args:
        folder: With `best_model.zip`, see `transfer_model_in`.
        device: Where the networks run.

    Returns:
        The policy with its low-level policy; one that moves the joints itself is an actor and critic like an expert.

    Raises:
        NotFoundError: A file of it is missing.
        InvalidInputError: A file of it is damaged or hostile, or the two policies do not fit each other.
    """
    from mocapact_cli.core.policies.low_level import LowLevelPolicy
    from mocapact_cli.core.policies.transfer import TransferPolicy

    folder = Path(folder)
    archive = sb3_zip.read_description(folder / MODEL_FILE)
    policy = _actor_critic(folder, archive, device)
    low_level = folder / LOW_LEVEL_FILE
    if not low_level.is_file():
        _check_joints(policy, archive, folder)
        return policy
    try:
        below = LowLevelPolicy(load_checkpoint(low_level, device), max_embed=archive.action_limit)
        return TransferPolicy(policy, below)
    except InvalidInputError:
        raise
    except MocapactError as error:
        raise InvalidInputError(f"{folder}: {error.message}", hint=error.hint) from error


def _actor_critic(folder: Path, archive: sb3_zip.Sb3Archive, device: str) -> ExpertPolicy:
    from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy

    source = str(folder / MODEL_FILE)
    if not archive.observables:
        raise InvalidInputError(f"{source} does not say which observables it sees.")
    network = ExpertNetwork.from_state_dict(sb3_zip.read_weights(source), archive.activation)
    if "normalizer" in archive.extra:
        normalizer = normalizer_from_dict(archive.extra["normalizer"], source=source)
    else:
        normalizer = read_vecnormalize(folder / VECNORMALIZE_FILE, archive.observables)
    return ExpertPolicy(network, normalizer, archive.observables, ref_steps=(), device=device)


def _check_joints(policy: ExpertPolicy, archive: sb3_zip.Sb3Archive, folder: Path) -> None:
    """Embeddings have a limit of their own; actions of joints are limited to 1."""
    if archive.action_limit not in (None, 1.0):
        raise InvalidInputError(
            f"{folder} has no {LOW_LEVEL_FILE}, but its policy gives embeddings of {len(policy.std)}.",
            hint="Copy it beside the model: the run that trained it used it.",
        )
