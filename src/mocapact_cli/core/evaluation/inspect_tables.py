"""The facts of `inspect` in words: pairs and tables, the same for the terminal and for a page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.formatting import counted, mean_and_spread, size_text, some_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Found = Mapping[str, Any]
    Pairs = list[tuple[str, Any]]

_METRICS = ("Norm. return", "Norm. length", "Return", "Length", "Failed")
_CONFIG_NAMES = ("config", "seed")
_ABSL_FLAGS = frozenset(
    [
        "alsologtostderr",
        "help",
        "helpfull",
        "helpshort",
        "helpxml",
        "log_dir",
        "logger_levels",
        "logtostderr",
        "only_check_args",
        "only_check_flags",
        "pdb",
        "pdb_post_mortem",
        "pymjcf_debug",
        "pymjcf_debug_full_dump_dir",
        "pymjcf_log_xml",
        "run_with_pdb",
        "run_with_profiling",
        "showprefixforinfo",
        "stderrthreshold",
        "use_cprofile_for_profiling",
        "verbosity",
    ]
)
"""Of a published run: they belong to absl and dm_control, and say nothing of the run."""
_LISTED_NAMES = 12
_LONGEST = 200
"""Characters of a setting that are shown; all are in the JSON."""


@dataclass(frozen=True)
class FactTable:
    """A table of plain values.

    Attributes:
        title: What it lists.
        columns: Headings.
        rows: Cells: texts, numbers or None.
        numeric: Headings of the columns of numbers.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numeric: tuple[str, ...] = ()


def fact_pairs(found: Found) -> Pairs:
    """Return names and values of what holds for the whole of a file or folder."""
    return [("Kind", found["kind"].replace("_", " ")), *_PAIRS[found["kind"]](found)]


def fact_tables(found: Found) -> list[FactTable]:
    """Return every table that the facts have, those of the most detail first."""
    return [_without_empty(make(found[key])) for key, make in _TABLES.items() if found.get(key)]


def _without_empty(table: FactTable) -> FactTable:
    """Return the table without columns that no row has anything in."""
    used = [i for i in range(len(table.columns)) if any(row[i] not in (None, "") for row in table.rows)]
    columns = [table.columns[i] for i in used]
    rows = [[row[i] for i in used] for row in table.rows]
    return FactTable(table.title, columns, rows, tuple(name for name in table.numeric if name in columns))


def fact_notes(found: Found) -> list[str]:
    """Return what stands out, one line each."""
    return [
        *_folder_notes(found),
        *_outlier_notes(found),
        *_column_notes(found),
        *_value_notes(found),
        *_archive_notes(found),
    ]


def _rollout_pairs(found: Found) -> Pairs:
    start, rsi = found["n_start_rollouts"], found["n_rsi_rollouts"]
    return [
        ("Path", found["path"]),
        ("Size", size_text(found["bytes"])),
        ("Episodes", f"{found['episodes']:,} with {counted(found['steps'], 'step')}"),
        ("A snippet", f"{start} from the start, then {rsi} from random steps"),
        ("Observations", f"{counted(found['columns'], 'column')}, {counted(len(found['observables']), 'observable')}"),
        ("Reference steps", ", ".join(map(str, found["ref_steps"]))),
        *_optional(found, ("files", "Files"), ("has_metrics", "Metrics beside"), ("check", "Check")),
        *[(name, value) for name, value in found.get("recorded_by", {}).items() if name in _CONFIG_NAMES],
    ]


def _mocap_pairs(found: Found) -> Pairs:
    size = [("Size", size_text(found["bytes"]))] if "bytes" in found else []
    counts = _optional(found, ("seconds", "Seconds"), ("files", "Files"))
    return [("Path", found["path"]), *size, ("Clips", found["num_clips"]), *counts]


def _expert_pairs(found: Found) -> Pairs:
    named = [("Path", found["path"]), ("Snippet", found["snippet"])]
    return [*named, *_model_pairs(found["model"]), *_run_details(found.get("run", {}))]


def _model_pairs(found: Found) -> Pairs:
    return [
        ("Model", f"{found['path']} ({size_text(found['bytes'])})"),
        ("Layers", f"{_layers(found['layers'])}; {found['activation']}"),
        ("Sees", ", ".join(found["observables"])),
        *_optional(found, ("num_timesteps", "Trained steps"), ("gamma", "Gamma")),
    ]


def _layers(layers: Any) -> str:
    """Return the widths of networks: those of policy (pi) and value (vf) apart where they differ."""
    if isinstance(layers, dict) and len({str(widths) for widths in layers.values()}) == 1:
        layers = next(iter(layers.values()))
    if isinstance(layers, dict):
        return "; ".join(f"{name} {_layers(widths)}" for name, widths in layers.items())
    return " x ".join(map(str, layers)) if isinstance(layers, list) else str(layers)


def _run_pairs(found: Found) -> Pairs:
    return [("Path", found["path"]), *_run_details(found)]


def _run_details(run: Found) -> Pairs:
    shown = [(name.replace("_", " ").capitalize(), run[name]) for name in ("config", "last_metrics") if name in run]
    flags = [("Flags", " ".join(_own_flags(run["flags"])))] if run.get("flags") else []
    names = [str(item) for item in run.get("checkpoints", ())]
    return [*shown, *flags, *([("Checkpoints", ", ".join(names))] if names else [])]


def _own_flags(flags: Sequence[str]) -> Iterator[str]:
    """Yield what a published run's flags file says, without what every program of absl's has."""
    for flag in flags:
        name = flag.removeprefix("--").partition("=")[0]
        if not {name, name.removeprefix("no")} & _ABSL_FLAGS:
            yield flag


def _path_pairs(found: Found) -> Pairs:
    return [("Path", found["path"]), *_optional(found, ("steps", "Steps"))]


def _checkpoint_pairs(found: Found) -> Pairs:
    others = found["other_tensors"]
    return [
        ("Path", found["path"]),
        ("Size", size_text(found["bytes"])),
        ("Format", found["format"]),
        *_optional(found, ("lightning", "Lightning"), ("epoch", "Epoch"), ("global_step", "Trained steps")),
        ("Parameters", f"{found['parameters']:,} in {counted(len(found['tensors']), 'tensor')}"),
        ("Beside them", f"{counted(others['numbers'], 'number')} in {counted(others['count'], 'tensor')}"),
    ]


def _tarball_pairs(found: Found) -> Pairs:
    more = "" if found["complete"] else " and more: the list stops here, --tree goes through all of it"
    return [
        ("Path", found["path"]),
        ("Size", size_text(found["bytes"])),
        ("Files", f"{found['files']:,} with {size_text(found['unpacked_bytes'])}{more}"),
    ]


def _exported_pairs(found: Found) -> Pairs:
    sees = ", ".join(f"{name} {size}" for name, size in found["observables"].items())
    shown = {
        "Model": found["model"],
        "Sees": sees or None,
        "Reference steps": ", ".join(map(str, found["ref_steps"])) or None,
        "Inputs": _ports(found.get("inputs", ())),
        "Outputs": _ports(found.get("outputs", ())),
        "Parameters": f"{found['parameters']:,} in {len(found['tensors']):,} tensors",
        "Operators": _counted(found.get("operators")),
        "Operator sets": _counted(found.get("opsets")),
        "Written by": found.get("written_by") or _counted(found.get("versions")),
        "Metadata": _cut(_counted(found["metadata"]) or "") or None,
    }
    return [
        ("Path", found["path"]),
        ("Size", size_text(found["bytes"])),
        *((name, value) for name, value in shown.items() if value is not None),
        *_optional(found, ("check", "Check")),
    ]


def _ports(ports: Sequence[Found]) -> str | None:
    return "\n".join(f"{port['name']} {' x '.join(map(str, port['shape']))}, {port['dtype']}" for port in ports) or None


def _counted(values: Found | None) -> str | None:
    return ", ".join(f"{name} {value}" for name, value in values.items()) if values else None


_PAIRS: Mapping[str, Callable[[Found], Pairs]] = {
    "rollouts": _rollout_pairs,
    "dataset": _rollout_pairs,
    "mocap": _mocap_pairs,
    "mocap_folder": _mocap_pairs,
    "expert": _expert_pairs,
    "experts": _path_pairs,
    "model": _model_pairs,
    "run": _run_pairs,
    "runs": _path_pairs,
    "evaluations": _path_pairs,
    "dataset_metrics": _path_pairs,
    "checkpoint": _checkpoint_pairs,
    "safetensors": _exported_pairs,
    "onnx": _exported_pairs,
    "tarball": _tarball_pairs,
}


def _optional(found: Found, *names: tuple[str, str]) -> Pairs:
    return [(title, found[key]) for key, title in names if found.get(key) is not None]


def _statistics_table(rows: Sequence[Found]) -> FactTable:
    columns = ("Observable", "Columns", "Mean", "Std", "Constant")
    cells = [(row["observable"], row["columns"], row["mean"], row["std"], row["constant"] or None) for row in rows]
    return FactTable("Observables, by the file's statistics", columns, cells, columns[1:])


def _values_table(values: Found) -> FactTable:
    columns = ("Array", "Columns", "Lowest", "1 %", "Median", "99 %", "Highest", "Constant", "Not finite")
    named = [(row["observable"], row["columns"], row) for row in values["observables"]]
    if "actions" in values:
        named.append(("actions", len(values["actions"]["columns"]), values["actions"]))
        named += [(name, 1, {"range": values[name]}) for name in ("rewards", "values", "advantages")]
    cells = [(name, count, *_range_cells(row)) for name, count, row in named]
    return FactTable("All values", columns, cells, columns[1:])


def _range_cells(row: Found) -> list[Any]:
    low, first, _, median, _, last, high = row["range"] or (None,) * 7
    return [low, first, median, last, high, len(row.get("constant_columns", ())) or None, row.get("not_finite") or None]


def _snippet_table(rows: Sequence[Found]) -> FactTable:
    if "episodes" not in rows[0]:
        cells = [(row["snippet"], row["steps"], row["norm_return"]) for row in rows]
        return FactTable("Snippets", ("Snippet", "Steps", "Norm. return"), cells, ("Steps", "Norm. return"))
    columns = ("Snippet", "Episodes", "Steps", *_METRICS)
    return FactTable("Snippets", columns, [_snippet_row(row) for row in rows], columns[1:])


def _snippet_row(row: Found) -> list[Any]:
    failed = row["early_termination_rate"]
    return [row["snippet"], row["episodes"], row["steps"], *_scores(row), None if failed is None else f"{failed:.0%}"]


def _clip_table(rows: Sequence[Found]) -> FactTable:
    columns = ("Clip", "Poses", "dt (s)", "Seconds")
    cells = [(clip["clip"], clip["poses"], clip["dt"], clip["seconds"]) for clip in rows]
    return FactTable("Clips", columns, cells, columns[1:])


def _expert_table(rows: Sequence[Found]) -> FactTable:
    cells = [[row["snippet"], *_norms(row), row["root"]] for row in rows]
    return FactTable("Experts", ("Snippet", *_METRICS[:2], "Folder"), cells, _METRICS[:2])


def _run_table(rows: Sequence[Found]) -> FactTable:
    cells = [[row["name"], len(row["checkpoints"]), row["evaluations"], *_norms(row)] for row in rows]
    columns = ("Run", "Checkpoints", "Evaluations", *_METRICS[:2])
    return FactTable("Runs", columns, cells, columns[1:])


def _evaluation_table(found: Any) -> FactTable:
    named = found.items() if isinstance(found, dict) else [("", row) for row in found]
    cells = [[name, row["timesteps"], row["episodes"], *_scores(row)] for name, row in named]
    columns = ("Evaluation", "Steps", "Episodes", *_METRICS[:4])
    return FactTable("Evaluations", columns, cells, columns[1:])


def _tensor_table(rows: Sequence[Found]) -> FactTable:
    cells = [(row["path"], " x ".join(map(str, row["shape"])) or "one", row["dtype"]) for row in rows]
    return FactTable("Tensors", ("Tensor", "Shape", "Type"), cells)


def _setting_table(settings: Found, title: str = "Settings") -> FactTable:
    cells = [(name, _cut(str(value))) for name, value in settings.items()]
    return FactTable(title, ("Setting", "Value"), cells)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _content_table(rows: Sequence[Found]) -> FactTable:
    cells = [(row["kind"], row["files"], size_text(row["bytes"])) for row in rows]
    return FactTable("Kinds of files", ("Kind", "Files", "Size"), cells, ("Files", "Size"))


def _group_table(rows: Sequence[Found]) -> FactTable:
    cells = [(row["group"], row["files"], size_text(row["bytes"])) for row in rows]
    return FactTable("Snippets, clips and folders", ("Name", "Files", "Size"), cells, ("Files", "Size"))


_TABLES: Mapping[str, Callable[[Any], FactTable]] = {
    "statistics": _statistics_table,
    "values": _values_table,
    "snippets": _snippet_table,
    "clips": _clip_table,
    "experts": _expert_table,
    "runs": _run_table,
    "evaluations": _evaluation_table,
    "hyper_parameters": partial(_setting_table, title="Hyper-parameters"),
    "settings": _setting_table,
    "tensors": _tensor_table,
    "holds": _content_table,
    "groups": _group_table,
}


def _norms(row: Found) -> list[str | None]:
    return _scores(row)[:2]


def _scores(row: Found) -> list[str | None]:
    return [mean_and_spread(row.get(name)) for name in ("norm_return", "norm_length", "return", "length")]


def _folder_notes(found: Found) -> Iterator[str]:
    if names := found.get("folders"):
        yield f"Folders in it are not looked into: {some_of(names, 8)}. Inspect each by itself."


def _outlier_notes(found: Found) -> Iterator[str]:
    for path in found.get("deviating_files", ()):
        yield f"{path} holds other observables than the first file, or others in size."
    for outlier in found.get("outliers", ()):
        side = "above" if outlier["deviations"] > 0 else "below"
        name, value, median = outlier["metric"].replace("_", " "), outlier["value"], outlier["median"]
        yield f"{outlier['snippet']}: {name} {value:.3g} is far {side} the median of {median:.3g}."


def _column_notes(found: Found) -> Iterator[str]:
    words = {"constant": "never changes", "extreme": "has extreme values", "not_finite": "is not finite"}
    for kind, places in found.get("columns_of_note", {}).items():
        for place in places:
            yield f"{place['observable']}: {_columns(place['columns'])} {words[kind]}, by the stored statistics."


def _columns(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_LISTED_NAMES])) + (", ..." if len(numbers) > _LISTED_NAMES else "")
    return f"column {shown}" if len(numbers) == 1 else f"each of {len(numbers)} columns ({shown})"


def _value_notes(found: Found) -> Iterator[str]:
    values = found.get("values")
    if not values:
        return
    if count := values["not_finite"]:
        yield f"{counted(count, 'value')} {'is' if count == 1 else 'are'} not finite."
    for place in values.get("not_finite_places", ()):
        where = f", first at row {place['row']}, column {place['column']}"
        owner = f" ({place['observable']})" if place.get("observable") else ""
        episode = f", episode {place['episode']}" if "episode" in place else ""
        yield f"{place['snippet']}{episode}, {place['array']}: {place['count']:,} not finite{where}{owner}."
    if "actions" in values and values["actions"]["at_limit_rate"]:
        at, over = values["actions"]["at_limit_rate"], values["actions"]["over_limit_rate"]
        yield f"{at:.1%} of the action values are at or beyond -1 or 1, {over:.1%} beyond."


def _archive_notes(found: Found) -> Iterator[str]:
    for place in found.get("outside_files", ()):
        yield f"Numbers of it lie in another file, which is not opened: {place!r}."
    for member in found.get("flagged", ()):
        yield f"{member['path']!r} must not be unpacked: {member['reason']}."
    if names := found.get("unusual_names"):
        listed = ", ".join(names[:_LISTED_NAMES]) + (", ..." if len(names) > _LISTED_NAMES else "")
        yield f"Loading it with pickle would import or call what no checkpoint needs: {listed}."
