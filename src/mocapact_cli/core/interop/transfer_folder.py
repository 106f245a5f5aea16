"""The folder of a policy for a task, ours or published: finding, reading and writing.

<run>/config.json (ours), flags.txt (published)
<run>/eval/evaluations.npz
<run>/eval/model/best_model.zip, vecnormalize.pkl, normalizer.json, low_level_policy.ckpt
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, naming
from mocapact_cli.core.interop import sb3_zip
from mocapact_cli.core.interop.expert_folder import (
    CLIP_INFO,
    MODEL_FILE,
    folders_below,
    read_normalizer,
    write_model,
)
from mocapact_cli.core.interop.policy_places import LOW_LEVEL_FILE, TASK_MODEL, checkpoint_in
from mocapact_cli.core.paths import existing_files
from mocapact_cli.core.policies.low_level import MAX_EMBED, LowLevelPolicy
from mocapact_cli.core.tasks.registry import task_class, task_seen_in
from mocapact_cli.core.walker.model import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.policies.transfer import TransferPolicy

_RECORD = "transfer"
"""Under which name the zip says what the model was trained on."""
_FLAGS = "flags.txt"
_PUBLISHED_FLAGS = {"episode_steps": "max_steps"}
"""Flags of published runs -> the task's settings that they give."""


@dataclass(frozen=True)
class LoadedTransfer:
    """A policy for a task, ready to act.

    Attributes:
        policy: The policy.
        model: The folder with `best_model.zip`.
        task: Name of the task.
        settings: Where it differs from the original's.
        mocap: Files of motion that the run was given.
        hyperparameters: Plain numbers of its training algorithm.
    """

    policy: TransferPolicy
    model: Path
    task: str
    settings: Mapping[str, Any]
    mocap: tuple[Path, ...] = ()
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


def find_transfer_models(root: Path | str) -> list[Path]:
    """Return the model folders of policies for tasks at or below a folder, by path; nothing is read."""
    root = Path(root)
    if _is_task_model(root):
        return [root]
    if root.name == TASK_MODEL.parts[0] and _is_task_model(root / TASK_MODEL.parts[1]):
        return [root / TASK_MODEL.parts[1]]
    return sorted(folder / TASK_MODEL for folder in folders_below(root) if (folder / TASK_MODEL / MODEL_FILE).is_file())


def _is_task_model(folder: Path) -> bool:
    """Whether a folder itself holds a model, and not that of an expert."""
    if not (folder / MODEL_FILE).is_file() or folder.absolute().parent.name in ("eval_rsi", "eval_start"):
        return False
    return not any((above / CLIP_INFO).is_file() for above in [folder, *folder.absolute().parents[:3]])


def find_transfer_model(root: Path | str) -> Path:
    """Return the folder of the one model at or below `root`.

    Raises:
        NotFoundError: There is none.
        UsageError: There are several.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise NotFoundError(f"{root} {what}.", hint="Give a folder that `mocapact transfer train` has made.")
    found = find_transfer_models(root)
    if not found:
        raise NotFoundError(
            f"There is no policy for a task in {root}.",
            hint="Such a one is a folder with eval/model/best_model.zip; `expert eval` takes experts, `distill eval` "
            "policies for many clips.",
        )
    if len(found) > 1:
        names = ", ".join(str(model.parents[1]) for model in found[:3])
        raise UsageError(f"{root} holds {len(found)} policies for tasks.", hint=f"Name one of them, such as {names}.")
    return found[0]


def load_transfer(root: Path | str, *, task: str | None = None, device: str = "cpu") -> LoadedTransfer:
    """Read a policy for a task, ours or published; nothing in it is executed.

    Args:
        root: The model's folder, or one above it that holds no other.
        task: What it was trained on; default: what its files say.
        device: Where its networks run.

    Raises:
        NotFoundError: There is no model.
        InvalidInputError: A file of it is damaged or hostile, or it lacks its low-level policy.
        UsageError: The folder holds several, or nothing says what the task is.
    """
    from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy
    from mocapact_cli.core.policies.transfer import TransferPolicy

    model = find_transfer_model(root).absolute()
    archive = sb3_zip.read_description(model / MODEL_FILE)
    observables = archive.observables
    record = archive.extra.get(_RECORD)
    said: dict[str, Any] = record if isinstance(record, dict) else _published_record(model)
    own = said.get("task") or task_seen_in(observables)
    name = _task_name(task or own, model)
    unseen = [observable for observable in task_class(name).own_observables if observable not in observables]
    if task is not None and own is not None and unseen:
        raise UsageError(
            f"The policy in {model} does not see {unseen[0]}, which {name} is told by.",
            hint=f"It is for {own}: leave out --task.",
        )
    normalizer = read_normalizer(model, archive, observables)
    with naming(model / MODEL_FILE):
        network = ExpertNetwork.from_state_dict(sb3_zip.read_weights(model / MODEL_FILE), archive.activation)
        controller = ExpertPolicy(network, normalizer, observables, device=device)
    low_level = _read_low_level(model, len(controller.std), said, device)
    try:
        policy = TransferPolicy(controller, low_level, name, own=task_class(name).own_observables)
    except InvalidInputError as error:
        raise InvalidInputError(f"{model}: {error.message}", hint=error.hint) from error
    settings = said.get("settings")
    return LoadedTransfer(
        policy,
        model,
        name,
        settings if isinstance(settings, dict) else {},
        tuple(existing_files(said.get("mocap"))),
        archive.hyperparameters,
    )


def write_transfer_model(
    folder: Path | str,
    controller: ExpertPolicy,
    record: Mapping[str, Any],
    hyperparameters: Mapping[str, Any],
    *,
    bound: float,
) -> Path:
    """Write a controller beside its low-level policy, which `copy_low_level` has put there.

    Args:
        folder: `<run>/eval/model`.
        controller: What was trained.
        record: Plain values: `task`, `settings` where they differ from the original's, `mocap` and `low_level`, which
            says whether there is one.
        hyperparameters: Numbers of the algorithm.
        bound: Limit of the actions.
    """
    return write_model(folder, controller, hyperparameters, record={_RECORD: dict(record)}, bound=bound)


def open_low_level(path: Path | str, *, max_embed: float = MAX_EMBED, device: str = "cpu") -> LowLevelPolicy:
    """Open the low-level policy of a multi-clip policy, ours or a published one.

    Args:
        path: A `.ckpt` or `.safetensors`, or the folder of either.
        max_embed: Embeddings are clipped to plus and minus this.
        device: Where it runs.

    Raises:
        NotFoundError: There is no policy.
        InvalidInputError: It is damaged or hostile.
        UsageError: It has no decoder that acts without a reference.
    """
    from mocapact_cli.core.interop.policies import load_policy

    try:
        return LowLevelPolicy(load_policy(path, device), max_embed=max_embed)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from error


def copy_low_level(source: Path, low_level: LowLevelPolicy, folder: Path) -> Path:
    """Put the policy that a low-level policy is of into a model's folder, byte by byte where it is a checkpoint.

    Args:
        source: Where it was read from.
        low_level: What was read.
        folder: Where it goes.
    """
    from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint

    target, checkpoint = folder / LOW_LEVEL_FILE, checkpoint_in(source)
    if checkpoint is None:
        return write_checkpoint(target, low_level.policy)
    with atomic_write(target) as temporary:
        shutil.copyfile(checkpoint, temporary)
    return target


def _read_low_level(model: Path, size: int, said: Mapping[str, Any], device: str) -> LowLevelPolicy | None:
    path = model / LOW_LEVEL_FILE
    if path.is_file():
        limit = said.get("max_embed")
        return open_low_level(path, max_embed=float(limit) if limit else MAX_EMBED, device=device)
    if said.get("low_level") or size != NUM_JOINTS:
        raise InvalidInputError(
            f"{model} lacks its low-level policy: {LOW_LEVEL_FILE} is not beside {MODEL_FILE}.",
            hint=f"Copy the policy that it was trained with there as {LOW_LEVEL_FILE}.",
        )
    return None


def _task_name(name: str | None, model: Path) -> str:
    if name is None:
        raise UsageError(f"{model} does not say which task it was trained on.", hint="Name it with --task.")
    return task_class(name).name


def _published_record(model: Path) -> dict[str, Any]:
    """Return what the flags of a published run say: the length of episodes and the limit of embeddings."""
    path = next((above / _FLAGS for above in model.parents[:3] if (above / _FLAGS).is_file()), None)
    text = path.read_text(encoding="utf-8", errors="replace") if path else ""
    flags = dict(re.findall(r"^--(\w+)=(\S+)$", text, re.MULTILINE))
    settings = {ours: int(flags[name]) for name, ours in _PUBLISHED_FLAGS.items() if flags.get(name, "").isdecimal()}
    limit = flags.get("max_embed", "")
    return {
        "settings": settings,
        "max_embed": float(limit) if re.fullmatch(r"\d+(\.\d+)?", limit) else None,
        "low_level": "low_level_policy_path" in flags,
    }
