from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.exporters.targets import POLICY, ROLLOUTS, check_fit, check_target, kinds_of


@pytest.mark.parametrize(("name", "hint"), [("safetensor", "Did you mean safetensors"), ("csv", "minari")])
def test_an_unknown_target_is_named_with_what_there_is(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        check_target(name)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("run/model/last.ckpt", POLICY),
        ("run/model.safetensors", POLICY),
        ("walk-0-30/0/eval_rsi/model/best_model.zip", POLICY),
        ("data/a.hdf5", ROLLOUTS),
    ],
)
def test_folders_are_known_by_their_files(tmp_path: Path, place: str, kind: str) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).touch()
    assert kinds_of(tmp_path / Path(place).parts[0]) == [kind]
    assert kinds_of((tmp_path / place).parent) == [kind]


def test_rollouts_and_motion_capture_are_told_apart(record, tmp_path: Path) -> None:
    write_clips(tmp_path / "mocap.h5", [demo("demo_reach")])
    assert kinds_of(record() / "a.hdf5") == [ROLLOUTS]
    assert kinds_of(tmp_path / "mocap.h5") == ["motion capture"]
    (tmp_path / "cut.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InvalidInputError, match=r"cut\.hdf5"):
        kinds_of(tmp_path / "cut.hdf5")


@pytest.mark.parametrize(
    ("name", "to", "message", "hint"),
    [
        (
            "a.ckpt",
            "minari",
            "a policy, which cannot be exported to minari",
            "A policy can become safetensors or onnx.",
        ),
        ("data", "onnx", "rollouts, which cannot be exported to onnx", "Rollouts can become rollouts, minari, d4rl"),
        ("a.onnx", "safetensors", "a policy in ONNX", ".ckpt"),
        ("best_model.zip", "onnx", "a part of an expert", "an expert"),
    ],
)
def test_what_does_not_fit_is_said_with_what_does(tmp_path: Path, name: str, to: str, message: str, hint: str) -> None:
    (tmp_path / "data").mkdir()
    for file in ("a.ckpt", "a.onnx", "best_model.zip", "data/a.hdf5"):
        (tmp_path / file).touch()
    with pytest.raises(UsageError, match=message) as caught:
        check_fit(tmp_path / name, to)
    assert hint in caught.value.hint


@pytest.mark.parametrize(("to", "message"), [("onnx", "no policy"), ("d4rl", "no rollout files")])
def test_nothing_to_export_is_said_so(tmp_path: Path, to: str, message: str) -> None:
    (tmp_path / "notes.txt").touch()
    for place in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(NotFoundError, match=message):
            check_fit(place, to)
    with pytest.raises(NotFoundError, match="does not exist"):
        check_fit(tmp_path / "missing", to)
