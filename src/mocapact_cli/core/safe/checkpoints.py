"""Reading PyTorch's checkpoints without PyTorch's unpickler: every name from an allow-list, tensors from raw bytes."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.safe import archives, pickles
from mocapact_cli.core.safe.allow_list import CHECKPOINT, STORAGES, TENSORS
from mocapact_cli.core.safe.stand_ins import TensorStub

if TYPE_CHECKING:
    from torch import Tensor

_PICKLE = "data.pkl"
_PICKLE_LIMIT = 1 << 26
_SHARED = 4
_TABLE_AT_LEAST = 1 << 20


@dataclass(frozen=True, slots=True)
class _Storage:
    """Stands for the memory of tensors: which member of the archive holds it."""

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds; its tensors stay in the file until they are asked for.

    Attributes:
        path: The file.
        content: Its dictionary, with stand-ins for tensors.
        source: What is opened for the tensors: the file, or its content.
    """

    path: Path
    content: Mapping[str, Any]
    source: Path | bytes = field(repr=False)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Read a table of tensors, such as `state_dict`.

        Raises:
            InvalidInputError: There is none of that name, or it holds something else, or the file is damaged.
        """
        table = self.content.get(name)
        if not isinstance(table, dict) or not all(isinstance(key, str) for key in table):
            raise InvalidInputError(f"{self.path} has no {name}: it is no checkpoint of a policy.")
        return _read_table(self, table)


def read_checkpoint(path: Path | str, allowed: Mapping[str, object] = CHECKPOINT) -> Checkpoint:
    """Read a checkpoint that `torch.save` or Lightning wrote, ours or anybody's; nothing in it is executed.

    Args:
        path: The file.
        allowed: What it may name, see `pickles.loads`.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged, hostile or no checkpoint.
    """
    return _read(Path(path), Path(path), allowed)


def read_parameters(content: bytes, *, source: str) -> dict[str, Tensor]:
    """Read a table of tensors that `torch.save` wrote, and nothing else, from memory.

    Args:
        content: The file's bytes.
        source: The file, for messages.

    Raises:
        InvalidInputError: It is damaged, hostile or holds something else.
    """
    found = _read(Path(source), content, TENSORS)
    if not all(isinstance(key, str) for key in found.content):
        raise InvalidInputError(f"{source} is not a table of tensors.")
    return _read_table(found, found.content)


def _read(path: Path, source: Path | bytes, allowed: Mapping[str, object]) -> Checkpoint:
    with _opened(path, source) as archive:
        data = _stored(archive, path, _folder(archive, path) + _PICKLE, _PICKLE_LIMIT)
    content = pickles.loads(data, allowed, source=str(path), outside=_storage)
    if not isinstance(content, dict):
        raise InvalidInputError(f"{path} is no checkpoint: it holds no dictionary.")
    return Checkpoint(path, content, source)


def _opened(path: Path, source: Path | bytes) -> Any:
    return archives.open_zip(path, io.BytesIO(source) if isinstance(source, bytes) else None)


def _read_table(checkpoint: Checkpoint, table: Mapping[str, object]) -> dict[str, Tensor]:
    path, source = checkpoint.path, checkpoint.source
    # Tensors may share memory, but not so that a small file becomes a large table.
    left = _SHARED * (len(source) if isinstance(source, bytes) else source.stat().st_size) + _TABLE_AT_LEAST
    tensors: dict[str, Tensor] = {}
    with _opened(path, source) as archive:
        folder = _folder(archive, path)
        for key, stub in table.items():
            storage = _checked(stub, path)
            left -= storage.count * _width(storage)
            if left < 0:
                raise InvalidInputError(f"{path} holds the same numbers over and over.")
            tensors[key] = _tensor(archive, path, folder, stub)
    return tensors


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
        case ("storage", str(dtype), str(key), str(), int(count)) if dtype in STORAGES.values() and _is_number(key):
            return _Storage(dtype, key, count)
    raise InvalidInputError("it refers to an outside object that is no tensor")


def _is_number(key: str) -> bool:
    return key.isascii() and key.isdecimal() and len(key) < 10


def _width(storage: _Storage) -> int:
    import torch

    dtype: torch.dtype = getattr(torch, storage.dtype)
    return dtype.itemsize


def _checked(stub: object, path: Path) -> _Storage:
    """Return where a tensor's numbers lie, once it is known to stay within them.

    Raises:
        InvalidInputError: It does not, or is no tensor.
    """
    if not isinstance(stub, TensorStub) or not isinstance(stub.storage, _Storage):
        raise InvalidInputError(f"{path} holds something else where tensors should be.")
    storage, size, stride = stub.storage, stub.size, stub.stride
    numbers = (stub.offset, *size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else (-1,)
    if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers) or len(size) != len(stride):
        raise InvalidInputError(f"{path} holds a tensor of no valid shape.")
    last = stub.offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    # A tensor that repeats its numbers could claim any amount of memory.
    if math.prod(size) > storage.count or (math.prod(size) and last >= storage.count):
        raise InvalidInputError(f"{path} holds a tensor that reaches beyond its numbers.")
    return storage


def _tensor(archive: zipfile.ZipFile, path: Path, folder: str, stub: Any) -> Tensor:
    import torch

    storage: _Storage = stub.storage
    size = storage.count * _width(storage)
    content = bytearray(_stored(archive, path, f"{folder}data/{storage.key}", size))
    if len(content) != size:
        raise InvalidInputError(f"{path}: data/{storage.key} has {len(content)} bytes instead of {size}.")
    dtype = getattr(torch, storage.dtype)
    flat = torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)
    return flat.as_strided(stub.size, stub.stride, stub.offset).clone(memory_format=torch.contiguous_format)


def _stored(archive: zipfile.ZipFile, path: Path, name: str, limit: int) -> bytes:
    """Read a member that lies in the archive as it is: PyTorch compresses nothing, and bombs have to."""
    if name in archive.namelist() and archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise InvalidInputError(f"{path}: {name} is compressed, which PyTorch never does.")
    return archives.read_member(archive, name, limit=limit)
