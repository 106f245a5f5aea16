"""Reading pickles that anybody may have written, without running anything that they name.

A pickle is a program that calls whatever it can name. Here every name is looked up in an allow-list whose values are
inert stand-ins (`mocapact_cli.core.safe.allow_list`), which are turned into NumPy arrays afterwards.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.safe.stand_ins import Array, DType, Inert
from mocapact_cli.core.safe.unpickler import Unpickler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Outside = Callable[[object], object]

MAX_BYTES = 1 << 31
MAX_DEPTH = 64
_GROWTH = 8
_SIZE_AT_LEAST = 1 << 20


class _Listed(Unpickler):
    """The machine with a list of names."""

    def __init__(self, data: bytes, allowed: Mapping[str, object], outside: Outside | None) -> None:
        super().__init__(io.BytesIO(data), len(data))
        self._allowed, self._outside = allowed, outside

    def stand_in(self, name: str) -> Any:
        found = self._allowed.get(name)
        return super().stand_in(name) if found is None else found

    def persistent_load(self, pid: object) -> Any:
        return super().persistent_load(pid) if self._outside is None else self._outside(pid)


def loads(data: bytes, allowed: Mapping[str, object], *, source: str, outside: Outside | None = None) -> Any:
    """Read a pickle with nothing but the `allowed` names ("module.name" -> stand-in).

    Stand-ins for arrays come out as NumPy arrays; `Inert` ones as `Inert` with plain state.

    Args:
        data: The pickle.
        allowed: What each name stands for: a list of `allow_list`.
        source: The file, for messages.
        outside: Gives what stands for an object outside the pickle, by its persistent id; without it they are refused.

    Raises:
        InvalidInputError: It names anything else, is damaged, or grows when it is read.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"{source} is refused: a pickle of {len(data)} bytes is absurd here.")
    try:
        return _Plainer(_GROWTH * len(data) + _SIZE_AT_LEAST)(_Listed(data, allowed, outside).load())[0]
    except InvalidInputError as error:
        raise InvalidInputError(f"{source} is refused: {error.message.rstrip('.')}.") from error
    except Exception as error:
        raise InvalidInputError(f"{source} is damaged: {type(error).__name__} while reading its pickle.") from error


class _Plainer:
    """Replaces the stand-ins for arrays; each object once, and nothing that would be huge without sharing.

    Args:
        limit: Values, letters and bytes that may come out, each as often as it is seen.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self._array_bytes = limit, limit
        self._done: dict[int, tuple[object, Any, int]] = {}

    def __call__(self, value: Any, depth: int = 0) -> tuple[Any, int]:
        """Return what stands for `value`, and its size."""
        if depth > MAX_DEPTH:
            raise InvalidInputError("it is nested too deeply")
        known = self._done.get(id(value))
        if known is None:
            # The original is kept too, so that its id stays its own.
            known = self._done[id(value)] = (value, *self._replaced(value, depth + 1))
            if known[2] > self._limit:
                raise InvalidInputError("it holds the same things over and over")
        return known[1], known[2]

    def _replaced(self, value: Any, depth: int) -> tuple[Any, int]:
        if isinstance(value, Array):
            return self._array(value, depth)
        if isinstance(value, DType):
            return self(value.args[0] if value.args else None, depth)
        if isinstance(value, dict):
            pairs = [(self(key, depth), self(item, depth)) for key, item in value.items()]
            return {key[0]: item[0] for key, item in pairs}, 1 + sum(key[1] + item[1] for key, item in pairs)
        if isinstance(value, list | tuple):
            items = [self(item, depth) for item in value]
            return type(value)(item for item, _ in items), 1 + sum(size for _, size in items)
        if isinstance(value, Inert):
            value.state, size = self(value.state, depth)
            return value, 1 + size
        return value, 1 + len(value) if isinstance(value, str | bytes | bytearray) else 1

    def _array(self, value: Array, depth: int) -> tuple[Any, int]:
        content = value.plain()
        if isinstance(content, list):
            return self(content[0], depth)
        self._array_bytes -= content.nbytes
        if self._array_bytes < 0:
            raise InvalidInputError("its arrays hold the same numbers over and over")
        return content, 1
