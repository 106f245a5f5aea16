from __future__ import annotations

import collections
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.safe import pickles
from mocapact_cli.core.safe.allow_list import ARRAYS
from mocapact_cli.core.safe.pickles import loads
from mocapact_cli.core.safe.stand_ins import Inert

NUMERIC = hnp.scalar_dtypes().filter(lambda dtype: dtype.kind in "biuf" and dtype.itemsize <= 8)
NUMBERS = hnp.arrays(NUMERIC, hnp.array_shapes(min_side=0))
PROTOCOLS = st.sampled_from(range(6))


@given(NUMBERS, PROTOCOLS)
def test_arrays_come_out_as_they_went_in(array: np.ndarray, protocol: int) -> None:
    found = loads(pickle.dumps({"a": array}, protocol), ARRAYS, source="test")["a"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@given(hnp.arrays(NUMERIC, hnp.array_shapes(min_dims=2, max_dims=2, min_side=0)))
def test_column_major_arrays_too(array: np.ndarray) -> None:
    found = loads(pickle.dumps(np.asfortranarray(array)), ARRAYS, source="test")
    np.testing.assert_array_equal(found, array)


@given(
    st.recursive(st.integers() | st.text() | st.floats(allow_nan=False) | st.none(), st.lists, max_leaves=9), PROTOCOLS
)
def test_plain_values_come_out_as_they_went_in(value: Any, protocol: int) -> None:
    content = collections.OrderedDict(value=value, number=np.float64(0.25))
    assert loads(pickle.dumps(content, protocol), ARRAYS, source="test") == {"value": value, "number": 0.25}


def test_names_of_numpy_1_are_known() -> None:
    content = pickle.dumps(np.arange(3.0), 2).replace(b"numpy._core.", b"numpy.core.")
    assert loads(content, ARRAYS, source="test").tolist() == [0.0, 1.0, 2.0]


class _Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self.reduced


def _stack_global(module: str, name: str, arguments: bytes = b")") -> bytes:
    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    return b"\x80\x04" + text(module) + text(name) + b"\x93" + arguments + b"R."


def _hostile(mark: Path) -> dict[str, bytes]:
    touch = f"touch {mark}"
    return {
        "reduce": pickle.dumps(_Calls(os.system, touch)),
        "nested": pickle.dumps({"a": [np.arange(3), _Calls(os.system, touch)]}),
        "in an object array": pickle.dumps(np.array(_Calls(os.system, touch), dtype=object)),
        "global": f"cposix\nsystem\n(V{touch}\ntR.".encode(),
        "inst": f"(V{touch}\niposix\nsystem\n.".encode(),
        "obj": f"(cposix\nsystem\nV{touch}\no.".encode(),
        "eval": b"cbuiltins\neval\n(V1+1\ntR.",
        "getattr": b"cbuiltins\ngetattr\n(cnumpy\nndarray\nV__class__\ntR.",
        "dotted name": _stack_global("numpy", "ndarray.__class__"),
        "dotted module": _stack_global("numpy.ndarray", "__class__"),
        "stack global": _stack_global("os", "system", b"(V" + touch.encode() + b"\nt"),
        "newobj_ex": b"\x80\x04\x8c\x08builtins\x8c\x06object\x93)}\x92.",
        "numpy load": b"cnumpy\nload\n(Vx.npy\ntR.",
        "persistent id": b"Pwhatever\n.",
        "extension": b"\x80\x02\x82\x01.",
    }


@pytest.mark.parametrize("name", list(_hostile(Path("x"))))
def test_nothing_that_a_hostile_pickle_names_is_run(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "executed"
    with pytest.raises(InvalidInputError, match=r"evil\.pkl is refused"):
        loads(_hostile(mark)[name], {**ARRAYS, "a.B": Inert}, source="evil.pkl")
    assert not mark.exists()


_ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(tR(K\x01"
FORGED = {
    "flags of an object type": _ARRAY
    + b"(K\x04tcnumpy\ndtype\n(VO8\ntR(K\x03V|\nNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C "
    + b"A" * 32
    + b"tb.",
    "shape beyond the data": _ARRAY + b"(J\xff\xff\xff\x7ftcnumpy\ndtype\n(Vf8\ntR\x89C\x01Atb.",
    "structured type": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(VV8\ntRC\x08AAAAAAAAtR.",
    "state on a class": b"cnumpy\ndtype\n(N}Vnumpy\nK\x01stb.",
    "huge length": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.",
    "cut short": pickle.dumps(np.arange(100))[:-20],
    "empty": b"",
    "no stop": b"\x80\x04]",
    "stack underflow": b"\x80\x04R.",
    "deep": b"]" * 5000 + b"a" * 4999 + b".",
}


@pytest.mark.parametrize("name", FORGED)
def test_forged_content_is_refused_before_it_can_crash(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"evil\.pkl"):
        loads(FORGED[name], ARRAYS, source="evil.pkl")


def test_a_huge_memo_index_allocates_nothing() -> None:
    assert loads(b"\x80\x02]r\xff\xff\xff\xff.", ARRAYS, source="test") == []


def test_what_is_written_once_may_be_seen_twice() -> None:
    array, name = np.arange(3.0), "name"
    found = loads(pickle.dumps([{name: array}, {name: array}]), ARRAYS, source="test")
    assert found[0][name] is found[1][name]


@pytest.mark.parametrize("kind", [list, tuple])
def test_what_would_be_huge_without_sharing_is_refused(kind: type) -> None:
    value = kind()
    for _ in range(pickles.MAX_DEPTH - 2):
        value = kind([value, value])
    with pytest.raises(InvalidInputError, match="over and over"):
        loads(pickle.dumps(value), ARRAYS, source="test")


def test_inert_classes_keep_their_state_for_reading() -> None:
    content = pickle.dumps(_Holder())
    name = f"{_Holder.__module__}._Holder"
    found = loads(content, {**ARRAYS, name: Inert}, source="test")
    assert type(found) is Inert
    assert found.state["mean"].tolist() == [0.0, 1.0]


class _Holder:
    def __init__(self) -> None:
        self.mean = np.arange(2.0)


@settings(max_examples=300)
@given(st.data())
def test_damaged_bytes_never_do_more_than_be_refused(data: st.DataObject) -> None:
    content = bytearray(pickle.dumps({"a": np.arange(5.0), "b": [np.float64(1.5), {"c": (1, 2)}]}, 4))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        loads(bytes(content), ARRAYS, source="test")
    except InvalidInputError as error:
        message = error.message
    else:
        return
    assert "\n" not in message
