"""Reading pickles that anybody may have written, without running anything that they name.

A pickle is a program that calls whatever it can name. Here every name is looked up in an allow-list whose values are
inert stand-ins of this module: not even NumPy's own constructors are called, because a forged dtype or array state
can crash them. After the program has run, the stand-ins are turned into NumPy arrays by checked code.
"""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.formatting import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Literal

    Outside = Callable[[object], object]

MAX_BYTES = 1 << 31
MAX_DEPTH = 64
_DTYPE_CODES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
_BYTE_ORDERS = frozenset("<>|=")


class _Sealed(type):
    """A class whose attributes cannot be set: pickles may try to `BUILD` on the class itself."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise TypeError(f"{cls.__name__} is sealed")


class Inert(metaclass=_Sealed):
    """Stands for an object of any class that is not wanted itself; keeps its arguments and state.

    Attributes:
        args: What its constructor was given.
        state: What it was to be restored from.
    """

    args: tuple[object, ...] = ()
    state: Any = None

    def __init__(self, *args: object, **_: object) -> None:
        self.args = args

    def __setstate__(self, state: object) -> None:
        self.state = state


class _DType(Inert):
    """Stands for numpy.dtype: only plain numbers, booleans and (for lists of objects) `O8`."""

    def numpy(self) -> np.dtype[Any]:
        code = self.args[0] if self.args else None
        if not isinstance(code, str) or code not in _DTYPE_CODES:
            if not isinstance(code, str) or code[:1] not in _BYTE_ORDERS or code[1:] not in _DTYPE_CODES:
                raise InvalidInputError(f"arrays of type {code!r} are not read")
            return np.dtype(code)
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "="
        if order not in _BYTE_ORDERS:
            raise InvalidInputError(f"byte order {order!r} is unknown")
        return np.dtype(code).newbyteorder(cast("Literal['<', '>', '|', '=']", order))

    @property
    def holds_objects(self) -> bool:
        return bool(self.args) and self.args[0] in ("O8", "|O")


class _Array(Inert):
    """Stands for numpy.ndarray, restored from (version, shape, dtype, Fortran order, data)."""

    def plain(self) -> np.ndarray[Any, Any] | list[object]:
        """Return the numbers, or the object of a 0-d object array in a list of one."""
        state = self.state
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _DType):
            raise InvalidInputError("an array has no valid state")
        _, shape, dtype, fortran, data = state
        if dtype.holds_objects:
            return _object_array(shape, data)
        return _number_array(shape, dtype.numpy(), bool(fortran), data)


def _object_array(shape: object, data: object) -> list[object]:
    """Return the data of a 0-d array; larger object arrays have no place in any file that is read here."""
    if shape != () or not isinstance(data, list) or len(data) != 1:
        raise InvalidInputError("arrays of objects are read only with one element")
    return data


def _number_array(shape: object, dtype: np.dtype[Any], fortran: bool, data: object) -> np.ndarray[Any, Any]:
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidInputError("an array has no valid shape")
    if not isinstance(data, bytes | bytearray):
        raise InvalidInputError("an array has no data")
    values = np.frombuffer(data, dtype=dtype)
    return values.reshape(shape, order="F" if fortran else "C").copy()


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _scalar(dtype: object, data: object = b"") -> object:
    """Stand for numpy.core.multiarray.scalar."""
    if not isinstance(dtype, _DType) or not isinstance(data, bytes):
        raise InvalidInputError("a number has no valid state")
    return np.frombuffer(data, dtype=dtype.numpy(), count=1)[0].item()


def _from_buffer(data: object, dtype: object, shape: object = None, order: object = "C") -> object:
    """Stand for numpy.core.numeric._frombuffer and for numpy.frombuffer."""
    if isinstance(dtype, str):
        dtype = _DType(dtype)
    if not isinstance(dtype, _DType) or not isinstance(data, bytes | bytearray):
        raise InvalidInputError("an array has no valid state")
    number = dtype.numpy()
    return _number_array(shape if shape is not None else (len(data) // number.itemsize,), number, order == "F", data)


def _array_of(content: object = None, *_: object) -> object:
    """Stand for numpy.array, which wraps a dictionary in a 0-d object array."""
    if not isinstance(content, dict):
        raise InvalidInputError("numpy.array is read only around a dictionary")
    return content


def _bytes_of(content: object = b"", *_: object) -> bytes:
    """Stand for bytes, bytearray and for _codecs.encode, by which the protocols of Python 2 write bytes."""
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise InvalidInputError("bytes are read only from bytes")
    return content


def _ordered(*items: object) -> dict[Any, Any]:
    """Stand for collections.OrderedDict."""
    if items and not isinstance(items[0], list):
        raise InvalidInputError("an ordered dictionary is read only from a list of pairs")
    return dict(items[0]) if items else {}  # type: ignore[call-overload]


_NUMPY_CORES = ("numpy.core", "numpy._core")
NUMPY_GLOBALS: Mapping[str, object] = {
    **{f"{core}.multiarray._reconstruct": _reconstruct for core in _NUMPY_CORES},
    **{f"{core}.multiarray.scalar": _scalar for core in _NUMPY_CORES},
    **{f"{core}.numeric._frombuffer": _from_buffer for core in _NUMPY_CORES},
    "numpy.ndarray": _Array,
    "numpy.dtype": _DType,
    "numpy.frombuffer": _from_buffer,
    "numpy.array": _array_of,
    "builtins.bytearray": _bytes_of,
    **{f"{module}.bytes": _bytes_of for module in ("builtins", "__builtin__")},
    "_codecs.encode": _bytes_of,
    "collections.OrderedDict": _ordered,
}
"""Names by which pickles of NumPy 1 and 2 rebuild arrays, and their stand-ins."""


# The unpickler written in Python is used on purpose: its C twin allocates what a forged pickle claims before looking.
class _Unpickler(pickle._Unpickler):
    def __init__(self, data: bytes, allowed: Mapping[str, object], outside: Outside | None) -> None:
        super().__init__(io.BytesIO(data))
        self._allowed, self._outside = allowed, outside

    def find_class(self, module: str, name: str) -> Any:
        found = self._allowed.get(f"{module}.{name}")
        if found is None:
            called = one_line(f"{module}.{name}")
            raise InvalidInputError(f"it names {called}, which is not on the list of what may be read")
        return found

    def persistent_load(self, pid: object) -> Any:
        if self._outside is not None:
            return self._outside(pid)
        raise InvalidInputError(f"it refers to an outside object {pid!r}, which is refused")

    def get_extension(self, code: int) -> None:
        raise InvalidInputError(f"it uses extension code {code}, which is refused")


def loads(data: bytes, allowed: Mapping[str, object], *, source: str, outside: Outside | None = None) -> Any:
    """Read a pickle with nothing but the `allowed` names ("module.name" -> stand-in).

    Stand-ins for arrays come out as NumPy arrays; `Inert` ones as `Inert` with plain state.

    Args:
        data: The pickle.
        allowed: What each name stands for; usually `NUMPY_GLOBALS` and a few `Inert` ones.
        source: The file, for messages.
        outside: Gives what stands for an object outside the pickle, by its persistent id; without it they are refused.

    Raises:
        InvalidInputError: It names anything else, or is damaged.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInputError(f"{source} is refused: a pickle of {len(data)} bytes is absurd here.")
    try:
        return _Plainer()(_Unpickler(data, allowed, outside).load())
    except InvalidInputError as error:
        raise InvalidInputError(f"{source} is refused: {error.message.rstrip('.')}.") from error
    except Exception as error:
        raise InvalidInputError(f"{source} is damaged: {type(error).__name__} while reading its pickle.") from error


class _Plainer:
    """Replaces the stand-ins for arrays; each object once, so that sharing cannot blow a small pickle up."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[object, Any]] = {}

    def __call__(self, value: Any, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            raise InvalidInputError("it is nested too deeply")
        known = self._done.get(id(value))
        if known is None:
            # The original is kept too, so that its id stays its own.
            known = self._done[id(value)] = (value, self._replaced(value, depth + 1))
        return known[1]

    def _replaced(self, value: Any, depth: int) -> Any:
        if isinstance(value, _Array):
            content = value.plain()
            return self(content[0], depth) if isinstance(content, list) else content
        if isinstance(value, _DType):
            return value.args[0] if value.args else None
        if isinstance(value, dict):
            return {self(key, depth): self(item, depth) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self(item, depth) for item in value)
        if isinstance(value, Inert):
            value.state = self(value.state, depth)
        return value
