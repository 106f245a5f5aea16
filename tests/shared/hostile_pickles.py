"""Pickles that would do harm, built operation by operation from the ways around filters that are known.

Every one is made for a mark: a file that appears if anything of it is run. `PROGRAMS` name what no file may name;
`DAMAGES` lie about themselves, or cost more than they are large.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Program = Callable[[Path], bytes]


def push(value: object) -> bytes:
    """The operations that put a plain value on the stack."""
    return pickle.dumps(value, 2)[2:-1]


def text(value: str) -> bytes:
    """The operation that puts a text on the stack, remembering nothing."""
    return pickle.BINUNICODE + struct.pack("<I", len(value.encode())) + value.encode()


def named(module: str, name: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{name}\n".encode()


def stacked(module: str, name: str) -> bytes:
    """STACK_GLOBAL, which also takes names with dots."""
    return text(module) + text(name) + pickle.STACK_GLOBAL


def arguments(*values: object) -> bytes:
    return b"(" + b"".join(map(push, values)) + b"t"


def shell(mark: Path) -> str:
    return f"touch {mark}"


def code(mark: Path) -> str:
    return f"__import__('os').system('touch {mark}')"


# The ways to call something.

Shape = Callable[[str, str, tuple[object, ...]], bytes]


def reduced(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return named(module, name) + arguments(*values) + b"R."


def reduced_4(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"\x80\x04" + stacked(module, name) + arguments(*values) + b"R."


def framed(module: str, name: str, values: tuple[object, ...]) -> bytes:
    body = stacked(module, name) + arguments(*values) + b"R."
    return b"\x80\x05" + pickle.FRAME + struct.pack("<Q", len(body)) + body


def instance(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"(" + b"".join(map(push, values)) + f"i{module}\n{name}\n.".encode()


def made(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"(" + named(module, name) + b"".join(map(push, values)) + b"o."


def new(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"\x80\x02" + named(module, name) + arguments(*values) + pickle.NEWOBJ + b"."


def new_ex(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"\x80\x04" + stacked(module, name) + arguments(*values) + b"}" + pickle.NEWOBJ_EX + b"."


def remembered(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return named(module, name) + b"q\x050" + b"]0" + b"h\x05" + arguments(*values) + b"R."


def by_setstate(module: str, name: str, values: tuple[object, ...]) -> bytes:
    """BUILD gives an object that is allowed a `__setstate__` of its own; the next BUILD calls it."""
    thing = b"\x80\x02" + named("collections", "OrderedDict") + b")R"
    return thing + b"}" + push("__setstate__") + named(module, name) + b"sb" + push(values[0]) + b"b."


def by_slots(module: str, name: str, values: tuple[object, ...]) -> bytes:
    """The same by the second part of a state, whose entries are set one by one."""
    thing = b"\x80\x02" + named("collections", "OrderedDict") + b")R"
    slots = b"N}" + push("__setstate__") + named(module, name) + b"s\x86"
    return thing + slots + b"b" + push(values[0]) + b"b."


def inside_containers(module: str, name: str, values: tuple[object, ...]) -> bytes:
    call = named(module, name) + arguments(*values) + b"R"
    return b"\x80\x02}" + push("mean") + b"]" + push(1.5) + b"a(" + call + b"l\x85s."


def as_a_key(module: str, name: str, values: tuple[object, ...]) -> bytes:
    return b"\x80\x02}" + named(module, name) + arguments(*values) + b"R" + push(1) + b"s."


def after_the_rest(module: str, name: str, values: tuple[object, ...]) -> bytes:
    """What a sound pickle would be, thrown away; nothing of the call is left in the result."""
    return b"\x80\x02" + named(module, name) + arguments(*values) + b"R0" + push({"a": 1}) + b"."


SHAPES: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (
        *(reduced, reduced_4, framed, instance, made, new, new_ex, remembered, by_setstate, by_slots),
        *(inside_containers, as_a_key, after_the_rest),
    )
}


class Calls:
    """Is pickled as a call, by the pickler itself."""

    def __init__(self, function: Any, *values: Any) -> None:
        self.reduced = function, values

    def __reduce__(self) -> Any:
        return self.reduced


def object_array(mark: Path) -> bytes:
    import os

    return pickle.dumps(np.array([Calls(os.system, shell(mark))], dtype=object))


def lone_object(mark: Path) -> bytes:
    import os

    return pickle.dumps({"a": np.array(Calls(os.system, shell(mark)), dtype=object)})


# What may be called: module, name, and what it would be given.

_S, _C = "shell", "code"
TARGETS: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    ("os", "system", (_S,)),
    ("posix", "system", (_S,)),
    ("nt", "system", (_S,)),
    ("os", "popen", (_S,)),
    ("os", "execvp", ("sh", ["sh", "-c", _S])),
    ("os", "spawnlp", (0, "sh", "sh", "-c", _S)),
    ("os", "remove", ("x",)),
    ("subprocess", "Popen", (["sh", "-c", _S],)),
    ("subprocess", "call", (["sh", "-c", _S],)),
    ("subprocess", "run", (["sh", "-c", _S],)),
    ("subprocess", "check_output", (["sh", "-c", _S],)),
    ("subprocess", "getoutput", (_S,)),
    ("_posixsubprocess", "fork_exec", ()),
    ("pty", "spawn", (["sh", "-c", _S],)),
    ("commands", "getoutput", (_S,)),
    ("distutils.spawn", "spawn", (["sh", "-c", _S],)),
    ("builtins", "eval", (_C,)),
    ("builtins", "exec", (_C,)),
    ("builtins", "compile", (_C, "x", "exec")),
    ("builtins", "__import__", ("os",)),
    ("builtins", "getattr", ("", "join")),
    ("builtins", "setattr", ()),
    ("builtins", "open", ("x", "w")),
    ("builtins", "globals", ()),
    ("builtins", "breakpoint", ()),
    ("builtins", "map", ()),
    ("builtins", "type", ("X", (), {})),
    ("builtins", "object", ()),
    ("builtins", "bytes", ()),
    ("__builtin__", "eval", (_C,)),
    ("__builtin__", "execfile", ("x",)),
    ("__builtin__", "apply", ()),
    ("operator", "attrgetter", ("system",)),
    ("operator", "methodcaller", ("system", _S)),
    ("operator", "call", ()),
    ("_operator", "attrgetter", ("system",)),
    ("functools", "partial", ()),
    ("functools", "reduce", ()),
    ("itertools", "starmap", ()),
    ("importlib", "import_module", ("os",)),
    ("importlib.util", "find_spec", ("os",)),
    ("imp", "load_source", ("x", "x.py")),
    ("runpy", "run_path", ("x.py",)),
    ("runpy", "_run_code", (_C, {})),
    ("code", "InteractiveInterpreter", ()),
    ("timeit", "timeit", (_C,)),
    ("cProfile", "run", (_C,)),
    ("profile", "run", (_C,)),
    ("trace", "Trace", ()),
    ("pdb", "run", (_C,)),
    ("bdb", "Bdb", ()),
    ("doctest", "debug_script", (_C,)),
    ("idlelib.debugobj", "ObjectTreeItem", ()),
    ("types", "CodeType", ()),
    ("types", "FunctionType", ()),
    ("types", "MethodType", ()),
    ("marshal", "loads", (b"",)),
    ("pickle", "loads", (b"N.",)),
    ("_pickle", "loads", (b"N.",)),
    ("pickle", "_loads", (b"N.",)),
    ("pickle", "Unpickler", ()),
    ("cPickle", "loads", (b"N.",)),
    ("dill", "loads", (b"N.",)),
    ("dill._dill", "_create_function", ()),
    ("joblib", "load", ("x",)),
    ("cloudpickle", "loads", (b"N.",)),
    ("cloudpickle.cloudpickle", "subimport", ("os",)),
    ("cloudpickle.cloudpickle", "_make_skel_func", ()),
    ("cloudpickle.cloudpickle", "_fill_function", ()),
    ("copyreg", "_reconstructor", ()),
    ("copyreg", "add_extension", ("os", "system", 1)),
    ("copy_reg", "_reconstructor", ()),
    ("copyreg", "__newobj__", ()),
    ("codecs", "decode", ("x", "rot13")),
    ("_codecs", "decode", (b"x", "hex")),
    ("_codecs", "lookup", ("hex",)),
    ("torch", "load", ("x.pth",)),
    ("torch", "_load", ()),
    ("torch.hub", "load", ("evil/repository", "model")),
    ("torch.serialization", "load", ("x.pth",)),
    ("torch.serialization", "add_safe_globals", ([],)),
    ("torch.jit", "load", ("x.pt",)),
    ("torch.jit._serialization", "load", ("x.pt",)),
    ("torch.storage", "_load_from_bytes", (b"",)),
    ("torch._utils", "_import_dotted_name", ("os.system",)),
    ("torch._utils", "_rebuild_parameter", ()),
    ("torch.utils.collect_env", "run", (_S,)),
    ("torch.utils.bottleneck.__main__", "run_prof", ()),
    ("torch.fx.graph_module", "reduce_graph_module", ({}, "")),
    ("torch.package.package_importer", "PackageImporter", ()),
    ("torch._dynamo.guards", "GuardBuilder", ()),
    ("torch.utils._config_module", "load_config", (b"",)),
    ("torch.ops", "load_library", ("x.so",)),
    ("torch.distributed.rpc.internal", "_run_function", ()),
    ("torch.nn.modules.module", "Module", ()),
    ("numpy", "load", ("x.npy",)),
    ("numpy", "memmap", ("x",)),
    ("numpy", "fromfile", ("x",)),
    ("numpy.lib.npyio", "load", ("x.npy",)),
    ("numpy.ctypeslib", "load_library", ("x", ".")),
    ("numpy.f2py.crackfortran", "myeval", (_C,)),
    ("numpy.f2py.diagnose", "run_command", (_S,)),
    ("numpy.f2py", "compile", ("",)),
    ("numpy.testing._private.utils", "runstring", (_C, {})),
    ("numpy.testing", "rundocs", ("x.py",)),
    ("numpy.distutils.exec_command", "exec_command", (_S,)),
    ("numpy.core._internal", "_ctypes", ()),
    ("numpy.random._pickle", "__bit_generator_ctor", ("os",)),
    ("pip", "main", (["install", "evil"],)),
    ("pip._internal", "main", (["install", "evil"],)),
    ("ensurepip", "_run_pip", (["install", "evil"],)),
    ("venv", "create", ("x",)),
    ("zipimport", "zipimporter", ("x",)),
    ("ctypes", "CDLL", ("x.so",)),
    ("ctypes", "PyDLL", ("x.so",)),
    ("ctypes", "string_at", (0,)),
    ("cffi", "FFI", ()),
    ("webbrowser", "open", ("file:///x",)),
    ("shutil", "rmtree", ("x",)),
    ("pathlib", "Path", ("x",)),
    ("pathlib", "PosixPath", ("x",)),
    ("tempfile", "mktemp", ()),
    ("socket", "socket", ()),
    ("ssl", "get_server_certificate", ()),
    ("urllib.request", "urlopen", ("file:///x",)),
    ("http.client", "HTTPSConnection", ("localhost",)),
    ("smtplib", "SMTP", ()),
    ("requests.api", "get", ("file:///x",)),
    ("asyncio", "run", ()),
    ("threading", "Thread", ()),
    ("multiprocessing.util", "spawnv_passfds", ()),
    ("signal", "raise_signal", (9,)),
    ("os", "_exit", (0,)),
    ("sys", "exit", (0,)),
    ("sys", "setrecursionlimit", (9,)),
    ("atexit", "register", ()),
    ("logging.config", "fileConfig", ("x",)),
    ("re", "compile", ("(a+)+$",)),
    ("string", "Formatter", ()),
    ("ast", "literal_eval", ("1",)),
    ("linecache", "getlines", ("x",)),
    ("yaml", "unsafe_load", ("!!x",)),
    ("h5py", "File", ("x",)),
    ("mujoco", "MjModel", ()),
    ("jinja2", "Template", (_C,)),
    ("pandas", "read_pickle", ("x",)),
    ("keras.models", "load_model", ("x",)),
    ("gym.envs.registration", "load", ("os:system",)),
    ("stable_baselines3.common.save_util", "json_to_data", ("{}",)),
    ("stable_baselines3.common.save_util", "load_from_pkl", ("x",)),
    ("stable_baselines3.common.vec_env.subproc_vec_env", "CloudpickleWrapper", ()),
    ("pytorch_lightning.utilities.parsing", "AttributeDict", ()),
    ("mocapact_cli.core.atomic", "write_text", ("x", "x")),
    ("mocapact_cli.core.safe.pickles", "loads", (b"N.", {})),
    ("mocapact_cli.core.guarded", "serve", ()),
)

_IN_ALL_SHAPES = (("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"))


def _program(shape: Shape, module: str, name: str, values: tuple[object, ...]) -> Program:
    def build(mark: Path) -> bytes:
        return shape(module, name, tuple(_filled(value, mark) for value in values))

    return build


def _filled(value: object, mark: Path) -> object:
    if isinstance(value, list):
        return [_filled(item, mark) for item in value]
    return {_S: shell(mark), _C: code(mark)}.get(value, value) if isinstance(value, str) else value


# Names that are made to look like, or to lead away from, those that are allowed.

ODD_NAMES: dict[str, bytes] = {
    "dots to globals": stacked("numpy", "core.multiarray.scalar.__globals__"),
    "dots to a class": stacked("numpy", "ndarray.__class__"),
    "dots to init": stacked("collections", "OrderedDict.__init__.__globals__"),
    "dots to subclasses": stacked("collections", "OrderedDict.__class__.__base__.__subclasses__"),
    "dots that spell an allowed name": stacked("numpy", "core.multiarray.scalar"),
    "dots from the top": stacked("gym", "spaces.box.Box"),
    "dotted system": stacked("os.path", "os.system"),
    "dotted builtins": stacked("collections", "abc.sys.modules"),
    "class as a module": stacked("numpy.ndarray", "__class__"),
    "no module": stacked("", "numpy.dtype"),
    "no name": stacked("numpy.dtype", ""),
    "leading dot": stacked(".numpy", "dtype"),
    "two dots": stacked("numpy..core.multiarray", "scalar"),
    "upper case": stacked("NumPy", "dtype"),
    "trailing blank": stacked("numpy", "dtype "),
    "a letter that looks like one": stacked("numpу", "dtype"),
    "not normalized": stacked("numpy", "dtyp\uff45"),
    "null": stacked("numpy", "dtype\0"),
    "escape sequence": stacked("\x1b[2J\x1b]0;owned\x07os", "system"),
    "new lines": stacked("os\n\nDone. Everything is fine.\n", "system"),
    "long": stacked("a" * 100_000, "b" * 100_000),
    "right to left": stacked("\u202emetsys", "so"),
    "not a text": push(b"os") + push(b"system") + pickle.STACK_GLOBAL,
    "a number": push(3) + push(4) + pickle.STACK_GLOBAL,
    "main": stacked("__main__", "shell"),
    "own stand-in": stacked("mocapact_cli.core.safe.stand_ins", "Inert"),
    "name of python 2": named("__builtin__", "object"),
}

PROGRAMS: dict[str, Program] = {
    **{
        f"{shape.__name__} {module}.{name}": _program(shape, module, name, values)
        for module, name, values in TARGETS
        for shape in SHAPES.values()
        if shape is reduced_4 or (module, name) in _IN_ALL_SHAPES
    },
    **{f"name: {label}": lambda _, made=made: b"\x80\x04" + made + b")R." for label, made in ODD_NAMES.items()},
    "an array of objects": object_array,
    "a lone object in an array": lone_object,
}
"""What would be run, by name."""


# Lies and bombs.

_DTYPE, _CLASS = named("numpy", "dtype"), named("numpy", "ndarray")
_SCALAR = named("numpy.core.multiarray", "scalar")
_FROM_BUFFER = named("numpy.core.numeric", "_frombuffer")
_OLD = b"cnumpy.core.multiarray\n_reconstruct\n"
_ARRAY = _OLD + b"(tR(K\x01"
_FLOATS = _DTYPE + b"(Vf8\ntR"
_OBJECTS = _DTYPE + b"(VO8\ntR(K\x03V|\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def laughs(levels: int = 60) -> bytes:
    """A tuple of two tuples of two tuples ...: small in memory, endless for who walks it."""
    return b")" + b"2\x86" * levels


def _numbers_that_collide(count: int) -> bytes:
    """Keys whose hashes are all alike."""
    prime = (1 << 61) - 1
    return b"\x80\x02}(" + b"".join(push(prime * number) + b"N" for number in range(1, count)) + b"u."


def _built(thing: bytes, state: bytes) -> bytes:
    return b"\x80\x04" + thing + state + b"b."


DAMAGES: dict[str, bytes] = {
    "empty": b"",
    "only a protocol": b"\x80\x04",
    "protocol of the future": b"\x80\x63N.",
    "no stop": b"\x80\x04]",
    "unknown operation": b"\x80\x04\xff.",
    "text": b"This is not a pickle at all.\n",
    "zeros": bytes(4096),
    "nothing to reduce": b"\x80\x04R.",
    "nothing to build": b"\x80\x04b.",
    "no mark": b"\x80\x04t.",
    "marks only": b"(" * 20_000 + b".",
    "stop at once": b".",
    "unknown memory": b"\x80\x04h\x09.",
    "negative memory": b"p-1\n.",
    "memory by a word": b"Nptouch\n.",
    "memory that collides": b"".join(b"Np%d\n" % (((1 << 61) - 1) * n) for n in range(1, 2000)) + b".",
    "extension 1": b"\x80\x02\x82\x01.",
    "extension 2": b"\x80\x02\x83\x01\x01.",
    "extension 4": b"\x80\x02\x84\x01\x01\x01\x01.",
    "persistent id": b"Pos.system\n.",
    "persistent tuple": b"\x80\x02" + push(("storage", "os", "system", "cpu", 1)) + b"Q.",
    "persistent laughs": b"\x80\x02" + laughs() + b"Q.",
    "persistent novel": b"\x80\x02" + push("x" * 100_000) + b"Q.",
    "data from outside": b"\x80\x05\x97.",
    "read-only data from outside": b"\x80\x05" + push(b"abc") + b"\x98.",
    "bytes of 4 EB": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
    "text of 4 EB": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
    "bytearray of 4 EB": b"\x80\x05\x96" + struct.pack("<Q", 1 << 62) + b"x.",
    "bytearray of 64 GB": b"\x80\x05\x96" + struct.pack("<Q", 1 << 36) + b"x.",
    "bytearray of 4 GB": b"\x80\x05\x96" + struct.pack("<Q", 1 << 32) + b"x.",
    "number of 2 GB": b"\x80\x02\x8b" + struct.pack("<i", (1 << 31) - 1) + b"\1.",
    "number of a negative size": b"\x80\x02\x8b" + struct.pack("<i", -1) + b"\1.",
    "number of 100 kB": b"\x80\x02\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000 + b".",
    "number of 100,000 digits": b"I" + b"9" * 100_000 + b"\n.",
    "long of 100,000 digits": b"L" + b"9" * 100_000 + b"L\n.",
    "frame beyond the end": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
    "frame that ends inside an operation": b"\x80\x04\x95" + struct.pack("<Q", 3) + b"\x8c\x03abc.",
    "frames in frames": b"\x80\x04" + b"".join(b"\x95" + struct.pack("<Q", 900 - 9 * n) for n in range(90)) + b"N.",
    "deep lists": b"\x80\x02" + b"]" * 10_000 + b"a" * 9_999 + b".",
    "deep tuples": b"\x80\x02)" + b"\x85" * 10_000 + b".",
    "deep dictionaries": b"\x80\x02" + (b"}" + push("a")) * 5_000 + b"N" + b"s" * 5_000 + b".",
    "laughs": b"\x80\x02" + laughs() + b".",
    "laughs in lists": b"\x80\x02]" + b"".join(b"q%c](h%ch%ce" % (n, n, n) for n in range(60)) + b".",
    "laughs as a key": b"\x80\x02}" + laughs() + b"Ns.",
    "laughs as keys": b"\x80\x02}(" + laughs() + b"Nu.",
    "laughs in a dictionary": b"\x80\x02(" + laughs() + b"Nd.",
    "laughs in a set": b"\x80\x04\x8f(" + laughs() + b"\x90.",
    "laughs in a frozen set": b"\x80\x04(" + laughs() + b"\x91.",
    "laughs in an ordered dictionary": b"\x80\x02"
    + named("collections", "OrderedDict")
    + b"]"
    + laughs()
    + b"N\x86a\x85R.",
    "laughs as a dtype": b"\x80\x02" + _DTYPE + laughs() + b"\x85R" + b".",
    "laughs as an array's dtype": b"\x80\x02" + _ARRAY + b")" + _DTYPE + laughs() + b"\x85R\x89C\x00tb.",
    "laughs as a byte order": b"\x80\x02" + _ARRAY + b")" + _DTYPE + b"(Vf8\ntR(K\x03" + laughs() + b"tb\x89C\x00tb.",
    "laughs as a shape": b"\x80\x02" + _ARRAY + laughs() + _FLOATS + b"\x89C\x00tb.",
    "keys that collide": _numbers_that_collide(5000),
    "a list inside itself": b"\x80\x02]q\x00h\x00a.",
    "a dictionary inside itself": b"\x80\x02}q\x09" + push("a") + b"h\x09s.",
    "state for a function": _built(_SCALAR, b"N}" + push("__defaults__") + push((1,)) + b"s\x86"),
    "code for a function": _built(_SCALAR, b"N}" + push("__code__") + push("x") + b"s\x86"),
    "state for a class": _built(_CLASS, b"N}" + push("plain") + push(1) + b"s\x86"),
    "attributes for a class": _built(_CLASS, b"}" + push("plain") + push(1) + b"s"),
    "state for a list": _built(b"]", b"}" + push("append") + push(1) + b"s"),
    "state for an array": _built(
        _FROM_BUFFER + b"(" + push(b"\0" * 8) + _FLOATS + push((1,)) + push("C") + b"tR",
        b"(K\x01" + push((1 << 40,)) + _FLOATS + b"\x89" + push(b"") + b"t",
    ),
    "an item for an array": b"\x80\x04"
    + _FROM_BUFFER
    + b"("
    + push(b"\0" * 8)
    + _FLOATS
    + push((1,))
    + push("C")
    + b"tRNN"
    + b"s.",
    "items for a function": b"\x80\x04" + _SCALAR + push("a") + b"Ns.",
    "an element for a dictionary": b"\x80\x02}Na.",
    "elements for bytes": b"\x80\x05\x96" + struct.pack("<Q", 1) + b"x(K\1e.",
    "a call of a number": b"\x80\x02" + push(3) + b")R.",
    "a call of a text": b"\x80\x02" + push("eval") + push(("1",)) + b"R.",
    "a call of a result": b"\x80\x02" + _DTYPE + b"(Vf8\ntR(tR.",
    "a call without arguments": b"\x80\x02" + _DTYPE + b"]R.",
    "a call with names": b"\x80\x04" + stacked("numpy", "dtype") + b")}" + push("align") + b"\x88s\x92.",
    "an array without state": b"\x80\x02" + _OLD + b"(tR.",
    "an array of objects with their flags": b"\x80\x04"
    + _ARRAY
    + b"(K\x04t"
    + _OBJECTS
    + b"\x89C "
    + b"A" * 32
    + b"tb.",
    "an array of many objects": b"\x80\x04" + _ARRAY + b"(K\x02t" + _OBJECTS + b"\x89]NaNatb.",
    "an array beyond its data": b"\x80\x04" + _ARRAY + b"(J\xff\xff\xff\x7ft" + _FLOATS + b"\x89C\x01Atb.",
    "an array of a negative shape": b"\x80\x04" + _ARRAY + b"(J\xff\xff\xff\xfft" + _FLOATS + b"\x89C\x08AAAAAAAAtb.",
    "an array of records": b"\x80\x04" + _SCALAR + b"(" + _DTYPE + b"(VV8\ntRC\x08AAAAAAAAtR.",
    "a number of a type by a list": b"\x80\x04" + _SCALAR + b"(" + _DTYPE + b"(](Va\nVf8\ntatRC\x08AAAAAAAAtR.",
    "a number without bytes": b"\x80\x04" + _SCALAR + b"(" + _FLOATS + b"C\0tR.",
    "one array many times over": b"\x80\x04"
    + _FROM_BUFFER
    + b"q\xf0"
    + push(bytes(100_000))
    + b"q\xf1]("
    + (b"h\xf0(h\xf1" + _FLOATS + push((12_500,)) + push("C") + b"tR") * 300
    + b"e.",
    "bytes many times over": b"\x80\x02"
    + named("_codecs", "encode")
    + b"q\xf0"
    + push("x" * 100_000)
    + b"q\xf1]("
    + b"h\xf0(h\xf1Vlatin1\ntR" * 300
    + b"e.",
}
"""What lies, or grows: none of it names what may not be named."""
