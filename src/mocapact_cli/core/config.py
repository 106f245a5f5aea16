"""Configurations as dataclasses, to and from TOML, JSON and command-line options.

Every configuration of mocapact is a frozen dataclass of plain values, tuples and further configurations. An unknown
key is an error that names the nearest known one, so that a typing mistake never silently trains with a default.
"""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mocapact_cli.core.errors import InvalidInputError, UsageError, did_you_mean
from mocapact_cli.core.paths import existing_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import DataclassInstance

    C = TypeVar("C", bound=DataclassInstance)
else:
    C = TypeVar("C")


def to_dict(config: DataclassInstance) -> dict[str, Any]:
    """Return a configuration as plain dictionaries, lists and values that JSON and TOML can hold."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def from_dict(cls: type[C], data: Mapping[str, Any]) -> C:
    """Build a configuration of type `cls` from plain values; what `data` leaves out keeps its default.

    Raises:
        UsageError: A key is unknown (the nearest is named), missing or has a value of the wrong type.
    """
    return _built(cls, data, "")


def load_toml(cls: type[C], path: Path | str) -> C:
    """Read a configuration of type `cls` from a TOML file.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: The file is not TOML.
        UsageError: A key or a value does not fit.
    """
    return from_dict(cls, load_settings(path))


def load_settings(path: Path | str) -> dict[str, Any]:
    """Read the plain values of a TOML file.

    Raises:
        NotFoundError: The file does not exist.
        InvalidInputError: The file is not TOML.
    """
    path = existing_file(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} is not a TOML file: {error}.") from error


def apply_overrides(config: C, overrides: Mapping[str, Any]) -> C:
    """Return `config` with the given values in place; `None` means "not given" and keeps what is there.

    Raises:
        UsageError: A key is unknown or a value is of the wrong type.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    cls = type(config)
    _reject_unknown(cls, given, "")
    hints = typing.get_type_hints(cls)
    values = {key: _coerce(hints[key], value, key) for key, value in given.items()}
    return dataclasses.replace(config, **values)


def check_positive(config: object, names: Sequence[str]) -> None:
    """Raise a `UsageError` that names the first setting that is given and not above zero."""
    for name in names:
        if (value := getattr(config, name)) is not None and not value > 0:
            raise UsageError(f"{name} is {value}.", hint="Give a number above zero.")


def check_not_negative(config: object, names: Sequence[str]) -> None:
    """Raise a `UsageError` that names the first setting that is given and below zero."""
    for name in names:
        if (value := getattr(config, name)) is not None and not value >= 0:
            raise UsageError(f"{name} is {value}.", hint="Give zero or a number above it.")


def _built(cls: type[C], data: Mapping[str, Any], table: str) -> C:
    """Build a configuration whose settings stand in a table, "" for the outermost one or with a period at its end."""
    hints = typing.get_type_hints(cls)
    _reject_unknown(cls, data, table)
    values = {key: _coerce(hints[key], value, f"{table}{key}") for key, value in data.items()}
    missing = [
        f"{table}{entry.name}" for entry in dataclasses.fields(cls) if entry.name not in values and _needed(entry)
    ]
    if missing:
        raise UsageError(f"{' and '.join(missing)} must be given.")
    return cls(**values)


def _needed(entry: dataclasses.Field[Any]) -> bool:
    without = dataclasses.MISSING
    return entry.init and entry.default is without and entry.default_factory is without


def _reject_unknown(cls: type[Any], data: Mapping[str, Any], table: str) -> None:
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    for key in data:
        if key not in known:
            hint = did_you_mean(key, known) or f"There are {', '.join(known)}."
            raise UsageError(f"There is no setting {f'{table}{key}'!r}.", hint=hint)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def _coerce(hint: Any, value: Any, where: str) -> Any:
    """Convert a plain value to what the annotation asks for, or say where it does not fit."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(typing.get_args(hint), value, where)
    if origin is tuple:
        return _coerce_tuple(typing.get_args(hint), value, where)
    if origin is typing.Literal:
        return _coerce_literal(typing.get_args(hint), value, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _coerce_config(hint, value, where)
    return _coerce_scalar(hint, value, where)


def _coerce_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    # TOML has no null, so its files say "none".
    if type(None) in options and (value is None or (value == "none" and str not in options)):
        return None
    problem: UsageError | None = None
    for option in options:
        if option is type(None):
            continue
        try:
            return _coerce(option, value, where)
        except UsageError as error:
            problem = error
    raise problem or UsageError(f"{where} cannot be {value!r}.")


def _coerce_tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, tuple | list):
        raise UsageError(f"{where} must be a list, not {value!r}.")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_coerce(items[0], item, where) for item in value)
    if len(items) != len(value):
        raise UsageError(f"{where} must have {len(items)} values, not {len(value)}.")
    return tuple(_coerce(item, part, where) for item, part in zip(items, value, strict=True))


def _coerce_literal(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value in options:
        return value
    names = [str(option) for option in options]
    hint = did_you_mean(str(value), names) or f"Choose from {', '.join(names)}."
    raise UsageError(f"{where} cannot be {value!r}.", hint=hint)


def _coerce_config(cls: type[Any], value: Any, where: str) -> Any:
    if isinstance(value, cls):
        return value
    if not isinstance(value, dict):
        raise UsageError(f"{where} must be a table, not {value!r}.")
    return _built(cls, value, f"{where}.")


def _coerce_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is int and isinstance(value, bool):
        raise UsageError(f"{where} must be {_WORDS[int]}, not {value!r}.")
    expected = typing.get_origin(hint) or hint
    if isinstance(expected, type) and not isinstance(value, expected):
        raise UsageError(f"{where} must be {_WORDS.get(expected, expected.__name__)}, not {value!r}.")
    return value


_WORDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    Path: "a path",
    dict: "a table",
}
"""What the types of settings are called."""
