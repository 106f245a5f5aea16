"""What can be exported as what."""

from __future__ import annotations

from pathlib import Path

from mocapact_cli.core.datasets.reader import SUFFIX
from mocapact_cli.core.datasets.schema import OBSERVABLE_INDICES
from mocapact_cli.core.errors import NotFoundError, UsageError, check_known
from mocapact_cli.core.interop.expert_folder import MODEL_FILE, find_expert_folders
from mocapact_cli.core.interop.policy_places import ONNX_SUFFIX, checkpoint_in, exported_in
from mocapact_cli.core.interop.transfer_folder import find_transfer_models
from mocapact_cli.core.safe import h5

ROLLOUT_TARGETS = ("rollouts", "minari", "d4rl", "lerobot")
POLICY_TARGETS = ("safetensors", "onnx")
TARGETS = (*ROLLOUT_TARGETS, *POLICY_TARGETS)
ROLLOUTS, POLICY = "rollouts", "a policy"
_FITTING = {ROLLOUTS: ROLLOUT_TARGETS, POLICY: POLICY_TARGETS}


def check_target(to: str) -> None:
    """Make sure that there is a target of this name.

    Raises:
        UsageError: There is none.
    """
    check_known(to, TARGETS, "format")


def check_fit(source: Path | str, to: str) -> None:
    """Make sure that a source is not of a kind that a target does not take; what it holds is not read.

    Raises:
        NotFoundError: The source does not exist, or there is nothing in it that could be exported.
        InvalidInputError: It is damaged.
        UsageError: It is of another kind.
    """
    found = kinds_of(source)
    if any(to in _FITTING.get(kind, ()) for kind in found):
        return
    if found:
        fitting = [f"{kind.capitalize()} can become {_either(_FITTING[kind])}." for kind in found if kind in _FITTING]
        raise UsageError(
            f"{source} holds {found[0]}, which cannot be exported to {to}.", hint=" ".join(fitting) or _WANTED
        )
    raise NotFoundError(f"{source} holds {'no rollout files' if to in ROLLOUT_TARGETS else 'no policy'}.", hint=_WANTED)


_WANTED = "Give rollout files (.hdf5) or a folder of them, or a policy: a .ckpt or .safetensors, a run, an expert."


def kinds_of(source: Path | str) -> list[str]:
    """Return what a source holds: `ROLLOUTS`, `POLICY`, or in words what cannot be exported; empty if unknown.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It should be HDF5 and is damaged.
    """
    source = Path(source)
    if not source.exists():
        raise NotFoundError(f"{source} does not exist.", hint="Check the path.")
    if checkpoint_in(source) or exported_in(source):
        kinds = [POLICY]
    else:
        kinds = _other_folder(source) if source.is_dir() else _other_file(source)
    return kinds


def _other_folder(folder: Path) -> list[str]:
    if any(item.suffix == SUFFIX and not item.name.startswith(".") for item in folder.iterdir()):
        return [ROLLOUTS]
    known = (folder / MODEL_FILE).is_file() or find_expert_folders(folder) or find_transfer_models(folder)
    return [POLICY] if known else []


def _other_file(file: Path) -> list[str]:
    if file.suffix == ONNX_SUFFIX:
        return ["a policy in ONNX"]
    if file.name == MODEL_FILE:
        return ["a part of an expert"]
    if file.suffix not in h5.SUFFIXES:
        return []
    with h5.open_h5(file) as content, h5.damage_named(file):
        return [ROLLOUTS if OBSERVABLE_INDICES in content else "motion capture"]


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
