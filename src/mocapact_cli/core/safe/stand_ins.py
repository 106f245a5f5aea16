"""What stands for the classes and functions that pickles name: inert, and never NumPy's or PyTorch's own.

Not even NumPy's constructors are called, because a forged dtype or array state can crash them. After the program of a
pickle has run, `pickles.loads` turns the stand-ins for arrays into arrays by checked code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.formatting import shown
from mocapact_cli.core.safe.unpickler import Restorable, cheap_key

_DTYPE_CODES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"])
_BYTE_ORDERS = ("<", ">", "|", "=")


class _Sealed(type):
    """A class whose attributes cannot be set."""

    def __setattr__(cls, name: str, value: object) -> None:
        raise TypeError(f"{cls.__name__} is sealed")


class Inert(Restorable, metaclass=_Sealed):
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


def inert_type(*_: object) -> type[Inert]:
    """Stand for cloudpickle's _builtin_type, by which code objects are made."""
    return Inert


class Table(Restorable, dict[Any, Any]):
    """Stands for an OrderedDict, whose attributes (PyTorch's metadata) are of no interest."""

    def __setstate__(self, state: object) -> None:
        """Ignore the attributes."""


def table(*items: object) -> Table:
    """Stand for collections.OrderedDict.

    Raises:
        InvalidInputError: They are no pairs.
    """
    pairs = items[0] if items else []
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise InvalidInputError("an ordered dictionary is read only from a list of pairs")
    return Table((cheap_key(key), value) for key, value in pairs)


def queue(items: object = (), *_: object) -> list[object]:
    """Stand for collections.deque, as the list that it holds.

    Raises:
        InvalidInputError: It is no list.
    """
    if not isinstance(items, list | tuple):
        raise InvalidInputError("a queue is read only from a list")
    return list(items)


class DType(Inert):
    """Stands for numpy.dtype: only plain numbers, booleans and (for lists of objects) `O8`."""

    def numpy(self) -> np.dtype[Any]:
        """Return the type itself.

        Raises:
            InvalidInputError: It is none of the plain ones.
        """
        code = self.args[0] if self.args else None
        if not isinstance(code, str) or code not in _DTYPE_CODES:
            if not isinstance(code, str) or code[:1] not in _BYTE_ORDERS or code[1:] not in _DTYPE_CODES:
                raise InvalidInputError(f"arrays of type {shown(code)} are not read")
            return np.dtype(code)
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "="
        if not isinstance(order, str) or order not in _BYTE_ORDERS:
            raise InvalidInputError(f"byte order {shown(order)} is unknown")
        return np.dtype(code).newbyteorder(cast("Literal['<', '>', '|', '=']", order))

    @property
    def holds_objects(self) -> bool:
        """Whether it is the type of arrays of Python objects."""
        return bool(self.args) and isinstance(self.args[0], str) and self.args[0] in ("O8", "|O")


class Array(Inert):
    """Stands for numpy.ndarray, restored from (version, shape, dtype, Fortran order, data)."""

    def plain(self) -> np.ndarray[Any, Any] | list[object]:
        """Return the numbers, or the object of a 0-d object array in a list of one.

        Raises:
            InvalidInputError: Its state does not make an array.
        """
        state = self.state
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], DType):
            raise InvalidInputError("an array has no valid state")
        _, shape, dtype, fortran, data = state
        if dtype.holds_objects:
            return _object_array(shape, data)
        return _number_array(shape, dtype.numpy(), bool(fortran), data)


def _object_array(shape: object, data: object) -> list[object]:
    """Return the data of a 0-d array; larger object arrays have no place in any file that is read here."""
    if not isinstance(shape, tuple) or len(shape) or not isinstance(data, list) or len(data) != 1:
        raise InvalidInputError("arrays of objects are read only with one element")
    return data


def _number_array(shape: object, dtype: np.dtype[Any], fortran: bool, data: object) -> np.ndarray[Any, Any]:
    if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidInputError("an array has no valid shape")
    if not isinstance(data, bytes | bytearray):
        raise InvalidInputError("an array has no data")
    values = np.frombuffer(data, dtype=dtype)
    return values.reshape(shape, order="F" if fortran else "C").copy()


def reconstruct(*_: object) -> Array:
    """Stand for numpy.core.multiarray._reconstruct."""
    return Array()


def scalar(dtype: object, data: object = b"") -> object:
    """Stand for numpy.core.multiarray.scalar."""
    if not isinstance(dtype, DType) or not isinstance(data, bytes):
        raise InvalidInputError("a number has no valid state")
    return np.frombuffer(data, dtype=dtype.numpy(), count=1)[0].item()


def from_buffer(data: object, dtype: object, shape: object = None, order: object = "C") -> object:
    """Stand for numpy.core.numeric._frombuffer and for numpy.frombuffer."""
    if isinstance(dtype, str):
        dtype = DType(dtype)
    if not isinstance(dtype, DType) or not isinstance(data, bytes | bytearray):
        raise InvalidInputError("an array has no valid state")
    number = dtype.numpy()
    fortran = isinstance(order, str) and order == "F"
    return _number_array(shape if shape is not None else (len(data) // number.itemsize,), number, fortran, data)


def array_of(content: object = None, *_: object) -> object:
    """Stand for numpy.array, which wraps a dictionary in a 0-d object array."""
    if not isinstance(content, dict):
        raise InvalidInputError("numpy.array is read only around a dictionary")
    return content


def bytes_of(content: object = b"", *_: object) -> bytes:
    """Stand for bytes, bytearray and for _codecs.encode, by which the protocols of Python 2 write bytes."""
    if isinstance(content, str):
        return content.encode("latin1")
    if not isinstance(content, bytes):
        raise InvalidInputError("bytes are read only from bytes")
    return content


@dataclass(frozen=True, slots=True, eq=False)
class TensorStub:
    """Stands for a tensor until it is asked for; checked only then."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


def tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> TensorStub:
    """Stand for torch._utils._rebuild_tensor_v2."""
    return TensorStub(storage, offset, size, stride)
