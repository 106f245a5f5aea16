"""The folder of an expert, ours or published: finding, reading and writing.

<snippet>[/<seed>]/clip_info.json
<snippet>[/<seed>]/eval_rsi/model/best_model.zip, vecnormalize.pkl, normalizer.json
<snippet>[/<seed>]/eval_start/model/...
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, naming
from mocapact_cli.core.interop import sb3_zip
from mocapact_cli.core.json_files import read_json_object, write_json
from mocapact_cli.core.paths import existing_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mocapact_cli.core.policies.expert import ExpertPolicy, Normalizer

CLIP_INFO = "clip_info.json"
MODEL_FILE = "best_model.zip"
NORMALIZER_FILE = "normalizer.json"
VECNORMALIZE_FILE = "vecnormalize.pkl"
RSI_MODEL = Path("eval_rsi", "model")
_MAX_DEPTH = 6


@dataclass(frozen=True)
class ExpertLocation:
    """Where an expert lies and what it tracks.

    Attributes:
        root: The folder with `clip_info.json`.
        model: The folder with `best_model.zip`.
        snippet: What it tracks.
        info: Everything in `clip_info.json`.
    """

    root: Path
    model: Path
    snippet: Snippet
    info: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True)
class LoadedExpert:
    """An expert, ready to act.

    Attributes:
        policy: The policy.
        location: Where it was read from.
        hyperparameters: Plain numbers of its training algorithm.
    """

    policy: ExpertPolicy
    location: ExpertLocation
    hyperparameters: Mapping[str, Any]

    @property
    def gamma(self) -> float:
        """Discount it was trained with."""
        return float(self.hyperparameters.get("gamma") or self.policy.normalizer.gamma)

    @property
    def gae_lambda(self) -> float:
        """Lambda of the generalized advantage estimates it was trained with."""
        return float(self.hyperparameters.get("gae_lambda") or 0.95)


def find_experts(root: Path | str) -> list[ExpertLocation]:
    """Return the experts at or below `root`, by path.

    `root` is a folder `.../model`, or any folder above it. Below a folder, experts are known by `eval_rsi/model`.

    Raises:
        NotFoundError: `root` does not exist or holds no expert.
        InvalidInputError: A `clip_info.json` is damaged.
    """
    root = Path(root)
    _check_folder(root)
    models = _model_folders(root)
    if not models:
        raise NotFoundError(
            f"There is no expert in {root}.", hint="An expert is a folder with eval_rsi/model/best_model.zip."
        )
    return [_locate(model) for model in models]


def _check_folder(root: Path) -> None:
    if not root.is_dir():
        what = "is not a folder of experts" if root.exists() else "does not exist"
        raise NotFoundError(
            f"{root} {what}.",
            hint="Give a folder that `mocapact expert train` or `mocapact download -t experts` has made.",
        )


def find_expert_folders(root: Path | str) -> list[Path]:
    """Return the folders of experts at or below `root`, by path: whole ones, and those that a run has only begun.

    They are known by `eval_rsi`, or by `clip_info.json` where no expert lies below. Nothing is read.

    Raises:
        NotFoundError: `root` is not a folder.
    """
    root = Path(root)
    _check_folder(root)
    # A folder inside an expert stands for the expert.
    here = root.absolute()
    inside = [folder for folder in (here, here.parent) if folder.name in ("eval_rsi", "eval_start")]
    if inside:
        return [inside[0].parent]
    evaluated = {folder for folder in folders_below(root) if (folder / RSI_MODEL.parts[0]).is_dir()}
    above = {parent for folder in evaluated for parent in folder.parents}
    begun = {folder for folder in folders_below(root) if (folder / CLIP_INFO).is_file()} - above
    return sorted(evaluated | begun)


def locate_expert(root: Path | str) -> ExpertLocation:
    """Return where an expert's files belong and what it tracks, whether or not it has a model yet.

    Raises:
        NotFoundError: There is no `clip_info.json`.
        InvalidInputError: It is damaged.
    """
    return _locate(Path(root) / RSI_MODEL)


def check_model(model: Path | str) -> Mapping[str, Any]:
    """See that a model is there and whole enough to say what it is; its weights are not read.

    Returns:
        Plain numbers of its training algorithm.

    Raises:
        NotFoundError: It is not there.
        InvalidInputError: It is damaged.
    """
    return sb3_zip.read_description(Path(model) / MODEL_FILE).hyperparameters


def find_expert(root: Path | str) -> ExpertLocation:
    """Return the one expert at or below `root`.

    Raises:
        NotFoundError: There is none.
        UsageError: There are several.
    """
    found = find_experts(root)
    if len(found) > 1:
        names = ", ".join(str(location.root) for location in found[:3])
        raise UsageError(f"{root} holds {len(found)} experts.", hint=f"Name one of them, such as {names}.")
    return found[0]


def load_expert(location: ExpertLocation | Path | str, *, device: str = "cpu") -> LoadedExpert:
    """Read an expert, ours or published; nothing in it is executed.

    Raises:
        NotFoundError: There is no expert, or a file of it is missing.
        InvalidInputError: A file of it is damaged or hostile.
        UsageError: The folder holds several experts.
    """
    from mocapact_cli.core.policies.expert import ExpertNetwork, ExpertPolicy

    if not isinstance(location, ExpertLocation):
        location = find_expert(location)
    archive = sb3_zip.read_description(location.model / MODEL_FILE)
    observables = _observables(location, archive)
    with naming(location.model / MODEL_FILE):
        network = ExpertNetwork.from_state_dict(sb3_zip.read_weights(location.model / MODEL_FILE), archive.activation)
    normalizer = read_normalizer(location.model, archive, observables)
    with naming(location.model / MODEL_FILE):
        policy = ExpertPolicy(network, normalizer, observables, ref_steps=_ref_steps(location), device=device)
    return LoadedExpert(policy, location, archive.hyperparameters)


def recorded_mocap(experts: Iterable[ExpertLocation]) -> list[Path]:
    """Return the mocap files that experts say they were trained on (`mocap` in their record) and that still exist."""
    return list(dict.fromkeys(path for place in experts for path in existing_files(place.info.get("mocap"))))


def write_clip_info(root: Path | str, snippet: Snippet, observables: Sequence[str], **extra: Any) -> Path:
    """Write `clip_info.json` (atomically) into an expert's folder.

    Args:
        root: The expert's folder.
        snippet: What it tracks.
        observables: What it sees, in order.
        extra: Further plain values, such as `ref_steps`, or `mocap`: paths of the files that hold the clip.
    """
    published = {"clip_id": snippet.clip_id, "start_step": snippet.start_step, "end_step": snippet.end_step}
    return write_json(Path(root) / CLIP_INFO, published | {"observables": list(observables)} | extra)


def write_model(
    folder: Path | str,
    policy: ExpertPolicy,
    hyperparameters: Mapping[str, Any] | None = None,
    *,
    record: Mapping[str, Any] | None = None,
    bound: float = 1.0,
) -> Path:
    """Write an expert's model folder: `best_model.zip`, `vecnormalize.pkl` and `normalizer.json`, each atomically.

    The zip also holds the normalizer, so that a model is never paired with statistics of another moment.

    Args:
        folder: Such as `<snippet>/<seed>/eval_rsi/model`.
        policy: The expert.
        hyperparameters: Numbers of the algorithm (`gamma`, `gae_lambda`, `num_timesteps`, ...).
        record: Further plain values to keep in the zip.
        bound: Limit of the actions.

    Returns:
        The path of `best_model.zip`.
    """
    from mocapact_cli.core.interop.normalizers import normalizer_to_dict, vecnormalize_bytes

    folder = Path(folder)
    statistics = normalizer_to_dict(policy.normalizer)
    extra = {"observables": list(policy.observables), "ref_steps": list(policy.ref_steps), "normalizer": statistics}
    with atomic_write(folder / MODEL_FILE, suffix=".zip") as temporary:
        sb3_zip.write_sb3_zip(temporary, policy, extra | dict(record or {}), hyperparameters or {}, bound=bound)
    with atomic_write(folder / VECNORMALIZE_FILE) as temporary:
        temporary.write_bytes(vecnormalize_bytes(policy.normalizer, len(policy.std)))
    write_json(folder / NORMALIZER_FILE, {"observables": list(policy.observables)} | statistics)
    return folder / MODEL_FILE


def read_clip_info(root: Path | str) -> dict[str, Any]:
    """Read an expert's `clip_info.json`.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged.
    """
    return read_json_object(Path(root) / CLIP_INFO, hint="It says which snippet an expert tracks.")


def _model_folders(root: Path) -> list[Path]:
    if (root / MODEL_FILE).is_file():
        return [root]
    if root.name in ("eval_rsi", "eval_start") and (root / "model" / MODEL_FILE).is_file():
        return [root / "model"]
    return sorted(folder / RSI_MODEL for folder in folders_below(root) if (folder / RSI_MODEL / MODEL_FILE).is_file())


def folders_below(root: Path) -> Iterable[Path]:
    """Yield `root` and the folders below it, not deeper than any layout of experts and not through links."""
    for folder, names, _ in os.walk(root):
        path = Path(folder)
        yield path
        if len(path.relative_to(root).parts) >= _MAX_DEPTH:
            names.clear()


def _locate(model: Path) -> ExpertLocation:
    model = model.absolute()
    root = next((folder for folder in model.parents[1:4] if (folder / CLIP_INFO).is_file()), None)
    if root is None:
        raise NotFoundError(
            f"{model} has no {CLIP_INFO} above it.",
            hint="It says which snippet an expert tracks and lies beside eval_rsi.",
        )
    info = read_clip_info(root)
    try:
        snippet = Snippet(str(info["clip_id"]), int(info["start_step"]), int(info["end_step"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"{root / CLIP_INFO} does not name a snippet: {error!r}.") from error
    return ExpertLocation(root, model, snippet, info)


def _observables(location: ExpertLocation, archive: sb3_zip.Sb3Archive) -> tuple[str, ...]:
    named = location.info.get("observables")
    found = archive.observables or tuple(str(name) for name in (named if isinstance(named, list) else ()))
    if not found:
        raise InvalidInputError(f"{location.model / MODEL_FILE} does not say which observables it sees.")
    return found


def _ref_steps(location: ExpertLocation) -> tuple[int, ...]:
    steps = location.info.get("ref_steps", [0])
    if not isinstance(steps, list) or not all(isinstance(step, int) for step in steps):
        raise InvalidInputError(f"{location.root / CLIP_INFO}: ref_steps are not whole numbers.")
    return tuple(steps)


def read_normalizer(model: Path, archive: sb3_zip.Sb3Archive, observables: Sequence[str]) -> Normalizer:
    """Take a model's statistics from the zip, else from the JSON beside it, else from the pickle by an allow-list.

    Args:
        model: The folder with `best_model.zip`.
        archive: What the zip says.
        observables: What the model sees.

    Raises:
        NotFoundError: There are none.
        InvalidInputError: They are damaged or hostile.
    """
    from mocapact_cli.core.interop import normalizers

    if "normalizer" in archive.extra:
        source = str(model / MODEL_FILE)
        return normalizers.normalizer_from_dict(archive.extra["normalizer"], source=source)
    path = model / NORMALIZER_FILE
    if not path.is_file():
        return normalizers.read_vecnormalize(model / VECNORMALIZE_FILE, observables)
    data = read_json_object(path)
    data.pop("observables", None)
    return normalizers.normalizer_from_dict(data, source=str(path))
