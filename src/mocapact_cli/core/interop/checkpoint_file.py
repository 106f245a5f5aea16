"""Saying what a PyTorch or Lightning checkpoint holds, without PyTorch and without running anything that it names.

The pickle inside is a program. It is run here by an interpreter in which every name is a stand-in that only keeps what
it is given, so the shapes of tensors and the names of settings come out while a hostile program gets nowhere.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.formatting import one_line
from mocapact_cli.core.safe import archives
from mocapact_cli.core.safe.allow_list import ALLOWED
from mocapact_cli.core.safe.stand_ins import Inert, Table, table
from mocapact_cli.core.safe.unpickler import Unpickler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PICKLE_LIMIT = 1 << 25
"""Bytes of the pickle inside; the numbers of tensors lie outside it."""
LEGACY_PICKLES = 4
"""What files of PyTorch before 1.6 begin with: magic number, protocol, machine, then the content."""
MAX_DEPTH = 12
MAX_ITEMS = 20_000
"""Values that are looked at in all, so that a small pickle that refers to itself cannot grow."""
MAX_NAMES = 1_000
_TEXT_LENGTH = 120
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGE = re.compile(r"torch\.(\w+)Storage")
_TYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Long": "int64",
    "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8", "Bool": "bool",
}  # fmt: skip
_USUAL_NAMES = frozenset([
    *ALLOWED, "collections.defaultdict", "builtins.dict",
    "builtins.set", "argparse.Namespace", "pathlib.PosixPath", "functools.partial",
    "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter", "torch._tensor._rebuild_from_type_v2",
    "torch.Size", "torch.device", "torch.serialization._get_layout", "torch.storage.UntypedStorage",
    "torch.nn.modules.activation.Tanh", "torch.nn.modules.activation.ELU", "torch.nn.modules.activation.ReLU",
    "torch.optim.adam.Adam", "torch.optim.adamw.AdamW", "numpy.random._pickle.__randomstate_ctor",
    "gym.spaces.box.Box", "gym.spaces.dict.Dict", "gymnasium.spaces.box.Box", "gymnasium.spaces.dict.Dict",
    "ml_collections.config_dict.config_dict.ConfigDict", "mocapact.sb3.features_extractor.CmuHumanoidFeaturesExtractor",
    "stable_baselines3.common.running_mean_std.RunningMeanStd",
    "stable_baselines3.common.vec_env.vec_normalize.VecNormalize",
    *(f"torch.{name}Storage" for name in _TYPES), *(f"torch.{name}" for name in _TYPES.values()),
])  # fmt: skip
"""Names in the files that the original project published, and in those that PyTorch and Lightning write themselves."""


@dataclass(frozen=True)
class Tensor:
    """A tensor by its name, without its numbers.

    Attributes:
        name: Its place, such as `decoder.0.weight`.
        shape: Its sizes.
        dtype: Such as `float32`.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class CheckpointFile:
    """What a checkpoint holds.

    Attributes:
        format: How it is stored: `PyTorch zip`, `PyTorch before 1.6` or `pickle`.
        tensors: The model's parameters and buffers.
        others: Every other tensor, such as an optimizer's.
        settings: Plain numbers and texts at the top and in `hyper_parameters`; larger things are described in words.
        names: Everything that the pickle names, which is what loading it would import and call.
        unusual: Those of them that have no business in a checkpoint.
    """

    format: str
    tensors: tuple[Tensor, ...]
    others: tuple[Tensor, ...]
    settings: Mapping[str, Any]
    names: tuple[str, ...]
    unusual: tuple[str, ...] = field(default=())


def read_checkpoint(path: Path | str) -> CheckpointFile:
    """Read what a `.ckpt`, `.pt`, `.pth` or `.pkl` file holds; none of its code is run, no numbers are read.

    Raises:
        NotFoundError: It does not exist.
        InvalidInputError: It is damaged or none of these.
    """
    path = Path(path)
    kind, content, names = _unpickled(path)
    model, others = _split(content)
    walk = _Summary()
    top = content if isinstance(content, dict) else {}
    plain = {str(key): walk(value) for key, value in top.items() if key not in ("state_dict", "optimizer_states")}
    if not isinstance(content, dict):
        plain = {"content": walk(content)}
    unusual = tuple(name for name in names if name not in _USUAL_NAMES)
    return CheckpointFile(kind, model, others, plain, names, unusual)


def is_torch_zip(path: Path | str) -> bool:
    """Whether a zip archive is one that `torch.save` writes."""
    if not zipfile.is_zipfile(path):
        return False
    with archives.open_zip(path) as archive:
        return _pickle_member(archive) is not None


def _unpickled(path: Path) -> tuple[str, Any, tuple[str, ...]]:
    if zipfile.is_zipfile(path):
        with archives.open_zip(path) as archive:
            member = _pickle_member(archive)
            if member is None:
                raise InvalidInputError(f"{path} is a zip archive without a PyTorch checkpoint in it.")
            stream = io.BytesIO(archives.read_member(archive, member, limit=PICKLE_LIMIT))
        return ("PyTorch zip", *_run(stream, path, 1))
    with path.open("rb") as file:
        stream = io.BytesIO(file.read(PICKLE_LIMIT))
    if not stream.getvalue():
        raise InvalidInputError(f"{path} is empty.")
    legacy = stream.getvalue()[2:13] == pickle.dumps(_LEGACY_MAGIC, protocol=2)[2:13]
    return ("PyTorch before 1.6" if legacy else "pickle", *_run(stream, path, LEGACY_PICKLES if legacy else 1))


def _pickle_member(archive: zipfile.ZipFile) -> str | None:
    return next((name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1), None)


def _run(stream: io.BytesIO, path: Path, count: int) -> tuple[Any, tuple[str, ...]]:
    """Run `count` pickles with stand-ins; return what the last one makes, and all names."""
    names: dict[str, Any] = {}
    content: Any = None
    try:
        for _ in range(count):
            content = _Describer(stream, names).load()
    except InvalidInputError as error:
        raise InvalidInputError(f"{path} is refused: {error.message.rstrip('.')}.") from error
    # A forged pickle may raise anything; its message may hold what it pleases, so only the type is shown.
    except Exception as error:
        called = f" It names {one_line(', '.join(list(names)[:5]))}." if names else ""
        raise InvalidInputError(
            f"{path} is damaged: {type(error).__name__} while reading its pickle.{called}"
        ) from error
    return content, tuple(sorted(names))


class Described(Inert):
    """Stands for an object of any class; keeps what it was made of and filled with.

    Attributes:
        title: Which class or function it stands for.
    """

    title = "object"

    @cached_property
    def items(self) -> dict[Any, Any]:
        """What was put into it afterwards."""
        return {}

    def __setitem__(self, key: object, value: object) -> None:
        self.items[key] = value

    def append(self, value: object) -> None:
        """Keep a list's element."""
        self.items[len(self.items)] = value

    def extend(self, values: list[object]) -> None:
        """Keep a list's elements."""
        for value in values:
            self.append(value)

    add = append


@dataclass(frozen=True)
class _Storage:
    dtype: str


@dataclass(frozen=True)
class _TensorShape:
    shape: tuple[int, ...]
    dtype: str


def _rebuild_tensor(storage: object = None, _offset: object = 0, size: object = (), *_: object) -> object:
    """Stand for torch._utils._rebuild_tensor_v2."""
    if not isinstance(size, tuple) or not all(type(length) is int and length >= 0 for length in size):
        raise InvalidInputError("a tensor has no valid shape")
    return _TensorShape(size, storage.dtype if isinstance(storage, _Storage) else "unknown")


def _rebuild_parameter(tensor: object = None, *_: object) -> object:
    """Stand for torch._utils._rebuild_parameter."""
    return tensor


def _ordered(*items: object) -> Table:
    """Stand for the making of a dictionary, whatever from."""
    return table(*items) if items and isinstance(items[0], list) else Table()


_STAND_INS: Mapping[str, Callable[..., object]] = {
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "collections.OrderedDict": _ordered,
    "builtins.dict": _ordered,
}


def _stand_in(full_name: str) -> type[Described]:
    class Named(Described):
        title = full_name

    return Named


class _Describer(Unpickler):
    """The machine in which there is a stand-in for every name."""

    def __init__(self, stream: io.BytesIO, names: dict[str, Any]) -> None:
        super().__init__(stream, len(stream.getbuffer()), encoding="latin1")
        self._names = names

    def stand_in(self, name: str) -> Any:
        if name not in self._names:
            if len(self._names) == MAX_NAMES:
                raise InvalidInputError("it names more than any honest file")
            self._names[name] = _STAND_INS.get(name) or _stand_in(name)
        return self._names[name]

    def persistent_load(self, pid: object) -> Any:
        kind = pid[1] if isinstance(pid, tuple) and len(pid) > 1 else None
        found = _STORAGE.fullmatch(getattr(kind, "title", ""))
        return _Storage(_TYPES.get(found[1], found[1].lower()) if found else "unknown")


def _split(content: object) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the model's tensors and all others; a bare table of tensors is the model's."""
    if not isinstance(content, dict):
        return (), tuple(_tensors(content))
    state = content.get("state_dict")
    if isinstance(state, dict):
        rest = {key: value for key, value in content.items() if key != "state_dict"}
        return tuple(_tensors(state)), tuple(_tensors(rest))
    direct = {key: value for key, value in content.items() if isinstance(value, _TensorShape)}
    rest = {key: value for key, value in content.items() if key not in direct}
    return tuple(_tensors(direct)), tuple(_tensors(rest))


def _tensors(content: object) -> Iterator[Tensor]:
    """Walk through all that can hold tensors, each thing once."""
    waiting, seen = [("", content, 0)], set[int]()
    while waiting and len(seen) < MAX_ITEMS:
        name, value, depth = waiting.pop()
        if isinstance(value, _TensorShape):
            yield Tensor(name, value.shape, value.dtype)
            continue
        if id(value) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(value))
        inside = [(f"{name}.{_short(key)}".lstrip("."), item, depth + 1) for key, item in _entries(value)]
        waiting.extend(reversed(inside))


def _entries(value: object) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    if isinstance(value, Described):
        state = value.state if isinstance(value.state, dict) else {"state": value.state}
        return [*state.items(), *value.items.items(), *enumerate(value.args)]
    return []


class _Summary:
    """Turns what came out of a pickle into a small JSON document of plain values and words."""

    def __init__(self) -> None:
        self._left = MAX_ITEMS

    def __call__(self, value: object, depth: int = 0) -> Any:
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            return "..."
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int | str):
            return value if isinstance(value, int) and abs(value) < 1 << 63 else _short(value)
        return self._inside(value, depth)

    def _inside(self, value: object, depth: int) -> Any:
        if isinstance(value, dict):
            return {_short(key): self(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self(item, depth + 1) for item in value]
        return self._described(value, depth)

    def _described(self, value: object, depth: int) -> Any:
        if isinstance(value, _TensorShape):
            return f"tensor {_sizes(value.shape)} of {value.dtype}"
        if isinstance(value, type) and issubclass(value, Described):
            return value.title
        if not isinstance(value, Described):
            return f"<{type(value).__name__}>"
        shape = value.state[1] if isinstance(value.state, tuple) and len(value.state) == 5 else None
        if value.title.endswith("._reconstruct") and isinstance(shape, tuple):
            return f"array {_sizes(shape)}"
        inside = {**(value.state if isinstance(value.state, dict) else {}), **value.items}
        title = f"<{value.title}>"
        return (
            {"class": title} | {_short(key): self(item, depth + 1) for key, item in inside.items()} if inside else title
        )


def _sizes(shape: tuple[object, ...]) -> str:
    return " x ".join(_short(size) for size in shape) or "of one"


def _short(value: object) -> str:
    """Return a key or text, cut where it is long; what is no text or number is named by its type."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return "a huge number"
    text = str(value) if isinstance(value, str | int | float | bool) or value is None else f"<{type(value).__name__}>"
    return text if len(text) <= _TEXT_LENGTH else text[:_TEXT_LENGTH] + "..."
