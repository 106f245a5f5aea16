"""Settings of a training as options: each is declared once, as a field of its configuration.

A command lists which settings the line may give. Their types and help are those of the fields, read off the source, so
that no library is imported for them. What else an option has, such as a second name, stands here.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.bundles import in_place_of
from mocapact_cli.cli.options import EVALUATION, SIMULATION
from mocapact_cli.cli.output import out
from mocapact_cli.core.config_docs import Declared, declared_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from _typeshed import DataclassInstance

    Function = Callable[..., None]

Given = dict[str, Any]
"""Setting -> what the line says; None where it says nothing."""

PrintConfigOpt = Annotated[
    bool,
    typer.Option("--print-config", help="Print the settings as the TOML file that --config reads, and do no more."),
]

_PANELS = {
    **dict.fromkeys(
        (
            *("seed", "num_envs", "threads", "device", "devices", "num_nodes", "precision"),
            *("min_steps", "termination_error_threshold"),
        ),
        SIMULATION,
    ),
    "eval_every": EVALUATION,
    "n_eval_episodes": EVALUATION,
}
"""Setting -> the heading in the help under which it stands, if not that of the command's own options."""
_MORE_NAMES = {"threads": ("--n-workers",)}
_METAVARS = {"warm_start": "pd|none|EXPERT_ROOT", "low_level_policy": "POLICY", "task": "TASK"}
_COMPLETIONS = {
    "device": completion.devices,
    "model": completion.models,
    "split": completion.splits,
    "task": completion.tasks,
    "warm_start": completion.warm_starts,
}
_TYPES: Mapping[str, type] = {"int": int, "float": float, "bool": bool, "str": str, "Path": Path}


def with_settings(configuration: str, *names: str, argument: str = "settings") -> Callable[[Function], Function]:
    """Give a command options for some settings; it gets them as one argument.

    Args:
        configuration: "package.module:Class", where the settings are declared.
        names: The settings.
        argument: Which one, as a command may take the settings of several configurations.
    """
    declared = declared_in(*configuration.split(":"))
    options = [_option(declared[name]) for name in names]

    return lambda function: in_place_of(function, argument, options, dict)


def print_settings(config: DataclassInstance, **tables: DataclassInstance) -> None:
    """Print settings as TOML, or as one JSON document with `--json`.

    Args:
        config: Those at the top.
        tables: Further ones, each in a table of its name.
    """
    from mocapact_cli.core.config import to_dict
    from mocapact_cli.core.config_toml import to_toml

    document = to_dict(config) | {name: to_dict(table) for name, table in tables.items()}
    out.show_text(document, to_toml(config, tables=tables))


def _option(declared: Declared) -> inspect.Parameter:
    flag = f"--{declared.name.replace('_', '-')}"
    type_, choice = _type(declared.annotation)
    complete = completion.words(*choice) if choice else _COMPLETIONS.get(declared.name)
    names = (f"{flag}/--no-{flag[2:]}",) if type_ is bool else (flag, *_MORE_NAMES.get(declared.name, ()))
    option = typer.Option(
        *names,
        help=_help(declared.doc),
        metavar=_METAVARS.get(declared.name, "|".join(choice) or None),
        rich_help_panel=_PANELS.get(declared.name),
        autocompletion=complete,
    )
    return inspect.Parameter(
        declared.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[type_ | None, option]
    )


def _type(annotation: str) -> tuple[type, tuple[str, ...]]:
    """Return the type of an option and, where there is a choice of words, these."""
    node = ast.parse(annotation.removesuffix(" | None"), mode="eval").body
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Literal":
        words = ast.literal_eval(node.slice)
        return str, words if isinstance(words, tuple) else (words,)
    return _TYPES.get(ast.unparse(node), str), ()


def _help(doc: str) -> str:
    """A setting that is None is one that is not given, on the line."""
    return re.sub(r"; None(?: for|:) ", "; by default ", doc)
