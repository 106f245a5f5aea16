"""Saying what a file or folder holds: rollouts, motion capture, experts, runs and metrics.

Only headers and small arrays are read, and neither PyTorch nor the simulator is needed.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.clips.recordings import import_hint, is_recording
from mocapact_cli.core.datasets.metrics import METRICS_FILE
from mocapact_cli.core.datasets.metrics_npz import read_metrics
from mocapact_cli.core.datasets.reader import RolloutFile, SnippetRollouts, column_numbers
from mocapact_cli.core.datasets.schema import CHECKSUMS, CONTENTS_CHECKSUM, OBSERVABLE_INDICES
from mocapact_cli.core.errors import InvalidInputError, MocapactError, NotFoundError
from mocapact_cli.core.evaluation import run_folders, soundness
from mocapact_cli.core.evaluation.outliers import column_notes, observable_statistics, snippet_outliers
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE
from mocapact_cli.core.interop import expert_folder, sb3_zip
from mocapact_cli.core.safe import h5
from mocapact_cli.core.safe.archives import TAR_SUFFIXES, open_zip, read_npz

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.statistics import RolloutStatistics

Facts = dict[str, Any]
_CHECKSUMS = (CHECKSUMS, CONTENTS_CHECKSUM)
_HISTORY = {
    "norm_return": "results_norm",
    "norm_length": "ep_lengths_norm",
    "return": "results",
    "length": "ep_lengths",
}
_HINT = (
    "Known are rollout and mocap HDF5 files, checkpoints, models, .safetensors and .onnx, dataset_metrics.npz, "
    "evaluations.npz, tarballs, and folders of these, of experts and of runs."
)


def inspect_path(path: Path | str, *, tree: bool = False, check: bool = False) -> Facts:
    """Return what `path` holds, as a document with at least `kind` and `path`.

    Args:
        path: A file or folder.
        tree: Add every array of an HDF5 file, or every file of a folder, under `tree`.
        check: Read everything from end to end and compare it with its layout, checksums and neighbours.

    Raises:
        NotFoundError: Nothing is there.
        InvalidInputError: It is damaged, or nothing that mocapact knows.
    """
    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"{path} does not exist.", hint=_hint_for_nothing(path))
    facts = _inspect_folder(path) if path.is_dir() else _inspect_file(path, tree=tree)
    if check and soundness.check(path, facts["kind"]):
        facts["check"] = "sound"
    if tree:
        facts["tree"] = facts.pop("members", None) or list(_folder_tree(path) if path.is_dir() else _file_tree(path))
    return facts


def _hint_for_nothing(path: Path) -> str:
    """What to do about a path where there is nothing: it may be the name of a clip."""
    name = str(path)
    if len(path.parts) == 1 and open_library().has(name):
        return f"It is the name of a clip: `mocapact clips show {name}` says what that holds."
    return "Check the path."


def _inspect_file(path: Path, *, tree: bool) -> Facts:
    from mocapact_cli.core.evaluation.checkpoint_facts import inspect_checkpoint, is_checkpoint
    from mocapact_cli.core.evaluation.policy_facts import inspect_exported
    from mocapact_cli.core.evaluation.tarball_facts import inspect_tarball

    if path.suffix == ".npz":
        return _inspect_npz(path)
    if (exported := inspect_exported(path)) is not None:
        return exported
    if path.name.lower().endswith(TAR_SUFFIXES):
        return inspect_tarball(path, whole=tree)
    if path.suffix not in h5.SUFFIXES and is_checkpoint(path):
        return inspect_checkpoint(path)
    if path.suffix == ".zip":
        return {"kind": "model", **_base(path), **_model_facts(path)}
    if is_recording(path):
        raise InvalidInputError(f"{path} is a recording, not a file of clips.", hint=import_hint(path))
    if not is_hdf5_like(path):
        raise InvalidInputError(f"{path} is not a file that mocapact knows.", hint=_HINT)
    return _inspect_rollouts(path) if hdf5_kind(path) == "rollouts" else _inspect_mocap(path)


def hdf5_kind(path: Path) -> str:
    """Return `rollouts` or `mocap`, whichever an HDF5 file looks like.

    Raises:
        InvalidInputError: It is damaged.
    """
    with h5.open_h5(path) as file, h5.damage_named(path):
        return "rollouts" if OBSERVABLE_INDICES in file else "mocap"


def is_hdf5_like(path: Path) -> bool:
    """Whether a file is called or begins like an HDF5 file."""
    if path.suffix in h5.SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def _base(path: Path) -> Facts:
    return {"path": str(path), "bytes": path.stat().st_size}


def _inspect_rollouts(path: Path) -> Facts:
    facts, summary = _read_rollouts(path)
    return facts | summary.facts()


@dataclass
class _Summary:
    """What the stored statistics of one file, or of several files of one layout, say about the observables."""

    columns: Mapping[str, NDArray[np.int64]]
    statistics: RolloutStatistics | None

    def merge(self, other: _Summary) -> None:
        """Add another file's; files that disagree are left out, as their columns mean something else."""
        if self.statistics is not None and other.statistics is not None and self.widths() == other.widths():
            self.statistics.merge(other.statistics)

    def fits(self, names: Sequence[str], statistics: RolloutStatistics | None) -> bool:
        """Whether a file with observables of these names and with these statistics has the same columns."""
        sizes = [None if part is None else part.proprio.mean.size for part in (self.statistics, statistics)]
        return sizes[0] is not None and sizes[0] == sizes[1] and tuple(names) == tuple(self.columns)

    def widths(self) -> dict[str, int]:
        """Return the number of columns of each observable."""
        return {name: len(numbers) for name, numbers in self.columns.items()}

    def facts(self) -> Facts:
        """Return them; nothing for files that have none."""
        if self.statistics is None:
            return {}
        return {
            "statistics": observable_statistics(self.statistics, self.columns),
            "columns_of_note": column_notes(self.statistics, self.columns),
        }


def _read_rollouts(path: Path, like: _Summary | None = None) -> tuple[Facts, _Summary]:
    """Read one file; where its observables are named as in `like`, their columns are those too, and not read again."""
    with RolloutFile(path) as file, h5.damage_named(path):
        snippets = [_snippet_facts(file[name]) for name in file.snippets]
        statistics = file.statistics() if h5.find(file.handle, "stats") is not None else None
        known = like is not None and like.fits(file.observable_names, statistics)
        summary = _Summary(like.columns if known and like is not None else column_numbers(file), statistics)
        facts = {
            "kind": "rollouts",
            **_base(path),
            "clip": file.clip_id,
            **_layout_facts(file, summary.widths()),
            "episodes": sum(row["episodes"] for row in snippets),
            "steps": sum(row["steps"] for row in snippets),
            "snippets": snippets,
            "outliers": snippet_outliers(snippets),
            "recorded_by": _attributes(file),
        }
        return facts, summary


def _layout_facts(file: RolloutFile, widths: Mapping[str, int]) -> Facts:
    return {
        "n_start_rollouts": file.n_start_rollouts,
        "n_rsi_rollouts": file.n_rsi_rollouts,
        "ref_steps": list(file.ref_steps),
        "columns": sum(widths.values()),
        "observables": dict(widths),
    }


def _attributes(file: RolloutFile) -> Facts:
    """Return how the file says it was made, with JSON texts taken apart; empty for published files."""
    return {name: _parsed(value) for name, value in file.handle.attrs.items() if name not in _CHECKSUMS}


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except (json.JSONDecodeError, RecursionError):
            return value
    return value.item() if isinstance(value, np.generic) else str(value)


def _snippet_facts(rollouts: SnippetRollouts) -> Facts:
    lengths, failed = rollouts.lengths, rollouts.early_termination
    return {
        "snippet": rollouts.name,
        "episodes": len(lengths),
        "steps": int(lengths.sum()),
        "norm_return": _spread(rollouts.norm_returns),
        "norm_length": _spread(rollouts.norm_lengths),
        "return": _spread(rollouts.returns),
        "length": _spread(lengths),
        "early_termination_rate": float(failed.mean()) if len(failed) else None,
    }


def _spread(values: NDArray[np.floating]) -> dict[str, float] | None:
    return {"mean": float(values.mean()), "std": float(values.std())} if values.size else None


def _inspect_mocap(path: Path) -> Facts:
    clips: list[Facts] = [
        {"clip": clip_id, "poses": poses, "dt": dt, "seconds": (poses - 1) * dt}
        for clip_id, (poses, dt) in MocapFile(path).table().items()
    ]
    total = sum(clip["seconds"] for clip in clips)
    return {"kind": "mocap", **_base(path), "num_clips": len(clips), "seconds": total, "clips": clips}


def _inspect_npz(path: Path) -> Facts:
    arrays = read_npz(path)
    if set(arrays).issuperset(("timesteps", "results", "ep_lengths")):
        return {"kind": "evaluations", **_base(path), **_read_history(path, arrays)}
    if "proprio_mean" not in arrays:
        raise InvalidInputError(f"{path} holds neither evaluations nor the metrics of a dataset.", hint=_HINT)
    metrics = read_metrics(path)
    snippets: list[Facts] = [
        {"snippet": name, "norm_return": value, "steps": len(metrics.values.get(name, ()))}
        for name, value in metrics.snippet_returns.items()
    ]
    steps = sum(row["steps"] for row in snippets)
    return {"kind": "dataset_metrics", **_base(path), "steps": steps, "snippets": snippets}


def _read_history(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Facts:
    try:
        return _history_facts(path, arrays)
    except (ValueError, KeyError) as error:
        raise InvalidInputError(f"{path}: its arrays are not of one length.") from error


def _history_facts(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Facts:
    """Return the evaluations of a history; those of transfer tasks have no normalized scores."""
    rows = arrays["timesteps"].size
    named = {name: arrays[key].reshape(rows, -1) for name, key in _HISTORY.items() if key in arrays and rows}
    if any(not np.issubdtype(values.dtype, np.number) for values in named.values()):
        raise InvalidInputError(f"{path} is damaged: it holds something other than numbers.")
    evaluations = [
        {
            "timesteps": int(arrays["timesteps"].ravel()[row]),
            "episodes": int(named["return"].shape[1]),
            **{name: _spread(values[row]) for name, values in named.items()},
        }
        for row in range(rows)
    ]
    return {"evaluations": evaluations}


def _inspect_folder(path: Path) -> Facts:
    files = h5.files_in(path)
    if files:
        folders = sorted(item.name for item in path.iterdir() if item.is_dir() and not item.name.startswith("."))
        return _inspect_hdf5_folder(path, files) | ({"folders": folders} if folders else {})
    try:
        experts = expert_folder.find_experts(path)
    except NotFoundError:
        experts = []
    if len(experts) == 1:
        return _inspect_expert(path, experts[0])
    if experts:
        return {"kind": "experts", "path": str(path), "experts": [_expert_row(place) for place in experts]}
    if runs := run_folders.find_runs(path):
        return _inspect_runs(path, runs)
    model = path / expert_folder.MODEL_FILE
    if model.is_file():
        return {"kind": "model", **_base(model), **_model_facts(model)}
    raise InvalidInputError(f"{path} holds nothing that mocapact knows.", hint=_HINT)


def _inspect_hdf5_folder(path: Path, files: Sequence[Path]) -> Facts:
    kinds = {file: hdf5_kind(file) for file in files}
    rollouts = [file for file, kind in kinds.items() if kind == "rollouts"]
    if rollouts:
        return _inspect_dataset(path, rollouts)
    clips = [clip for file in files for clip in _inspect_mocap(file)["clips"]]
    return {"kind": "mocap_folder", "path": str(path), "files": len(files), "num_clips": len(clips), "clips": clips}


def _inspect_dataset(path: Path, files: Sequence[Path]) -> Facts:
    parts: list[Facts] = []
    total: _Summary | None = None
    for file in files:
        facts, summary = _read_rollouts(file, total)
        parts.append(facts)
        if total is None:
            total = summary
        else:
            total.merge(summary)
    first, snippets = parts[0], [row for part in parts for row in part["snippets"]]
    return {
        "kind": "dataset",
        "path": str(path),
        "files": len(parts),
        "bytes": sum(part["bytes"] for part in parts),
        **{key: first[key] for key in ("n_start_rollouts", "n_rsi_rollouts", "ref_steps", "columns", "observables")},
        "episodes": sum(part["episodes"] for part in parts),
        "steps": sum(part["steps"] for part in parts),
        "has_metrics": (path / METRICS_FILE).is_file(),
        **(total.facts() if total is not None else {}),
        "snippets": snippets,
        "outliers": snippet_outliers(snippets),
        "deviating_files": [part["path"] for part in parts if part["observables"] != first["observables"]],
    }


def _inspect_expert(path: Path, place: expert_folder.ExpertLocation) -> Facts:
    root = place.root
    return {
        "kind": "expert",
        "path": str(path),
        "root": str(root),
        "snippet": str(place.snippet),
        "model": {"path": str(place.model), **_model_facts(place.model / expert_folder.MODEL_FILE)},
        "evaluations": {name: facts for name in ("eval_rsi", "eval_start") if (facts := _last_evaluation(root / name))},
        "clip_info": dict(place.info),
        **({"run": run_folders.run_facts(root)} if run_folders.is_run(root) else {}),
    }


def _inspect_runs(path: Path, runs: Sequence[Path]) -> Facts:
    if runs == [path]:
        files = run_folders.evaluation_files(path)
        last = {str(file.parent.relative_to(path)): facts for file in files if (facts := _last_evaluation(file.parent))}
        return {"kind": "run", "path": str(path), **run_folders.run_facts(path), "evaluations": last}
    return {"kind": "runs", "path": str(path), "runs": [_run_row(path, run) for run in runs]}


def _run_row(path: Path, run: Path) -> Facts:
    files = run_folders.evaluation_files(run)
    last = next((facts for file in files if (facts := _last_evaluation(file.parent))), {})
    row: Facts = {"name": str(run.relative_to(path)), "checkpoints": run_folders.run_facts(run)["checkpoints"]}
    return row | {"evaluations": len(files)} | {key: last.get(key) for key in ("norm_return", "norm_length")}


def _expert_row(place: expert_folder.ExpertLocation) -> Facts:
    last = _last_evaluation(place.root / "eval_rsi") or {}
    return {"snippet": str(place.snippet), "root": str(place.root)} | last


def _last_evaluation(folder: Path) -> Facts | None:
    """Return the last evaluation on record, None where there is none or it cannot be read."""
    try:
        file = folder / EVALUATIONS_FILE
        evaluations: list[Facts] = _read_history(file, read_npz(file))["evaluations"]
    except MocapactError:
        return None
    return evaluations[-1] if evaluations else None


def _model_facts(path: Path) -> Facts:
    archive = sb3_zip.read_description(path)
    architecture = archive.policy_kwargs.get("net_arch")
    layers = architecture[0] if isinstance(architecture, list) and architecture else architecture
    kept = ("num_timesteps", "gamma", "gae_lambda", "n_steps", "batch_size", "n_epochs", "learning_rate")
    return {
        "bytes": path.stat().st_size,
        "layers": layers,
        "activation": archive.activation,
        "observables": list(archive.observables),
        **{name: archive.hyperparameters[name] for name in kept if name in archive.hyperparameters},
    }


def _file_tree(path: Path) -> Iterator[Facts]:
    """List the arrays of an HDF5 or npz file."""
    if path.suffix == ".npz":
        yield from ({"path": name, **_array_facts(array)} for name, array in read_npz(path).items())
        return
    if not is_hdf5_like(path):
        yield from _zip_tree(path)
        return
    found: list[Facts] = []

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "dtype"):
            found.append({"path": name, **_array_facts(item)})

    # visititems follows hard links only and sees every object once.
    with h5.open_h5(path) as file, h5.damage_named(path):
        file.visititems(visit)
    yield from found


def _zip_tree(path: Path) -> Iterator[Facts]:
    """List the members of a zip archive; nothing for other files."""
    if zipfile.is_zipfile(path):
        with open_zip(path) as archive:
            yield from ({"path": item.filename, "bytes": item.file_size} for item in archive.infolist())


def _array_facts(array: Any) -> Facts:
    return {"shape": list(array.shape or ()), "dtype": str(array.dtype)}


def _folder_tree(path: Path) -> Iterator[Facts]:
    for item in sorted(path.rglob("*")):
        if item.is_file() and not item.is_symlink():
            yield {"path": str(item.relative_to(path)), "bytes": item.stat().st_size}
