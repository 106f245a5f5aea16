from __future__ import annotations

import builtins
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.errors import InvalidInputError, MocapactError
from mocapact_cli.core.interop.checkpoint_file import PICKLE_LIMIT, is_torch_zip, read_checkpoint


@pytest.fixture
def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(5, 3), torch.nn.Linear(3, 2).half())


def test_tensors_come_out_with_names_shapes_and_types(network, tmp_path: Path) -> None:
    optimizer = torch.optim.Adam(network[0].parameters())
    network[0](torch.ones(5)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 3,
        "state_dict": network.state_dict(),
        "optimizer_states": [optimizer.state_dict()],
        "hyper_parameters": {"lr": 0.5, "layers": (64, 64), "mean": np.zeros((4, 2))},
    }
    torch.save(content, tmp_path / "last.ckpt")
    found = read_checkpoint(tmp_path / "last.ckpt")
    assert found.format == "PyTorch zip"
    state = network.state_dict()
    assert [tensor.name for tensor in found.tensors] == list(state)
    assert [tensor.shape for tensor in found.tensors] == [tuple(value.shape) for value in state.values()]
    assert [tensor.dtype for tensor in found.tensors] == ["float32", "float32", "float16", "float16"]
    assert sum(tensor.size for tensor in found.others if "exp_avg_sq" in tensor.name) == 18
    assert found.settings["epoch"] == 3
    assert found.settings["hyper_parameters"] == {"lr": 0.5, "layers": [64, 64], "mean": "array 4 x 2"}
    assert found.unusual == ()


def test_bare_tables_of_tensors_and_the_old_format(network, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "new.pth")
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    new, old = read_checkpoint(tmp_path / "new.pth"), read_checkpoint(tmp_path / "old.pth")
    assert new.tensors == old.tensors
    assert len(new.tensors) == 4
    assert old.format == "PyTorch before 1.6"
    assert is_torch_zip(tmp_path / "new.pth")
    assert not is_torch_zip(tmp_path / "old.pth")


class Evil:
    def __init__(self, function, *arguments) -> None:
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_hostile_pickles_are_described_and_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for number, evil in enumerate([Evil(os.system, f"touch {mark}"), Evil(builtins.open, str(mark), "w")]):
        file = tmp_path / f"{number}.pkl"
        file.write_bytes(pickle.dumps({"state_dict": OrderedDict(w=evil)}))
        found = read_checkpoint(file)
        assert found.unusual == (("posix.system",) if number == 0 else (f"{builtins.open.__module__}.open",))
    with zipfile.ZipFile(tmp_path / "evil.ckpt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps([Evil(eval, "1/0")]))
    assert "builtins.eval" in read_checkpoint(tmp_path / "evil.ckpt").unusual
    assert not mark.exists()


def test_programs_that_fold_back_on_themselves_stay_small(tmp_path: Path) -> None:
    nested: list[object] = ["x" * 50]
    for _ in range(60):
        nested = [nested, nested]
    cyclic: dict[str, object] = {"a": 1 << 900}
    cyclic["self"] = cyclic
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps({"hyper_parameters": nested, "cyclic": cyclic}))
    assert len(str(read_checkpoint(tmp_path / "bomb.pkl").settings)) < 1_000_000


@pytest.mark.parametrize("content", [{1 << 900: 2}, {"a": 1 << 9000}])
def test_numbers_that_no_checkpoint_has_are_refused(tmp_path: Path, content: dict[object, int]) -> None:
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InvalidInputError, match=r"bomb\.pkl is refused"):
        read_checkpoint(tmp_path / "bomb.pkl")


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\x80\x04.", b"\x80\x04(", b"\x80\x04\x8e" + (1 << 60).to_bytes(8, "little"), b"cos\nsyst"],
)
def test_damage_ends_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.ckpt").write_bytes(content)
    with pytest.raises(InvalidInputError) as refused:
        read_checkpoint(tmp_path / "bad.ckpt")
    assert str(tmp_path / "bad.ckpt") in refused.value.message
    assert "\n" not in refused.value.message


def test_absurd_pickles_inside_an_archive_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(PICKLE_LIMIT + 1))
    with pytest.raises(InvalidInputError, match="refused"):
        read_checkpoint(tmp_path / "bomb.ckpt")
    with zipfile.ZipFile(tmp_path / "other.ckpt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InvalidInputError, match="without a PyTorch checkpoint"):
        read_checkpoint(tmp_path / "other.ckpt")


@given(st.data())
def test_flipped_bytes_end_in_facts_or_in_one_error(tmp_path_factory, data) -> None:
    content = bytearray(pickle.dumps({"state_dict": {"w": np.zeros((3, 2))}, "lr": 0.1, "names": ["a", "b"]}))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "flipped.pkl"
    file.write_bytes(bytes(content))
    message = ""
    try:
        read_checkpoint(file)
    except MocapactError as error:
        message = error.message
    assert "\n" not in message


def test_the_published_checkpoints_hold_nothing_unusual(test_data: Path) -> None:
    files = sorted((test_data / "published").rglob("*.ckpt"))
    assert len(files) >= 8
    for file in files:
        found = read_checkpoint(file)
        assert {tensor.dtype for tensor in found.tensors} <= {"float32", "int64", "bool"}
        assert sum(tensor.size for tensor in found.tensors) * 4 <= file.stat().st_size
        assert found.unusual == (), file
        assert found.settings["pytorch-lightning_version"] == "1.6.4"
