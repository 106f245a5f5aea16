"""Options that come together: each is declared once, and a command gets them as one argument.

A parameter of a command whose type is a dataclass stands for the fields of that class, one option each: their
annotations say what the options are, their defaults are those of the line.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from _typeshed import DataclassInstance

    Function = Callable[..., None]


def with_bundles(function: Function) -> Function:
    """Give a command an option for each field of its parameters that are dataclasses."""
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        bundle = parameter.annotation
        if isinstance(bundle, type) and dataclasses.is_dataclass(bundle):
            function = in_place_of(function, name, _options(bundle), functools.partial(_filled, bundle))
    return function


def in_place_of(
    function: Function,
    name: str,
    options: Sequence[inspect.Parameter],
    gather: Callable[[Mapping[str, Any]], Any],
) -> Function:
    """Return a command that has options instead of one of its parameters.

    Args:
        function: The command.
        name: Of the parameter.
        options: Those that take its place, for keywords only.
        gather: Makes the parameter's value of theirs, by name.
    """

    @functools.wraps(function)
    def run(**values: Any) -> None:
        given = {option.name: values.pop(option.name) for option in options}
        function(**values, **{name: gather(given)})

    signature = inspect.signature(function, eval_str=True)
    slots = [options if one.name == name else [one] for one in signature.parameters.values()]
    parameters = [parameter for slot in slots for parameter in slot]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run


def _options(bundle: type[DataclassInstance]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(bundle, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(bundle)
    ]


def _filled(bundle: type[DataclassInstance], values: Mapping[str, Any]) -> DataclassInstance:
    return bundle(**values)
