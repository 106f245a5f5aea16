"""Running the program that a pickle is, with nothing to call but stand-ins and with bounds on what it can cost.

The machine is the one of Python's own library that is written in Python: its C twin allocates what a forged pickle
claims before looking. What it leaves open is closed here. State can be set only of stand-ins that take it, and things
put only into plain lists and dictionaries. Steps, names, numbers and arguments are limited, and keys are cheap to hash,
so that the work grows with the size of the pickle and not with what it says.
"""

from __future__ import annotations

import io
import pickle
import struct
from typing import TYPE_CHECKING, Any, cast

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.formatting import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Step = Callable[["Unpickler"], None]

MAX_STEPS = 1_000_000
"""Operations of one pickle: a table of numbers for each of the 2,589 published snippets takes a tenth of it."""
_MAX_NAME = 300
_MAX_INDEX = 1 << 32
_ARGUMENTS_AT_LEAST = 1 << 16
_MAX_KEY = (1 << 61) - 1
_LONGEST_KEY = 8


class Restorable:
    """Base of the stand-ins that take state, or are filled by name."""

    __slots__ = ()


class _Counted(dict[int, "Step"]):
    """The operations by code; each look-up is a step."""

    def __init__(self, steps: Mapping[int, Step], limit: int) -> None:
        super().__init__(steps)
        self._left = limit

    def __getitem__(self, code: int) -> Step:
        self._left -= 1
        if self._left < 0:
            raise InvalidInputError("it takes more steps than any honest file")
        return super().__getitem__(code)


class Unpickler(pickle._Unpickler):
    """The machine; a subclass says what a name and an object outside the pickle stand for.

    Args:
        stream: Where the pickle begins.
        size: Its bytes, which bound what its calls may be given.
        encoding: Of the texts of Python 2.
    """

    stack: list[Any]
    metastack: list[list[Any]]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    readline: Callable[[], bytes]
    memo: dict[int, Any]
    _unframer: Any

    def __init__(self, stream: io.BytesIO, size: int, *, encoding: str = "ASCII") -> None:
        super().__init__(stream, encoding=encoding)
        self.size = size
        # An attribute of its own hides the class's.
        vars(self)["dispatch"] = _Counted(_STEPS, MAX_STEPS)
        # Twice: bytes are written as text by the protocols of Python 2. Twice more: arguments that share.
        self._affordable = 4 * size + _ARGUMENTS_AT_LEAST

    def stand_in(self, name: str) -> Any:
        """Return what stands for "module.name".

        Raises:
            InvalidInputError: Nothing does.
        """
        raise InvalidInputError(f"it names {shown(name)}, which is not on the list of what may be read")

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a class or function."""
        full = f"{module}.{name}"
        # A name with dots leads from an allowed object to any other, even where it spells an allowed one.
        if "." in name or len(full) > _MAX_NAME:
            return Unpickler.stand_in(self, full)
        return self.stand_in(full)

    def persistent_load(self, pid: object) -> Any:
        """Return what stands for an object outside the pickle.

        Raises:
            InvalidInputError: Nothing does.
        """
        raise InvalidInputError(f"it refers to an outside object ({shown(pid)}), which is refused")

    def get_extension(self, code: int) -> None:
        """Refuse the copyreg extension that a pickle names by number."""
        raise InvalidInputError(f"it uses extension code {code}, which is refused")

    def afford(self, arguments: Iterable[object]) -> None:
        """Let a stand-in be called; one that copies what it is given cannot be given more than was written.

        Raises:
            InvalidInputError: All calls together have been given too much.
        """
        sized = (item for item in arguments if isinstance(item, str | bytes | bytearray | list | tuple | dict))
        self._affordable -= sum(map(len, sized))
        if self._affordable < 0:
            raise InvalidInputError("it makes more than it holds")

    def _instantiate(self, stand_in: Any, arguments: Any) -> None:
        self.afford(arguments)
        self.append(stand_in(*arguments))


def cheap_key(key: object) -> object:
    """Return a key as it is.

    Raises:
        InvalidInputError: To hash it may take for ever, or it is made to collide with others.
    """
    parts = key if isinstance(key, tuple) and len(key) <= _LONGEST_KEY else (key,)
    for part in parts:
        if isinstance(part, tuple | frozenset) or (isinstance(part, int) and not -_MAX_KEY < part < _MAX_KEY):
            raise InvalidInputError("a dictionary or set has a key that no honest file has")
    return key


def _refused(what: str) -> Step:
    def refuse(_: Unpickler) -> None:
        raise InvalidInputError(f"it {what}, which is refused")

    return refuse


def _usual(code: bytes) -> Step:
    return cast("Step", pickle._Unpickler.dispatch[code[0]])


def _require(machine: Unpickler, depth: int, *kinds: type) -> None:
    if not isinstance(machine.stack[depth], kinds):
        raise InvalidInputError("it changes what may not be changed")


def _build(machine: Unpickler) -> None:
    _require(machine, -2, Restorable)
    _usual(pickle.BUILD)(machine)


def _set_item(machine: Unpickler) -> None:
    _require(machine, -3, dict, Restorable)
    cheap_key(machine.stack[-2])
    _usual(pickle.SETITEM)(machine)


def _set_items(machine: Unpickler) -> None:
    for key in machine.stack[::2]:
        cheap_key(key)
    _require_below(machine, dict, Restorable)
    _usual(pickle.SETITEMS)(machine)


def _append(machine: Unpickler) -> None:
    _require(machine, -2, list, Restorable)
    _usual(pickle.APPEND)(machine)


def _appends(machine: Unpickler) -> None:
    _require_below(machine, list, Restorable)
    _usual(pickle.APPENDS)(machine)


def _require_below(machine: Unpickler, *kinds: type) -> None:
    """The same for what lies below the mark, to which the operation adds all that lies above."""
    if not isinstance(machine.metastack[-1][-1], kinds):
        raise InvalidInputError("it changes what may not be changed")


def _add_items(machine: Unpickler) -> None:
    for item in machine.stack:
        cheap_key(item)
    _require_below(machine, set, Restorable)
    _usual(pickle.ADDITEMS)(machine)


def _dictionary(machine: Unpickler) -> None:
    for key in machine.stack[::2]:
        cheap_key(key)
    _usual(pickle.DICT)(machine)


def _frozen_set(machine: Unpickler) -> None:
    for item in machine.stack:
        cheap_key(item)
    _usual(pickle.FROZENSET)(machine)


def _reduce(machine: Unpickler) -> None:
    arguments = machine.stack.pop()
    machine._instantiate(machine.stack.pop(), _tuple(arguments))


def _new_object(machine: Unpickler) -> None:
    """A stand-in has no other constructor than its call."""
    _reduce(machine)


def _new_object_ex(machine: Unpickler) -> None:
    if machine.stack.pop() != {}:
        raise InvalidInputError("it calls something with named arguments, which no honest file does")
    _reduce(machine)


def _tuple(arguments: object) -> tuple[object, ...]:
    if not isinstance(arguments, tuple):
        raise InvalidInputError("it calls something without arguments")
    return arguments


def _bytearray(machine: Unpickler) -> None:
    """Read first: the machine's own way allocates what is claimed."""
    (size,) = struct.unpack("<Q", machine.read(8))
    machine.append(bytearray(machine.read(size)))


def _frame(machine: Unpickler) -> None:
    (size,) = struct.unpack("<Q", machine.read(8))
    if size > machine.size:
        raise InvalidInputError("it claims to go on beyond its end")
    machine._unframer.load_frame(size)


def _put(machine: Unpickler) -> None:
    index = int(machine.readline()[:-1])
    if not 0 <= index < _MAX_INDEX:
        raise InvalidInputError("it remembers something under a number that no honest file has")
    machine.memo[index] = machine.stack[-1]


_STEPS: Mapping[int, Step] = {
    **cast("Mapping[int, Step]", pickle._Unpickler.dispatch),
    **{
        code[0]: step
        for code, step in (
            (pickle.BUILD, _build),
            (pickle.SETITEM, _set_item),
            (pickle.SETITEMS, _set_items),
            (pickle.APPEND, _append),
            (pickle.APPENDS, _appends),
            (pickle.ADDITEMS, _add_items),
            (pickle.DICT, _dictionary),
            (pickle.FROZENSET, _frozen_set),
            (pickle.REDUCE, _reduce),
            (pickle.NEWOBJ, _new_object),
            (pickle.NEWOBJ_EX, _new_object_ex),
            (pickle.BYTEARRAY8, _bytearray),
            (pickle.PUT, _put),
            (pickle.FRAME, _frame),
            (pickle.LONG4, _refused("holds a number of more than 255 bytes")),
            (pickle.NEXT_BUFFER, _refused("takes data from outside")),
            (pickle.READONLY_BUFFER, _refused("takes data from outside")),
        )
    },
}
