"""What is sent of an expert, a policy or a dataset: its files under the places where they are found again.

Checkpoints to resume from, event files and whatever else lies in a run's folder stay here, and so do the names of this
machine and of its folders, which records of runs hold.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE
from mocapact_cli.core.guarded import run_guarded
from mocapact_cli.core.interop.expert_folder import CLIP_INFO
from mocapact_cli.core.interop.run_files import CHECKPOINTS, CONFIG, FLAGS, METRICS, VERSIONS
from mocapact_cli.core.json_files import read_json_object
from mocapact_cli.core.publish import scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.publish.scores import Score

CARD = "README.md"
_NAMES = frozenset(
    {
        *(CONFIG, VERSIONS, CLIP_INFO, "normalizer.json", METRICS, EVALUATIONS_FILE),
        *("best_model.zip", "vecnormalize.pkl", FLAGS, "model_constructor.txt", "progress.csv", CARD),
    }
)
"""Files of a run that are sent, beside models and pictures: others may be anybody's."""
_SUFFIXES = frozenset({".ckpt", ".safetensors", ".png"})
_LEFT_OUT = frozenset({CHECKPOINTS, "tensorboard", "wandb", "videos"})
_RECORDS = frozenset({CONFIG, VERSIONS, CLIP_INFO})
_HOST = "host"
_PATH_IN_FLAG = re.compile(r"(?m)=(?:/|~/)[^\n]*/")
_ABSOLUTE = re.compile(r"(?:/|~/|[A-Za-z]:[\\/]).*", re.DOTALL)
_HINT = "Give an expert or a folder of them, a policy (a run, a .ckpt, a .safetensors), or rollouts (.hdf5)."


@dataclass(frozen=True)
class Parcel:
    """What is sent.

    Attributes:
        kind: In words, such as `expert`.
        repository_kind: Of the repository that takes it.
        files: Place in the repository -> the file, or what is sent in its stead.
        snippets: That it tracks, learned from or holds.
        scores: How good it is.
        details: What else is known of it.
        versions: Package -> version that it was made with.
    """

    kind: str
    repository_kind: Literal["model", "dataset"]
    files: Mapping[str, Path | bytes]
    snippets: tuple[str, ...] = ()
    scores: tuple[Score, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> dict[str, int]:
        """Place -> bytes."""
        return {name: len(it) if isinstance(it, bytes) else it.stat().st_size for name, it in self.files.items()}


def pack(path: Path | str, *, progress: Progress | None = None) -> Parcel:
    """Read what lies at a path and see that it is sound.

    Args:
        path: An expert or a folder of experts, a policy of any kind, or rollouts.
        progress: Told how far the reading of rollouts is.

    Raises:
        NotFoundError: Nothing is there.
        InvalidInputError: It is damaged.
        UsageError: It is nothing that is published, or several policies.
    """
    from mocapact_cli.core.interop.policy_places import checkpoint_in, exported_in

    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"{path} does not exist.", hint="Check the path.")
    if (policy := exported_in(path) or checkpoint_in(path)) is not None:
        return _policy(path, policy)
    if path.is_file() or any(_is_rollouts(item) for item in path.iterdir()):
        return _dataset(path, progress)
    return _run_of_ppo(path)


def _is_rollouts(path: Path) -> bool:
    return path.suffix == ".hdf5" and not path.name.startswith(".")


def _policy(path: Path, file: Path) -> Parcel:
    """A policy for many clips: its best checkpoint, and the record of its run where there is one."""
    from mocapact_cli.core.interop.policies import load_policy

    policy: Any = load_policy(file)
    if path.is_file():
        place = f"model{path.suffix}" if path.suffix != ".ckpt" else "policy.ckpt"
        files: dict[str, Path | bytes] = {place: path}
    else:
        others = [item for item in _files(path) if item.suffix not in (".ckpt", ".safetensors")]
        files = _placed(path, [*others, file])
    record = _record(path)
    details = {"model": getattr(policy, "model", ""), "observables": list(policy.observables)}
    return Parcel(
        "policy for many clips",
        "model",
        files,
        snippets=tuple(map(str, record.get("snippets", ()))),
        scores=scores.of_distillation(path),
        details=details | {"training": record.get("training", {})},
        versions=_versions(path),
    )


def _run_of_ppo(path: Path) -> Parcel:
    from mocapact_cli.core.interop.expert_folder import find_expert_folders
    from mocapact_cli.core.interop.transfer_folder import find_transfer_models

    if models := find_transfer_models(path):
        return _task_policy(path, models)
    if folders := find_expert_folders(path):
        return _experts(folders)
    raise UsageError(f"{path} holds nothing that can be pushed.", hint=_HINT)


def _task_policy(path: Path, models: list[Path]) -> Parcel:
    from mocapact_cli.core.interop.transfer_folder import load_transfer

    if len(models) > 1:
        raise UsageError(f"{path} holds {len(models)} policies for tasks.", hint=f"Name one, such as {models[0]}.")
    root = models[0].parents[1]
    loaded = load_transfer(root)
    low_level = loaded.policy.low_level
    return Parcel(
        "policy for a task",
        "model",
        _placed(root, _files(root)),
        scores=scores.of_task(root),
        details={
            "task": loaded.task,
            "settings of the task": dict(loaded.settings),
            "actions": f"embeddings of {low_level.embed_size}" if low_level else "joints",
            "training": _record(root).get("training", {}),
        },
        versions=_versions(root),
    )


def _experts(folders: list[Path]) -> Parcel:
    from mocapact_cli.core.interop.expert_folder import RSI_MODEL, check_model, locate_expert

    located = [locate_expert(folder) for folder in folders]
    for place in located:
        check_model(place.root / RSI_MODEL)
    names = [str(place.snippet) for place in located]
    files: dict[str, Path | bytes] = {}
    for place, name in zip(located, names, strict=True):
        # Several of one snippet lie below its name, by seed, as they do here.
        below = f"{name}/" if names.count(name) == 1 else f"{name}/{place.root.name}/"
        files |= _placed(place.root, _files(place.root), below)
    return Parcel(
        "expert" if len(located) == 1 else f"{len(located):,} experts",
        "model",
        files,
        snippets=tuple(dict.fromkeys(names)),
        scores=scores.of_experts([place.root for place in located]),
        details={"training": _record(located[0].root).get("training", {})} if len(located) == 1 else {},
        versions=_versions(located[0].root),
    )


def _dataset(path: Path, progress: Progress | None) -> Parcel:
    from mocapact_cli.core.datasets.metrics import METRICS_FILE

    function = "mocapact_cli.core.evaluation.inspection:inspect_path"
    try:
        found = run_guarded(function, {"path": str(path), "check": True}, progress=progress)
    except InvalidInputError as error:
        if "nothing that mocapact knows" in error.message or "not a file that" in error.message:
            raise UsageError(f"{path} is nothing that can be pushed.", hint=_HINT) from error
        raise
    if found["kind"] not in ("dataset", "rollouts"):
        raise UsageError(f"{path} holds {found['kind'].replace('_', ' ')}, which is not pushed.", hint=_HINT)
    chosen = [path] if path.is_file() else [item for item in sorted(path.iterdir()) if _is_rollouts(item)]
    metrics = (path if path.is_dir() else path.parent) / METRICS_FILE
    files: dict[str, Path | bytes] = {item.name: item for item in chosen}
    if path.is_dir() and metrics.is_file():
        files[METRICS_FILE] = metrics
    return Parcel(
        "dataset of rollouts",
        "dataset",
        files,
        snippets=tuple(row["snippet"] for row in found["snippets"]),
        scores=scores.of_rollouts(found["snippets"]),
        details={
            "episodes": found["episodes"],
            "steps": found["steps"],
            "from the start, of each snippet": found["n_start_rollouts"],
            "from random steps, of each snippet": found["n_rsi_rollouts"],
            "steps ahead of the reference": found["ref_steps"],
            "columns of observations": found["columns"],
            "observables": list(found["observables"]),
        },
        versions=_recorded_versions(found.get("recorded_by", {})),
    )


def _files(root: Path) -> list[Path]:
    """What is sent of a run: its records, models, evaluations and pictures."""
    found = []
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if name not in _LEFT_OUT and not name.startswith("."))
        found += [Path(folder, name) for name in sorted(files) if not name.startswith(".")]
    return [path for path in found if path.name in _NAMES or path.suffix in _SUFFIXES]


def _placed(root: Path, files: Iterable[Path], below: str = "") -> dict[str, Path | bytes]:
    return {f"{below}{path.relative_to(root).as_posix()}": _without_places(path) for path in files}


def _without_places(path: Path) -> Path | bytes:
    """A file, or the record that is sent in its stead: without the host, and with the mere names of files."""
    if path.name == FLAGS:
        return _PATH_IN_FLAG.sub("=", path.read_text(encoding="utf-8", errors="replace")).encode()
    if path.name not in _RECORDS:
        return path
    record = {name: value for name, value in read_json_object(path).items() if name != _HOST}
    return (json.dumps(_bare(record), indent=2) + "\n").encode()


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _bare(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, str) and _ABSOLUTE.fullmatch(value):
        return re.split(r"[\\/]", value.rstrip("\\/"))[-1]
    return value


def _record(root: Path) -> dict[str, Any]:
    """The record of the run in a folder; nothing for a file, and for folders without one."""
    path = root / CONFIG
    return _bare(read_json_object(path)) if path.is_file() else {}


def _versions(root: Path) -> dict[str, str]:
    path = root / VERSIONS
    return _recorded_versions(read_json_object(path)) if path.is_file() else {}


def _recorded_versions(record: Mapping[str, Any]) -> dict[str, str]:
    known = record.get("versions", record)
    packages = known.get("packages") if isinstance(known, dict) else None
    named = {name: version for name, version in (packages or {}).items() if isinstance(version, str)}
    return {"python": known["python"], **named} if named and isinstance(known.get("python"), str) else named
