"""Whether a file or folder is sound: read from end to end, compared with its layout, checksums and neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.clips.clip import ARRAYS
from mocapact_cli.core.clips.mocap_h5 import MocapFile, array_path
from mocapact_cli.core.datasets.check import check_rollouts
from mocapact_cli.core.datasets.metrics import METRICS_FILE
from mocapact_cli.core.datasets.metrics_npz import check_metrics
from mocapact_cli.core.datasets.reader import RolloutFile, Rollouts, read_rollouts
from mocapact_cli.core.errors import InvalidInputError, first_line
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE, read_evaluations
from mocapact_cli.core.guarded import now_reading
from mocapact_cli.core.interop import expert_folder, sb3_zip
from mocapact_cli.core.interop.safetensors_header import read_header
from mocapact_cli.core.safe import archives, h5

if TYPE_CHECKING:
    from collections.abc import Callable

_TOLERANCE = 1e-6


def check(path: Path | str, kind: str) -> bool:
    """Check what `path` holds, and say whether there is a check for it.

    Args:
        path: The file or folder.
        kind: What `inspect_path` has found there, such as `rollouts` or `expert`.

    Raises:
        InvalidInputError: It is not sound; the message names the first thing that is wrong.
    """
    found = CHECKS.get(kind)
    if found is not None:
        found(Path(path))
    return found is not None


def check_dataset(folder: Path) -> None:
    """Check a folder of rollouts: each file by itself, then their layouts and metrics against each other.

    Raises:
        InvalidInputError: A file is damaged, files disagree in layout or hold the same snippet, or
            `dataset_metrics.npz` does not fit them.
    """
    with read_rollouts(folder) as rollouts:
        _check_layouts(rollouts)
        _check_every_file(rollouts)
        if (folder / METRICS_FILE).is_file():
            _check_metrics(folder / METRICS_FILE, rollouts)


def check_mocap(path: Path) -> None:
    """Check every clip of a mocap file: complete, of shapes that fit, finite, and inside the file.

    Raises:
        InvalidInputError: A clip is not so.
    """
    mocap = MocapFile(path)
    with h5.open_h5(path) as file, h5.damage_named(path):
        for clip_id in mocap.ids():
            for name in ARRAYS:
                h5.check_readable(h5.dataset(file, array_path(clip_id, name)))
            clip = mocap.get(clip_id)
            if not np.allclose(np.linalg.norm(clip.quaternion, axis=1), 1.0, atol=1e-3):
                raise InvalidInputError(f"/{array_path(clip_id, 'quaternion')} holds no rotations.")


def check_evaluations(path: Path) -> None:
    """Check a history of evaluations: whole, finite and in the order of training.

    Raises:
        InvalidInputError: It is not so.
    """
    archives.check_members(path)
    history = read_evaluations(path)
    for name in ("results", "results_norm", "ep_lengths", "ep_lengths_norm"):
        if not np.all(np.isfinite(getattr(history, name))):
            raise InvalidInputError(f"{path}: {name} holds values that are not finite.")
    if np.any(history.timesteps < 0) or np.any(np.diff(history.timesteps) < 0):
        raise InvalidInputError(f"{path}: timesteps do not rise.")
    if np.any(history.ep_lengths < 0):
        raise InvalidInputError(f"{path}: ep_lengths holds negative lengths.")


def check_model(path: Path) -> None:
    """Check a model zip: every member whole, what it says of itself readable, its weights finite.

    Raises:
        InvalidInputError: It is not so.
    """
    archives.check_members(path)
    sb3_zip.read_description(path)
    for name, weights in sb3_zip.read_weights(path).items():
        now_reading(name)
        if not bool(weights.isfinite().all()):
            raise InvalidInputError(f"{path}: {name} holds values that are not finite.")


def check_safetensors(path: Path) -> None:
    """Check a safetensors file: whole, its numbers finite, and a policy of mocapact that it describes can be built.

    Raises:
        InvalidInputError: It is not so.
    """
    from mocapact_cli.core.interop.policy_files import load_safetensors, read_tensors

    for name, tensor in read_tensors(path).items():
        now_reading(name)
        if not bool(tensor.isfinite().all()):
            raise InvalidInputError(f"{path}: {name} holds values that are not finite.")
    if read_header(path).description is not None:
        load_safetensors(path)


def check_onnx(path: Path) -> None:
    """Check an ONNX file: its graph by ONNX's own rules, its numbers finite; files beside it are not opened.

    Raises:
        InvalidInputError: It is not so.
    """
    import onnx
    from onnx import checker, numpy_helper

    model = onnx.load(str(path), load_external_data=False)
    try:
        checker.check_model(model)
        arrays = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer if not item.external_data}
    except (checker.ValidationError, ValueError, TypeError) as error:
        raise InvalidInputError(f"{path} is damaged: {first_line(error)}.") from error
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InvalidInputError(f"{path}: {name} holds values that are not finite.")


def check_experts(folder: Path) -> None:
    """Check the experts at or below a folder: models, normalizers and evaluations.

    Raises:
        InvalidInputError: One of their files is damaged.
    """
    for place in expert_folder.find_experts(folder):
        for part in ("eval_rsi", "eval_start"):
            if (place.root / part / EVALUATIONS_FILE).is_file():
                check_evaluations(place.root / part / EVALUATIONS_FILE)
        check_model(place.model / expert_folder.MODEL_FILE)
        expert_folder.load_expert(place)


def _check_folder_of_mocap(folder: Path) -> None:
    for path in h5.files_in(folder):
        check_mocap(path)


def _check_every_file(rollouts: Rollouts) -> None:
    """Check the files one by one; a snippet is in one of them."""
    sizes = {path: path.stat().st_size for path in rollouts.files.values()}
    done, holders = 0, dict[str, Path]()
    for clip_id, path in rollouts.files.items():
        check_rollouts(path, done=done, total=sum(sizes.values()))
        done += sizes[path]
        for snippet in rollouts.file(clip_id).snippets:
            other = holders.setdefault(snippet, path)
            if other != path:
                raise InvalidInputError(f"{path} and {other.name} both hold {snippet}.")


def _check_layouts(rollouts: Rollouts) -> None:
    """All files have one layout: that of the first."""
    first, *others = rollouts.files
    reference = rollouts.file(first)
    for clip_id in others:
        file = rollouts.file(clip_id)
        for name in ("n_start_rollouts", "n_rsi_rollouts", "ref_steps"):
            ours, theirs = getattr(file, name), getattr(reference, name)
            if ours != theirs:
                raise InvalidInputError(f"{file.path} has {name} {ours}, but {reference.path.name} has {theirs}.")
        _check_observables(file, reference)


def _check_observables(file: RolloutFile, reference: RolloutFile) -> None:
    ours, theirs = _columns(file), _columns(reference)
    for name in sorted(ours.keys() | theirs.keys()):
        if name not in ours or name not in theirs:
            holder, other = (file, reference) if name in ours else (reference, file)
            raise InvalidInputError(f"{other.path} has no {name}, but {holder.path.name} has.")
        if ours[name] != theirs[name]:
            raise InvalidInputError(f"{file.path} has {name} in other columns than {reference.path.name}.")


def _columns(file: RolloutFile) -> dict[str, list[int]]:
    with h5.damage_named(file.path):
        return {
            name: [columns.start, columns.stop] if isinstance(columns, slice) else columns.tolist()
            for name, columns in file.observables.items()
        }


def _check_metrics(path: Path, rollouts: Rollouts) -> None:
    """The metrics beside a dataset are those of its files."""
    metrics = check_metrics(path)
    unknown = sorted(metrics.snippet_returns.keys() - set(rollouts.snippets))
    if unknown:
        raise InvalidInputError(f"{path} names {unknown[0]}, which is in none of the files beside it.", hint=_RENEW)
    for name in rollouts.snippets:
        if name not in metrics.snippet_returns:
            raise InvalidInputError(f"{path} lacks {name}, which is in a file beside it.", hint=_RENEW)
        snippet = rollouts[name]
        steps, mean = int(snippet.lengths.sum()), float(snippet.norm_returns.mean())
        found: tuple[int, float] = (len(metrics.values[name]), metrics.snippet_returns[name])
        if found[0] != steps:
            raise InvalidInputError(f"{path} has {found[0]} values of {name}, but its file has {steps} steps.")
        if not np.isclose(found[1], mean, rtol=_TOLERANCE, atol=_TOLERANCE):
            raise InvalidInputError(f"{path} has {found[1]:g} for the return of {name}, but its file has {mean:g}.")
    count = rollouts.statistics(as_published=True).proprio.count
    if int(metrics.arrays["count"]) != count:
        raise InvalidInputError(f"{path} counts {metrics.arrays['count']} observations, but its files {count}.")


_RENEW = "Write it again with mocapact_cli.core.datasets.metrics.write_metrics(FOLDER)."
CHECKS: dict[str, Callable[[Path], Any]] = {
    "rollouts": check_rollouts,
    "dataset": check_dataset,
    "dataset_metrics": check_metrics,
    "mocap": check_mocap,
    "mocap_folder": _check_folder_of_mocap,
    "evaluations": check_evaluations,
    "model": check_model,
    "safetensors": check_safetensors,
    "onnx": check_onnx,
    "expert": check_experts,
    "experts": check_experts,
}
"""Kind -> its check."""
