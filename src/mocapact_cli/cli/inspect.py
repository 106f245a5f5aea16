"""`mocapact inspect`: say what a file or folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.output import facts, out, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

app = Commands()

_METRIC_COLUMNS = ("Norm. return", "Norm. length", "Return", "Length", "Failed")


@app.command(
    "inspect",
    examples=[
        "mocapact inspect dataset/",
        "mocapact inspect dataset/CMU_016_22.hdf5 --tree",
        "mocapact inspect dataset/ --check",
        "mocapact inspect experts/CMU_016_22-0-82 --json",
    ],
)
def inspect(
    path: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="What to look at.")],
    tree: Annotated[bool, typer.Option("--tree", help="List every array with its shape and type.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read everything and compare it with its layout, checksums and neighbours.")
    ] = False,
) -> None:
    """Say what a file or folder holds: rollouts, motion capture, experts, runs, metrics."""
    from mocapact_cli.core.guarded import run_guarded

    arguments = {"path": str(path), "tree": tree, "check": check}
    found = run_guarded("mocapact_cli.core.evaluation.inspection:inspect_path", arguments, progress=out.progress())
    out.show(found, lambda: list(_views(found)), short=found["kind"])


def _views(found: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the tables of one kind of thing."""
    checked = _optional(found, ("check", "Check"))
    yield facts([("Kind", found["kind"].replace("_", " ")), *_VIEWS[found["kind"]](found), *checked])
    if found.get("snippets"):
        yield _snippet_table(found["snippets"])
    if found.get("clips"):
        rows = [(clip["clip"], clip["poses"], clip["dt"], clip["seconds"]) for clip in found["clips"]]
        yield table(("Clip", "Poses", "dt (s)", "Seconds"), rows, numeric=("Poses", "dt (s)", "Seconds"))
    if found.get("experts"):
        yield _expert_table(found["experts"])
    if found.get("evaluations"):
        yield _evaluation_table(found["evaluations"])
    if found.get("tree"):
        yield _tree_table(found["tree"])


def _rollout_facts(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("Path", found["path"]),
        ("Size", _size(found["bytes"])),
        ("Episodes", f"{found['episodes']:,} with {found['steps']:,} steps"),
        ("A snippet", f"{found['n_start_rollouts']} from the start, then {found['n_rsi_rollouts']} from random steps"),
        ("Observations", f"{found['columns']:,} columns, {len(found['observables'])} observables"),
        ("Reference steps", ", ".join(map(str, found["ref_steps"]))),
        *_optional(found, ("files", "Files"), ("has_metrics", "Metrics beside")),
        *[(name, value) for name, value in found.get("recorded_by", {}).items() if name in ("seed", "config")],
    ]


def _mocap_facts(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("Path", found["path"]),
        *([("Size", _size(found["bytes"]))] if "bytes" in found else []),
        ("Clips", found["num_clips"]),
        *_optional(found, ("seconds", "Seconds"), ("files", "Files")),
    ]


def _expert_facts(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [("Path", found["path"]), ("Snippet", found["snippet"]), *_model_facts(found["model"]), *_run_facts(found)]


def _model_facts(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("Model", f"{found['path']} ({_size(found['bytes'])})"),
        ("Layers", f"{found['layers']}, {found['activation']}"),
        ("Sees", ", ".join(found["observables"])),
        *_optional(found, ("num_timesteps", "Trained steps"), ("gamma", "Gamma")),
    ]


def _run_facts(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    run = found.get("run", found)
    shown = [(name.replace("_", " ").capitalize(), run[name]) for name in ("config", "last_metrics") if name in run]
    return [*shown, *([("Checkpoints", ", ".join(run["checkpoints"]))] if run.get("checkpoints") else [])]


def _path_facts(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [("Path", found["path"]), *_optional(found, ("steps", "Steps"))]


_VIEWS: dict[str, Callable[[Mapping[str, Any]], list[tuple[str, Any]]]] = {
    "rollouts": _rollout_facts,
    "dataset": _rollout_facts,
    "mocap": _mocap_facts,
    "mocap_folder": _mocap_facts,
    "expert": _expert_facts,
    "experts": _path_facts,
    "model": _model_facts,
    "run": lambda found: [("Path", found["path"]), *_run_facts(found)],
    "evaluations": _path_facts,
    "dataset_metrics": _path_facts,
}


def _optional(found: Mapping[str, Any], *names: tuple[str, str]) -> list[tuple[str, Any]]:
    return [(title, found[key]) for key, title in names if found.get(key) is not None]


def _snippet_table(rows: Sequence[Mapping[str, Any]]) -> Any:
    if "episodes" not in rows[0]:
        cells = [(row["snippet"], row["steps"], row["norm_return"]) for row in rows]
        return table(("Snippet", "Steps", "Norm. return"), cells, numeric=("Steps", "Norm. return"))
    columns = ("Snippet", "Episodes", "Steps", *_METRIC_COLUMNS)
    return table(columns, [_snippet_row(row) for row in rows], numeric=columns[1:])


def _snippet_row(row: Mapping[str, Any]) -> list[Any]:
    metrics = [_mean_and_spread(row[name]) for name in ("norm_return", "norm_length", "return", "length")]
    failed = row["early_termination_rate"]
    return [row["snippet"], row["episodes"], row["steps"], *metrics, None if failed is None else f"{failed:.0%}"]


def _expert_table(rows: Sequence[Mapping[str, Any]]) -> Any:
    cells = [[row["snippet"], *_norms(row), row["root"]] for row in rows]
    return table(("Snippet", *_METRIC_COLUMNS[:2], "Folder"), cells, numeric=_METRIC_COLUMNS[:2])


def _evaluation_table(found: Any) -> Any:
    named = found.items() if isinstance(found, dict) else [("", row) for row in found]
    cells = [[name, row["timesteps"], row["episodes"], *_norms(row)] for name, row in named]
    columns = ("Evaluation", "Steps", "Episodes", *_METRIC_COLUMNS[:2])
    return table(columns, cells, numeric=columns[1:])


def _tree_table(rows: Sequence[Mapping[str, Any]]) -> Any:
    if "bytes" in rows[0]:
        return table(("File", "Size"), [(row["path"], _size(row["bytes"])) for row in rows], numeric=("Size",))
    cells = [(row["path"], " x ".join(map(str, row["shape"])) or "one", row["dtype"]) for row in rows]
    return table(("Array", "Shape", "Type"), cells)


def _norms(row: Mapping[str, Any]) -> list[str | None]:
    return [_mean_and_spread(row.get(name)) for name in ("norm_return", "norm_length")]


def _mean_and_spread(value: Mapping[str, float] | float | None) -> str | None:
    if value is None or isinstance(value, float):
        return None if value is None else f"{value:.3f}"
    return f"{value['mean']:.3g} ± {value['std']:.2g}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
