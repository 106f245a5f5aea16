from __future__ import annotations

import collections
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.safe.allow_list import CHECKPOINT
from mocapact_cli.core.safe.checkpoints import read_checkpoint
from mocapact_cli.core.safe.stand_ins import Inert

FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
INTEGERS = [torch.int64, torch.int32, torch.uint8, torch.bool]


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS, ids=str)
def test_tensors_come_out_as_they_went_in(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = (10 * torch.rand(4, 6)).to(dtype)
    tensors = {"whole": whole, "part": whole[1:3, ::2], "turned": whole.T, "number": whole[0, 0], "none": whole[:0]}
    torch.save({"table": collections.OrderedDict(tensors), "step": 3}, tmp_path / "a.ckpt")
    checkpoint = read_checkpoint(tmp_path / "a.ckpt")
    assert checkpoint.content["step"] == 3
    found = checkpoint.tensors("table")
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == dtype
        assert found[name].is_contiguous()
        assert torch.equal(found[name], value)


def test_states_of_modules_are_read(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2)
    torch.save({"a": module.state_dict()}, tmp_path / "a.ckpt")
    assert torch.equal(read_checkpoint(tmp_path / "a.ckpt").tensors("a")["weight"], module.weight)


def test_tensors_that_share_their_memory_cannot_make_a_small_file_large(tmp_path: Path) -> None:
    memory = torch.rand(100_000)
    torch.save({"tied": dict.fromkeys("ab", memory)}, tmp_path / "a.ckpt")
    assert torch.equal(read_checkpoint(tmp_path / "a.ckpt").tensors("tied")["b"], memory)
    torch.save({"many": {str(number): memory for number in range(100)}}, tmp_path / "b.ckpt")
    with pytest.raises(InvalidInputError, match=r"b\.ckpt holds the same numbers over and over"):
        read_checkpoint(tmp_path / "b.ckpt").tensors("many")


class _Runs:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


def test_nothing_in_a_hostile_checkpoint_is_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": _Runs(tmp_path / "mark")}, tmp_path / "evil.ckpt")
    with pytest.raises(InvalidInputError, match=r"evil\.ckpt is refused: it names posix\.system"):
        read_checkpoint(tmp_path / "evil.ckpt", {**CHECKPOINT, "a.B": Inert})
    assert not (tmp_path / "mark").exists()


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_checkpoint(tmp_path / "a.ckpt")


def _rewrite(source: Path, target: Path, change: dict[str, bytes], **options: Any) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            key = name.split("/", 1)[1]
            new.writestr(name, change.get(key, old.read(name)), **options)


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    torch.save({"t": {"x": torch.arange(4.0)}}, tmp_path / "a.ckpt")
    return tmp_path / "a.ckpt"


def _forged(size: tuple[Any, ...], stride: tuple[Any, ...], offset: Any = 0, pid: Any = None) -> bytes:
    """A pickle of `{"t": {"x": tensor}}` with the given claims."""
    given_pid = pid if pid is not None else ("storage", torch.FloatStorage, "0", "cpu", 4)

    class Claim:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (_Memory(), offset, size, stride, False, collections.OrderedDict())

    class _Memory:
        pass

    import io

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> Any:
            return given_pid if isinstance(obj, _Memory) else None

    file = io.BytesIO()
    Pickler(file, 2).dump({"t": {"x": Claim()}})
    return file.getvalue()


def test_the_forging_tool_itself_makes_sound_tensors(tmp_path: Path, sound: Path) -> None:
    _rewrite(sound, tmp_path / "b.ckpt", {"data.pkl": _forged((2, 2), (2, 1))})
    found = read_checkpoint(tmp_path / "b.ckpt").tensors("t")["x"]
    assert found.tolist() == [[0.0, 1.0], [2.0, 3.0]]


@pytest.mark.parametrize(
    "claim",
    [
        _forged((5,), (1,)),
        _forged((2, 2), (4, 1)),
        _forged((4,), (1,), offset=1),
        _forged((4,), (1,), offset=-1),
        _forged((-4,), (1,)),
        _forged((1 << 40,), (0,)),
        _forged((4,), (1, 1)),
        _forged(("4",), (1,)),
        _forged((4,), (1,), pid=("storage", torch.FloatStorage, "0", "cpu", 5)),
        _forged((4,), (1,), pid=("storage", torch.FloatStorage, "../0", "cpu", 4)),
        _forged((4,), (1,), pid=("storage", torch.FloatStorage, "7", "cpu", 4)),
        _forged((4,), (1,), pid=("storage", "eval", "0", "cpu", 4)),
        _forged((4,), (1,), pid="whatever"),
        pickle.dumps({"t": {"x": 3}}, 2),
        pickle.dumps({"t": {3: None}}, 2),
        pickle.dumps({"u": {}}, 2),
        pickle.dumps([1, 2], 2),
        b"garbage",
        b"",
    ],
)
def test_forged_tensors_are_refused(tmp_path: Path, sound: Path, claim: bytes) -> None:
    _rewrite(sound, tmp_path / "evil.ckpt", {"data.pkl": claim})
    with pytest.raises(InvalidInputError, match=r"evil\.ckpt") as caught:
        read_checkpoint(tmp_path / "evil.ckpt").tensors("t")
    assert "\n" not in caught.value.message


def test_compressed_members_are_refused_as_bombs(tmp_path: Path, sound: Path) -> None:
    _rewrite(sound, tmp_path / "evil.ckpt", {}, compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidInputError, match="compressed"):
        read_checkpoint(tmp_path / "evil.ckpt")


def test_another_byte_order_is_refused(tmp_path: Path, sound: Path) -> None:
    _rewrite(sound, tmp_path / "big.ckpt", {"byteorder": b"big"})
    with pytest.raises(InvalidInputError, match="byte order"):
        read_checkpoint(tmp_path / "big.ckpt")


@pytest.mark.parametrize("value", [b"\0\0\xff\0\0\0\0\0", b"\xff" * 8])
def test_a_table_of_contents_that_lies_nowhere_is_damage(tmp_path: Path, sound: Path, value: bytes) -> None:
    content = sound.read_bytes()
    place = content.rindex(b"PK\x06\x06") + 48
    (tmp_path / "evil.ckpt").write_bytes(content[:place] + value + content[place + 8 :])
    with pytest.raises(InvalidInputError, match=r"evil\.ckpt is damaged"):
        read_checkpoint(tmp_path / "evil.ckpt")


@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_never_do_more_than_be_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp()
    torch.save({"t": {"x": torch.arange(4.0)}, "n": [1, "a", {"b": None}]}, folder / "sound.ckpt")
    content = bytearray((folder / "sound.ckpt").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) // 2, 10]))]
    (folder / "evil.ckpt").write_bytes(content)
    try:
        read_checkpoint(folder / "evil.ckpt").tensors("t")
    except InvalidInputError as error:
        assert "\n" not in error.message  # noqa: PT017
