"""Reading PyTorch's checkpoints without PyTorch's unpickler: every name from an allow-list, tensors from raw bytes."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.safe import archives, pickles

if TYPE_CHECKING:
    from torch import Tensor

_PICKLE = "data.pkl"
_PICKLE_LIMIT = 1 << 26
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True, slots=True)
class _Storage:
    """Stands for the memory of tensors: which member of the archive holds it."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class TensorStub:
    """Stands for a tensor until it is asked for; checked only then."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


class _Ordered(dict[Any, Any]):
    """Stands for an OrderedDict, whose attributes (PyTorch's metadata) are of no interest."""

    def __setstate__(self, state: object) -> None:
        """Ignore the attributes."""


def _ordered(*items: object) -> _Ordered:
    if items and not isinstance(items[0], list):
        raise InvalidInputError("an ordered dictionary is read only from a list of pairs")
    pairs: Any = items[0] if items else ()
    return _Ordered(pairs)


def _stub(storage: object, offset: object, size: object, stride: object, *_: object) -> TensorStub:
    return TensorStub(storage, offset, size, stride)


def _parameter(data: object, *_: object) -> object:
    return data


_TENSOR_GLOBALS: Mapping[str, object] = {
    **pickles.NUMPY_GLOBALS,
    **{f"torch.{name}": dtype for name, dtype in _STORAGES.items()},
    "torch._utils._rebuild_tensor_v2": _stub,
    "torch._utils._rebuild_parameter": _parameter,
    "collections.OrderedDict": _ordered,
    "collections.defaultdict": _ordered,
}


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds; its tensors stay in the file until they are asked for.

    Attributes:
        path: The file.
        content: Its dictionary, with stand-ins for tensors.
    """

    path: Path
    content: Mapping[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read a table of tensors, such as `state_dict`.

        Raises:
            InvalidInputError: There is none of that name, or it holds something else, or the file is damaged.
        """
        table = self.content.get(name)
        if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
            raise InvalidInputError(f"{self.path} has no {name}: it is no checkpoint of a policy.")
        with archives.open_zip(self.path) as archive:
            folder = _folder(archive, self.path)
            return {key: _tensor(archive, folder, stub) for key, stub in table.items()}


def read_checkpoint(path: Path | str, inert: Mapping[str, object]) -> Checkpoint:
    """Read a checkpoint that `torch.save` or Lightning wrote, ours or anybody's; nothing in it is executed.

    Args:
        path: The file.
        inert: Further names that it may hold -> what stands for them, see `pickles.loads`.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged, hostile or no checkpoint.
    """
    path = Path(path)
    with archives.open_zip(path) as archive:
        data = _stored(archive, _folder(archive, path) + _PICKLE, _PICKLE_LIMIT)
    content = pickles.loads(data, {**inert, **_TENSOR_GLOBALS}, source=str(path), outside=_storage)
    if not isinstance(content, dict):
        raise InvalidInputError(f"{path} is no checkpoint: it holds no dictionary.")
    return Checkpoint(path, content)


def _folder(archive: zipfile.ZipFile, path: Path) -> str:
    """Return what all members' names begin with."""
    folders = [name.removesuffix(_PICKLE) for name in archive.namelist() if name.endswith("/" + _PICKLE)]
    if len(folders) != 1:
        raise InvalidInputError(f"{path} is no checkpoint of PyTorch.")
    order = folders[0] + "byteorder"
    if order in archive.namelist() and archives.read_member(archive, order, limit=16) != b"little":
        raise InvalidInputError(f"{path} was written on a machine with another byte order, which is not read.")
    return folders[0]


def _storage(pid: object) -> _Storage:
    match pid:
        case ("storage", str(dtype), str(key), str(), int(count)) if dtype in _STORAGES.values() and key.isdecimal():
            return _Storage(dtype, key, count)
    raise InvalidInputError("it refers to an outside object that is no tensor")


def _tensor(archive: zipfile.ZipFile, folder: str, stub: object) -> Tensor:
    import torch

    if not isinstance(stub, TensorStub) or not isinstance(stub.storage, _Storage):
        raise InvalidInputError(f"{archive.filename} holds something else where tensors should be.")
    storage, size, stride = stub.storage, stub.size, stub.stride
    numbers = (stub.offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else (-1,)
    if not all(type(number) is int and number >= 0 for number in numbers) or len(size) != len(stride):
        raise InvalidInputError(f"{archive.filename} holds a tensor of no valid shape.")
    last = stub.offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    # A tensor that repeats its numbers could claim any amount of memory.
    if math.prod(size) > storage.count or (math.prod(size) and last >= storage.count):
        raise InvalidInputError(f"{archive.filename} holds a tensor that reaches beyond its numbers.")
    dtype = getattr(torch, storage.dtype)
    data = _bytes(archive, f"{folder}data/{storage.key}", storage.count * dtype.itemsize)
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.as_strided(size, stride, stub.offset).clone(memory_format=torch.contiguous_format)


def _bytes(archive: zipfile.ZipFile, name: str, size: int) -> bytearray:
    content = _stored(archive, name, size)
    if len(content) != size:
        raise InvalidInputError(f"{archive.filename}: {name} has {len(content)} bytes instead of {size}.")
    return bytearray(content)


def _stored(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read a member that lies in the archive as it is: PyTorch compresses nothing, and bombs have to."""
    if name in archive.namelist() and archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise InvalidInputError(f"{archive.filename}: {name} is compressed, which PyTorch never does.")
    return archives.read_member(archive, name, limit=limit)
