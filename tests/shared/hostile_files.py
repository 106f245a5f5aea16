"""Files that nobody should open carelessly: hostile pickles in all that holds pickles, and archives and files that lie.

Each `Case` changes one sound file of `Sound` and says how a user would open what comes of it. None may run anything,
crash, hang or grow; each has to be refused by name.
"""

from __future__ import annotations

import base64
import functools
import io
import itertools
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hostile_pickles as programs
import numpy as np
import torch

FILES = {
    "expert": "expert/eval_rsi/model/best_model.zip",
    "normalizer": "expert/eval_rsi/model/vecnormalize.pkl",
    "clip_info": "expert/clip_info.json",
    "checkpoint": "policy.ckpt",
    "low_level": "task/0/eval/model/low_level_policy.ckpt",
    "metrics": "dataset/dataset_metrics.npz",
    "rollouts": "dataset/walk.hdf5",
    "mocap": "clips.h5",
    "safetensors": "policy.safetensors",
}
"""Kinds of files -> where they lie in a folder of sound ones."""
Change = Callable[[bytes, Path], bytes]


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        name: What is wrong with it.
        kind: Of which kind it pretends to be: a key of `FILES`.
        change: Makes it of the sound one, for a mark that appears if anything is run.
    """

    name: str
    kind: str
    change: Change

    def write(self, sound: Path, folder: Path, mark: Path) -> Path:
        """Write the file into a folder that has links to the sound ones beside it; return its path."""
        target = folder / FILES[self.kind]
        for path in (sound / Path(FILES[self.kind]).parts[0]).rglob("*"):
            copy = folder / path.relative_to(sound)
            if path.is_file() and copy != target:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.symlink_to(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.change((sound / FILES[self.kind]).read_bytes(), mark))
        return target


# Archives.


def repacked(content: bytes, changes: Mapping[str, bytes], **options: Any) -> bytes:
    """The archive with other members; names are given without the folder that PyTorch puts them in."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            short = name if name in changes else name.partition("/")[2]
            new.writestr(name, changes.get(short, old.read(name)), **options)
    return buffer.getvalue()


def added(content: bytes, name: str, extra: bytes = b"x") -> bytes:
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, extra)
    return buffer.getvalue()


def without(content: bytes, *names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            if info.filename not in names:
                new.writestr(info, old.read(info))
    return buffer.getvalue()


def member(content: bytes, short: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        return archive.read(short if short in names else next(name for name in names if name.endswith(f"/{short}")))


def as_weights(content: bytes, program: bytes) -> bytes:
    weights = repacked(member(content, "policy.pth"), {"data.pkl": program})
    return repacked(content, {"policy.pth": weights})


def as_attribute(content: bytes, program: bytes, name: str = "learning_rate") -> bytes:
    data = json.loads(member(content, "data"))
    data[name] = {":type:": "<class 'function'>", ":serialized:": base64.b64encode(program).decode()}
    return repacked(content, {"data": json.dumps(data).encode()})


def as_checkpoint(content: bytes, program: bytes) -> bytes:
    return repacked(content, {"data.pkl": program})


def as_metrics(content: bytes, program: bytes, shape: str = "()") -> bytes:
    return repacked(content, {"values.npy": _npy("|O", shape) + program})


def alone(_: bytes, program: bytes) -> bytes:
    return program


def _npy(dtype: str, shape: str) -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


PLACES: dict[str, tuple[str, Callable[[bytes, bytes], bytes]]] = {
    "statistics": ("normalizer", alone),
    "checkpoint": ("checkpoint", as_checkpoint),
    "attribute": ("expert", as_attribute),
    "weights": ("expert", as_weights),
    "metrics": ("metrics", as_metrics),
    "low level": ("low_level", as_checkpoint),
}
"""Where pickles lie: the kind of file, and how one is put into it."""


def _pickled(place: str, name: str, program: bytes | programs.Program) -> Case:
    kind, put = PLACES[place]

    def change(content: bytes, mark: Path) -> bytes:
        return put(content, program if isinstance(program, bytes) else program(mark))

    return Case(f"{place}: {name}", kind, change)


def pickled_cases() -> Iterator[Case]:
    """Each program in one place, the places taken in turn, and those with `os.system` in all of them."""
    turn = itertools.cycle(PLACES)
    for name, program in programs.PROGRAMS.items():
        for place in PLACES if "os.system" in name else [next(turn)]:
            yield _pickled(place, name, program)
    # An attribute is not used, so only what it names counts.
    turn = itertools.cycle(("statistics", "checkpoint", "metrics"))
    for name, damage in programs.DAMAGES.items():
        yield _pickled(next(turn), name, damage)


# What PyTorch has written and read in its time.


def _saved(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def _evil(mark: Path) -> programs.Calls:
    import os

    return programs.Calls(os.system, programs.shell(mark))


def _tar(mark: Path) -> bytes:
    """The format of PyTorch 0.1."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            content = programs.reduced("os", "system", (programs.shell(mark),))
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _script(content: bytes, mark: Path) -> bytes:
    """An archive of TorchScript: its code would be compiled, its objects made by it."""
    program = programs.stacked("__torch__", "Evil") + b")\x81."
    source = f"class Evil(Module):\n  def __setstate__(self, x):\n    {programs.code(mark)}\n".encode()
    archive = repacked(content, {"data.pkl": b"\x80\x04" + program})
    for name, extra in (("code/__torch__.py", source), ("constants.pkl", b"\x80\x02)."), ("version", b"3")):
        folder = zipfile.ZipFile(io.BytesIO(content)).namelist()[0].split("/")[0]
        archive = archive if name == "version" else added(archive, f"{folder}/{name}", extra)
    return archive


def _tensor(pid: tuple[object, ...], size: tuple[object, ...], stride: tuple[object, ...], offset: object = 0) -> bytes:
    """A table with one forged tensor."""
    storage = b"(" + b"".join(
        programs.named("torch", "FloatStorage") if part == "F" else programs.push(part) for part in pid
    )
    call = programs.named("torch._utils", "_rebuild_tensor_v2") + b"(" + storage + b"tQ" + programs.push(offset)
    call += (
        programs.push(size) + programs.push(stride) + b"\x89" + programs.named("collections", "OrderedDict") + b")RtR"
    )
    return (
        b"\x80\x02}"
        + programs.push("state_dict")
        + b"}"
        + programs.push("x")
        + call
        + b"ss"
        + programs.push("hyper_parameters")
        + programs.push({"model": "mlp", "config": {}})
        + b"s."
    )


_SOUND_PID = ("storage", "F", "0", "cpu", 4)
_TENSORS = {
    "a tensor beyond its numbers": _tensor(_SOUND_PID, (1 << 20,), (1,)),
    "a tensor that repeats its numbers": _tensor(_SOUND_PID, (1 << 40,), (0,)),
    "a tensor before its numbers": _tensor(_SOUND_PID, (1,), (1,), -1),
    "a tensor of a negative size": _tensor(_SOUND_PID, (-1,), (1,)),
    "a tensor of huge strides": _tensor(_SOUND_PID, (2,), (1 << 62,)),
    "a tensor of huge numbers": _tensor(_SOUND_PID, (1 << 200,), (1,)),
    "a tensor of texts": _tensor(_SOUND_PID, ("1",), (1,)),
    "a tensor of ten thousand dimensions": _tensor(_SOUND_PID, (1,) * 10_000, (1,) * 10_000),
    "a storage elsewhere": _tensor(("storage", "F", "../../../../etc/passwd", "cpu", 4), (1,), (1,)),
    "a storage that is missing": _tensor(("storage", "F", "12345", "cpu", 4), (1,), (1,)),
    "a storage of 4 EB": _tensor(("storage", "F", "0", "cpu", 1 << 60), (1,), (1,)),
    "a storage of a negative size": _tensor(("storage", "F", "0", "cpu", -4), (1,), (1,)),
    "a storage of no known type": _tensor(("storage", "eval", "0", "cpu", 4), (1,), (1,)),
    "a storage of another module": _tensor(("module", "F", "0", "cpu", 4), (1,), (1,)),
}


def torch_cases() -> Iterator[Case]:
    """Checkpoints of all formats, hostile or forged."""
    old = {"_use_new_zipfile_serialization": False}
    yield Case("hyper-parameters that are run", "checkpoint", lambda _, m: _saved({"hyper_parameters": _evil(m)}))
    yield Case("a state that is run", "checkpoint", lambda _, m: _saved({"state_dict": {"w": _evil(m)}}))
    yield Case("callbacks that are run", "checkpoint", lambda _, m: _saved({"callbacks": {_evil(m): 1}}))
    yield Case("the format before 1.6, hostile", "checkpoint", lambda _, m: _saved({"a": _evil(m)}, **old))
    yield Case("the format before 1.6", "checkpoint", lambda *_: _saved({"state_dict": {"w": torch.ones(2)}}, **old))
    yield Case("the format of 0.1", "checkpoint", lambda _, m: _tar(m))
    yield Case("TorchScript", "checkpoint", _script)
    yield Case("a bare program", "checkpoint", lambda _, m: programs.reduced("os", "system", (programs.shell(m),)))
    yield Case("big-endian", "checkpoint", lambda c, _: repacked(c, {"byteorder": b"big"}))
    yield Case("no byte order that is known", "checkpoint", lambda c, _: repacked(c, {"byteorder": b"pdp\n"}))
    yield Case("two pickles", "checkpoint", lambda c, _: added(c, "other/data.pkl", b"N."))
    yield Case("compressed", "checkpoint", lambda c, _: repacked(c, {}, compress_type=zipfile.ZIP_DEFLATED))
    yield Case(
        "the pickle at the top", "checkpoint", lambda c, _: added(_empty_zip(), "data.pkl", member(c, "data.pkl"))
    )
    yield Case(
        "weights of the format before 1.6", "expert", lambda c, _: repacked(c, {"policy.pth": _saved({}, **old)})
    )
    yield Case("weights that are no table", "expert", lambda c, _: repacked(c, {"policy.pth": _saved([torch.ones(2)])}))
    yield Case("weights by number", "expert", lambda c, _: repacked(c, {"policy.pth": _saved({1: torch.ones(2)})}))
    for name, program in _TENSORS.items():
        yield Case(name, "checkpoint", lambda c, _, program=program: as_checkpoint(c, program))
    for name, values in _HYPER_PARAMETERS.items():
        yield Case(f"hyper-parameters: {name}", "checkpoint", lambda c, _, values=values: _with_values(c, values))


_HYPER_PARAMETERS: dict[str, Any] = {
    "none": None,
    "a list": [1],
    "no model": {"config": {}},
    "an unknown model": {"model": "x" * 100_000, "config": {}},
    "no configuration": {"model": "mlp"},
    "absurd widths": {"model": "mlp", "config": {"layers": [1 << 40]}},
    "layers without end": {"model": "mlp", "config": {"layers": [8] * 100_000}},
    "reference steps without end": {"model": "mlp", "config": {"ref_steps": list(range(100_000))}},
    "a block of 2^50": {"model": "gpt", "config": {"block_size": 1 << 50}},
    "a trillion heads": {"model": "gpt", "config": {"n_head": 10**12, "n_embd": 10**12}},
    "an embedding of 2^50": {"model": "npmp", "config": {"embed_size": 1 << 50}},
    "primitives without end": {"model": "mcp", "config": {"n_primitives": 1 << 30}},
    "an observable of no kind": {"model": "mlp", "config": {"observables": ["walker/\x1b[31mevil"]}},
    "text for numbers": {"model": "mlp", "config": {"act_size": "__import__('os')"}},
    "not a number": {"model": "mlp", "config": {"std_dev": float("nan")}},
    "an unknown setting": {"model": "mlp", "config": {"__class__": "os.system"}},
    "published, empty": {"ref_steps": []},
    "published, absurd": {"ref_steps": [1], "n_layers": 1 << 60, "layer_size": 1 << 60},
}


def _with_values(content: bytes, values: Any) -> bytes:
    """The checkpoint with other hyper-parameters."""
    program = member(content, "data.pkl")
    inside = programs.push("hyper_parameters") + programs.push(values)
    return as_checkpoint(content, program[:-1] + inside + b"s.")


# Archives that lie.


def _empty_zip() -> bytes:
    return b"PK\x05\x06" + bytes(18)


def _table_elsewhere(content: bytes, _: Path) -> bytes:
    """The last record says where the table of members lies; PyTorch's archives say it in one of 64 bits."""
    end = content.rindex(b"PK\x05\x06")
    long = content[end - 20 :].startswith(b"PK\x06\x07")
    place = content.rindex(b"PK\x06\x06") + 48 if long else end + 16
    return content[:place] + b"\xf0\xff\xff\x7f" + content[place + 4 :]


@functools.cache
def _deflated_zeros(megabytes: int) -> bytes:
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(megabytes)) + packer.flush()


def _stored_as(content: bytes, name: str, packed: bytes, claimed: int) -> bytes:
    """An archive with one more member, packed beforehand, that claims a size."""
    with zipfile.ZipFile(io.BytesIO(content)) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist() if info.filename != name]
    local, central = b"", b""
    for filename, data, size, method in [*((n, d, len(d), 0) for n, d in members), (name, packed, claimed, 8)]:
        crc = zipfile.crc32(data) if method == 0 else 0  # type: ignore[attr-defined]
        common = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 0x21, crc, len(data), size, len(filename), 0)
        central += b"PK\x01\x02\x14\x00" + common + struct.pack("<HHHII", 0, 0, 0, 0, len(local)) + filename.encode()
        local += b"PK\x03\x04" + common + filename.encode() + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members) + 1, len(members) + 1, len(central), len(local), 0)
    return local + central + b"PK\x05\x06" + end


_MAIN_MEMBER = {"expert": "policy.pth", "checkpoint": "data.pkl", "metrics": "values.npy"}


def archive_cases() -> Iterator[Case]:
    """Lies of zip archives, in each kind of file that is one."""
    for kind in _MAIN_MEMBER:
        yield Case(f"{kind}: an empty archive", kind, lambda *_: _empty_zip())
        for name in ("../../evil.py", "/etc/cron.d/evil", "a/../../evil", "\\\\server\\evil"):
            yield Case(f"{kind}: a member {name}", kind, lambda c, _, name=name: added(c, name))
        yield Case(f"{kind}: two members of one name", kind, _twice)
        yield Case(f"{kind}: something before the archive", kind, lambda c, _: b"#!/bin/sh\n" + c)
        yield Case(f"{kind}: encrypted", kind, lambda c, _: _everywhere(c, 8, b"\x01\x00"))
        yield Case(f"{kind}: an unknown method", kind, lambda c, _: _everywhere(c, 10, b"\x63\x00"))
        yield Case(f"{kind}: sizes of 4 GB", kind, lambda c, _: _everywhere(c, 20, b"\xfe\xff\xff\xff" * 2))
        yield Case(f"{kind}: sizes of nothing", kind, lambda c, _: _everywhere(c, 20, bytes(8)))
        yield Case(f"{kind}: another checksum", kind, lambda c, _: _everywhere(c, 16, b"\x01\x02\x03\x04"))
        yield Case(f"{kind}: members elsewhere", kind, lambda c, _: _everywhere(c, 42, b"\xff\xff\xff\x7f"))
        yield Case(f"{kind}: a table elsewhere", kind, _table_elsewhere)
        yield Case(f"{kind}: a bomb", kind, lambda c, _, kind=kind: _exploding(c, _MAIN_MEMBER[kind], 100 << 20))
        yield Case(
            f"{kind}: a bomb that plays small", kind, lambda c, _, kind=kind: _exploding(c, _MAIN_MEMBER[kind], 64)
        )


def _exploding(content: bytes, short: str, claimed: int) -> bytes:
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    name = next(name for name in names if name == short or name.endswith(f"/{short}"))
    return _stored_as(content, name, _deflated_zeros(100), claimed)


def _twice(content: bytes, _: Path) -> bytes:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return added(content, zipfile.ZipFile(io.BytesIO(content)).namelist()[0])


def _everywhere(content: bytes, offset: int, value: bytes) -> bytes:
    """Overwrite a field in all entries of an archive's table."""
    place = content.find(b"PK\x01\x02", content.rindex(b"PK\x03\x04"))
    while place >= 0:
        content = content[: place + offset] + value + content[place + offset + len(value) :]
        place = content.find(b"PK\x01\x02", place + 46)
    return content


def metrics_cases() -> Iterator[Case]:
    """Arrays of NumPy that lie, and objects where none should be."""
    headers = {
        "objects in one dimension": _npy("|O", "(1,)"),
        "a shape of 2^60": _npy("<f8", f"({1 << 60},)"),
        "a negative shape": _npy("<f8", "(-1,)"),
        "a shape that is called": _npy("<f8", "__import__('os').system('true')"),
        "a type that is called": b"\x93NUMPY\x01\x00\x40\x00"
        + b"{'descr': eval('1'), 'fortran_order': False, 'shape': ()}\n".ljust(64),
        "records": _npy("V8", "()") + bytes(8),
        "a header of 4 GB": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        "a header that is deep": b"\x93NUMPY\x02\x00\x00\x20\x00\x00" + b"[" * 8192,
        "a version of the future": b"\x93NUMPY\x63\x00\x00\x00",
        "no array": b"\x93NUMPX",
    }
    for name, content in headers.items():
        yield Case(f"array: {name}", "metrics", lambda c, _, content=content: repacked(c, {"values.npy": content}))
    values = {"a list": [1], "keys by number": {1: 2.0}, "nothing": None}
    for name, value in values.items():
        program = pickle.dumps(value)
        yield Case(f"metrics: {name}", "metrics", lambda c, _, program=program: as_metrics(c, program))
    plain = pickle.dumps({"walk-0-9": 0.5})
    yield Case("metrics: many objects", "metrics", lambda c, _: as_metrics(c, plain, "(2,)"))


# Texts.

_JSON: dict[str, bytes] = {
    "empty": b"",
    "cut": b'{"clip_id": "walk", "start_st',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "not an object": b"[1]",
    "a number of 10,000 digits": b'{"clip_id": "walk", "start_step": ' + b"9" * 10_000 + b', "end_step": 9}',
    "an infinite step": b'{"clip_id": "walk", "start_step": 1e999, "end_step": 9}',
    "no number": b'{"clip_id": "walk", "start_step": NaN, "end_step": 9}',
    "a list for a step": b'{"clip_id": "walk", "start_step": [0], "end_step": 9}',
    "another encoding": '{"clip_id": "walk"}'.encode("utf-16"),
    "binary": bytes(range(256)),
}


_RECORDS: dict[str, Any] = {
    "not an object": [1],
    "statistics of no kind": {"normalizer": 3},
    "statistics of 400 digits": {"normalizer": {"mean": [10**400], "var": [1]}},
    "a count of 400 digits": {"normalizer": {"mean": [0.0] * 4, "var": [1.0] * 4, "count": 10**400}},
    "statistics in lists of lists": {"normalizer": {"mean": [[[0.0]]], "var": [[[0.0]]]}},
    "statistics of texts": {"normalizer": {"mean": ["x" * 100_000], "var": ["os.system"]}},
    "variances below zero": {"normalizer": {"mean": [0.0] * 4, "var": [-1.0] * 4}},
    "another size": {"normalizer": {"mean": [0.0] * 5, "var": [1.0] * 5}},
}


def text_cases() -> Iterator[Case]:
    """JSON that is none, or is a bomb."""
    for name, content in _JSON.items():
        yield Case(f"clip_info: {name}", "clip_info", lambda _, __, content=content: content)
        if name not in ("no number", "an infinite step", "a list for a step", "another encoding"):
            yield Case(f"data: {name}", "expert", lambda c, _, content=content: repacked(c, {"data": content}))
    for name, record in _RECORDS.items():
        extra = json.dumps(record).encode()
        yield Case(f"record: {name}", "expert", lambda c, _, extra=extra: added(c, "mocapact.json", extra))
    yield Case("data: not base64", "expert", lambda c, _: repacked(c, {"data": b'{"a": {":serialized:": "!!!"}}'}))
    yield Case("data: not a text", "expert", lambda c, _: repacked(c, {"data": b'{"a": {":serialized:": 3}}'}))


# Safetensors.


def _tensors(content: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


def _first(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header[next(name for name in header if name != "__metadata__")]
    return found


def _said(header: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> None:
    said = json.loads(header["__metadata__"]["mocapact"])
    change(said)
    header["__metadata__"]["mocapact"] = json.dumps(said)


_HEADERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "numbers beyond the end": lambda h: _first(h).update(data_offsets=[0, 1 << 40]),
    "numbers before the beginning": lambda h: _first(h).update(data_offsets=[-8, 0]),
    "numbers backwards": lambda h: _first(h).update(data_offsets=[8, 0]),
    "a shape of 2^63": lambda h: _first(h).update(shape=[1 << 63]),
    "a shape that overflows": lambda h: _first(h).update(shape=[1 << 40, 1 << 40]),
    "a negative shape": lambda h: _first(h).update(shape=[-1]),
    "an unknown type": lambda h: _first(h).update(dtype="PICKLE"),
    "metadata that is no text": lambda h: h["__metadata__"].update(mocapact=3),
    "no metadata": lambda h: h.pop("__metadata__"),
    "no description": lambda h: h["__metadata__"].update(mocapact="[" * 5000),
    "an unknown model": lambda h: _said(h, lambda said: said.update(model="os.system")),
    "absurd widths": lambda h: _said(h, lambda said: said["config"].update(layers=[1 << 50])),
    "an unknown setting": lambda h: _said(h, lambda said: said["config"].update(__class__="os.system")),
    "no configuration": lambda h: _said(h, lambda said: said.update(config=None)),
}


def safetensors_cases() -> Iterator[Case]:
    """Headers that lie."""
    for name, change in _HEADERS.items():
        yield Case(f"safetensors: {name}", "safetensors", lambda c, _, change=change: _tensors(c, change))
    for size in (1 << 63, (1 << 64) - 1, 1 << 40, 0, 3):
        head = struct.pack("<Q", size)
        yield Case(f"safetensors: a header of {size}", "safetensors", lambda c, _, head=head: head + c[8:])
    yield Case("safetensors: more at the end", "safetensors", lambda c, _: c + b"x" * 64)


# HDF5.


def _h5(content: bytes, change: Callable[[h5py.File], object]) -> bytes:
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def _replace(file: h5py.File, name: str, make: Callable[[h5py.Group, str], object]) -> None:
    group, _, last = name.rpartition("/")
    del file[name]
    make(file[group] if group else file, last)


def _linked(target: Any) -> Callable[[h5py.Group, str], object]:
    return lambda group, name: group.__setitem__(name, target)


def _outside(path: str) -> Callable[[h5py.Group, str], object]:
    return lambda group, name: group.create_dataset(name, (64,), "u1", external=[(path, 0, h5py.h5f.UNLIMITED)])


def _virtual(path: str) -> Callable[[h5py.Group, str], object]:
    def make(group: h5py.Group, name: str) -> None:
        layout = h5py.VirtualLayout((9,), "f4")
        layout[...] = h5py.VirtualSource(path, "x", (9,))
        group.create_virtual_dataset(name, layout)

    return make


def _huge(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (1 << 40, 56), "f4", chunks=(1024, 56), compression="gzip")


def _huge_contiguous(group: h5py.Group, name: str) -> None:
    group.create_dataset(name, (1 << 50,), "f8")


def _filtered(group: h5py.Group, name: str) -> None:
    """Stored by a filter that HDF5 would look for in shared libraries."""
    created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    created.set_chunk((9,))
    created.set_filter(32_767, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    space = h5py.h5s.create_simple((9,))
    made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.NATIVE_FLOAT, space, created)
    made.write_direct_chunk((0,), bytes(36))


def _wrongly_packed(group: h5py.Group, name: str) -> None:
    made = group.create_dataset(name, (9,), "f4", chunks=(9,), compression="gzip")
    made.id.write_direct_chunk((0,), b"\xff" * 30)


_H5: dict[str, Callable[[h5py.Group, str], object]] = {
    "an external link": _linked(h5py.ExternalLink("/etc/passwd", "/")),
    "an external link to a device": _linked(h5py.ExternalLink("/dev/zero", "/x")),
    "an external link up": _linked(h5py.ExternalLink("../../../secret.h5", "/x")),
    "a soft link": _linked(h5py.SoftLink("/")),
    "a soft link to nothing": _linked(h5py.SoftLink("/nowhere")),
    "data in another file": _outside("/etc/passwd"),
    "data in a device": _outside("/dev/zero"),
    "data of another file": _virtual("/etc/passwd"),
    "data of a device": _virtual("/dev/zero"),
    "a claim of 240 TB": _huge,
    "a claim of 8 PB": _huge_contiguous,
    "a filter of its own": _filtered,
    "a wrongly packed chunk": _wrongly_packed,
    "a group": lambda group, name: group.create_group(name),
    "nothing": lambda group, name: group.create_dataset(name, data=h5py.Empty("f4")),
    "texts": lambda group, name: group.create_dataset(name, data=["os.system"] * 9),
    "references": lambda group, name: group.create_dataset(name, (9,), h5py.ref_dtype),
}
_ARRAY_OF = {"rollouts": "walk-0-9/0/actions", "mocap": "demo_reach/walkers/walker_0/joints"}


def h5_cases() -> Iterator[Case]:
    """Sound HDF5 that leads elsewhere or claims too much."""
    for kind, array in _ARRAY_OF.items():
        for name, make in _H5.items():
            yield Case(
                f"{kind}: {name}", kind, lambda c, _, array=array, make=make: _h5(c, lambda f: _replace(f, array, make))
            )
        group = array.partition("/")[0]
        for target in (h5py.ExternalLink("/etc/passwd", "/"), h5py.SoftLink("/")):
            yield Case(
                f"{kind}: a group that is {type(target).__name__}",
                kind,
                lambda c, _, group=group, target=target: _h5(c, lambda f: _replace(f, group, _linked(target))),
            )
    for name, value in {"negative": -1, "of 2^62": 1 << 62, "of text": "x", "of many": np.zeros(9)}.items():
        yield Case(
            f"rollouts: a count {name}",
            "rollouts",
            lambda c, _, value=value: _h5(
                c, lambda f: _replace(f, "n_rsi_rollouts", lambda g, n: g.create_dataset(n, data=value))
            ),
        )
    for name, value in {"negative": -1, "huge": 1 << 62, "of text": "x", "nan": float("nan")}.items():
        yield Case(
            f"mocap: num_steps {name}",
            "mocap",
            lambda c, _, value=value: _h5(c, lambda f: f["demo_reach"].attrs.__setitem__("num_steps", value)),
        )


# Every kind of file, cut, and something else.

_SHARES = (0.0, 0.1, 0.5, 0.9, 0.999)
_OTHERS = {
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "a program": b"\x7fELF\x02\x01\x01" + bytes(100),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(100),
    "HDF5's first bytes": b"\x89HDF\r\n\x1a\n" + b"\xff" * 100,
    "a web page": b"<html><body>503 Service Unavailable</body></html>",
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n",
}


def _cut(share: float) -> Change:
    return lambda content, _: content[: min(int(share * len(content)), len(content) - 3)]


def _flipped(offset: int) -> Change:
    """One bit, in what a checksum of the archive covers."""

    def change(content: bytes, _: Path) -> bytes:
        damaged = bytearray(content)
        damaged[content.index(b"PK\x03\x04") + 120 + offset] ^= 0x10
        return bytes(damaged)

    return change


def damaged_cases() -> Iterator[Case]:
    """Truncated files, flipped bits, and files of other kinds."""
    for kind in FILES:
        for share in _SHARES:
            yield Case(f"{kind}: the first {share:.1%}", kind, _cut(share))
        for name, content in _OTHERS.items():
            yield Case(f"{kind}: {name}", kind, lambda _, __, content=content: content)
    for kind in ("expert", "checkpoint", "metrics"):
        for offset in (0, 13, 50):
            yield Case(f"{kind}: a bit after {offset}", kind, _flipped(offset))


CASES: tuple[Case, ...] = tuple(
    itertools.chain(
        pickled_cases(), torch_cases(), archive_cases(), metrics_cases(), text_cases(), safetensors_cases(), h5_cases(),
        damaged_cases(),
    )
)  # fmt: skip
