"""Exporting policies: one call for all formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.interop.exporters.targets import check_fit, check_target
from mocapact_cli.core.interop.policy_places import ONNX_SUFFIX, SAFETENSORS_SUFFIX
from mocapact_cli.core.json_files import read_json_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.interop.policy_interface import Port
    from mocapact_cli.core.progress import Progress

_SUFFIXES = {"safetensors": SAFETENSORS_SUFFIX, "onnx": ONNX_SUFFIX}


@dataclass(frozen=True)
class PolicySummary:
    """What an export has come to.

    Attributes:
        path: The file.
        format: One of `POLICY_TARGETS`.
        model: Name of the policy's model; `expert` for experts.
        bytes: Size on disk, of both files where there are two.
        observables: What it sees -> columns, in the order of a flat observation.
        ref_steps: Steps ahead at which its reference observables look.
        inputs: What one step takes.
        outputs: What one step gives.
        largest_difference: Of an action from the original policy's, in episodes of random observations.
        description: The JSON beside it, where there is one.
    """

    path: Path
    format: str
    model: str
    bytes: int
    observables: dict[str, int]
    ref_steps: tuple[int, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    largest_difference: float
    description: Path | None = None


def export_policy(
    sources: Sequence[Path | str], path: Path | str, to: str, *, force: bool = False, progress: Progress | None = None
) -> PolicySummary:
    """Export a policy to a file that other libraries and languages read.

    The output appears under its name when it has been compared with the policy.

    Args:
        sources: One policy, anything that `load_policy` opens.
        path: The file.
        to: One of `POLICY_TARGETS`.
        force: Replace an earlier export.
        progress: Told of every step of the comparison.

    Raises:
        UsageError: There are several sources, one is of another kind, or the output exists.
        NotFoundError: The source does not exist.
        InvalidInputError: The source is damaged.
        MissingDependencyError: The format's library is not installed.
        RunError: What was exported acts differently, or the disk is full.
    """
    path = Path(path)
    check_target(to)
    for source in sources:
        check_fit(source, to)
    if len(sources) != 1:
        raise UsageError(f"One policy is exported at a time, not {len(sources)}.", hint="Call it once for each.")
    outputs = _check_output(path, to, Path(sources[0]), force=force)
    return _write(Path(sources[0]), outputs, to, progress)


def _write(source: Path, files: Sequence[Path], to: str, progress: Progress | None) -> PolicySummary:
    from mocapact_cli.core.interop import policy_interface
    from mocapact_cli.core.interop.onnx_export import require_onnx, to_onnx
    from mocapact_cli.core.interop.policies import load_policy
    from mocapact_cli.core.interop.policy_files import require_safetensors, to_safetensors

    # Asked for first: a large policy takes seconds to read.
    require, write = (require_onnx, to_onnx) if to == "onnx" else (require_safetensors, to_safetensors)
    require()
    policy = load_policy(source)
    difference = write(policy, files[0], progress=progress)
    sizes = policy_interface.observable_sizes(policy)
    return PolicySummary(
        path=files[0],
        format=to,
        model=policy_interface.model_name(policy),
        bytes=sum(file.stat().st_size for file in files),
        observables=dict(zip(policy.observables, sizes, strict=True)),
        ref_steps=tuple(policy.ref_steps),
        inputs=policy_interface.inputs(policy),
        outputs=policy_interface.outputs(policy),
        largest_difference=difference,
        description=next(iter(files[1:]), None),
    )


def _check_output(path: Path, to: str, source: Path, *, force: bool) -> list[Path]:
    """Return the files that will be written; make sure that nothing is lost but an earlier export.

    Raises:
        UsageError: Something would be lost, or the name does not say what it is.
    """
    if path.suffix != _SUFFIXES[to]:
        raise UsageError(f"{path} is no name for a file of {to}.", hint=f"End it in {_SUFFIXES[to]}.")
    description = path.with_suffix(".json")
    files = [path] if to == "onnx" else [path, description]
    if path.resolve() == source.resolve():
        raise UsageError(f"The output {path} would replace the source {source}.", hint="Choose another name.")
    for file in files:
        if file.exists() and not force:
            raise UsageError(f"{file} exists already.", hint="Replace it with --force, or choose another name.")
        if file.exists() and not (file.is_file() and (file == path or _describes_a_policy(file))):
            raise UsageError(
                f"{file} is no earlier export to {to}, so it is not replaced.", hint="Choose another name."
            )
    return files


def _describes_a_policy(file: Path) -> bool:
    try:
        return {"model", "observables", "statistics"}.issubset(read_json_object(file))
    except InvalidInputError:
        return False
