"""Hostile and damaged files on the command line: one message that names the file, exit code 4, nothing is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile_files import CASES, Case
from sound_files import write_sound

EVAL = ("expert", "eval", "expert", "--n-eval-episodes", 1)
EXPORT = ("--to", "safetensors", "-o", "out.safetensors")
ROLLOUT = ("rollout", "expert", "-o", "out")
DISTILLED = ("distill", "eval", "policy.ckpt", "--snippets", "demo_squat")
D4RL = ("export", "dataset", "--to", "d4rl", "-o", "out.hdf5")
SAMPLE: dict[str, tuple[object, ...]] = {
    "statistics: reduced_4 os.system": EVAL,
    "statistics: by_setstate os.system": ("export", "expert", *EXPORT),
    "statistics: laughs in a dictionary": EVAL,
    "weights: new_ex os.system": ROLLOUT,
    "weights: instance os.system": EVAL,
    "attribute: made os.system": EVAL,
    "attribute: framed os.system": ("inspect", "expert/eval_rsi/model/best_model.zip"),
    "expert: a bomb that plays small": EVAL,
    "expert: a member ../../evil.py": ROLLOUT,
    "clip_info: deep lists": EVAL,
    "data: a number of 10,000 digits": EVAL,
    "checkpoint: reduced os.system": DISTILLED,
    "checkpoint: inside_containers os.system": ("export", "policy.ckpt", *EXPORT),
    "TorchScript": DISTILLED,
    "the format before 1.6, hostile": DISTILLED,
    "a tensor that repeats its numbers": ("export", "policy.ckpt", *EXPORT),
    "checkpoint: the first 50.0%": DISTILLED,
    "low level: remembered os.system": ("export", "task", *EXPORT),
    "metrics: as_a_key os.system": ("inspect", "dataset/dataset_metrics.npz"),
    "array: a shape of 2^60": ("inspect", "dataset/dataset_metrics.npz"),
    "safetensors: numbers beyond the end": ("export", "policy.safetensors", "--to", "onnx", "-o", "out.onnx"),
    "safetensors: a header of 9223372036854775808": ("inspect", "policy.safetensors"),
    "rollouts: an external link": D4RL,
    "rollouts: data in a device": D4RL,
    "rollouts: a claim of 240 TB": D4RL,
    "mocap: data of another file": ("clips", "show", "demo_reach", "--mocap", "clips.h5"),
    "mocap: an external link to a device": ("expert", "train", "demo_reach", "--mocap", "clips.h5"),
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("name", SAMPLE)
def test_one_message_names_the_file(mocapact, sound: Path, tmp_path: Path, name: str) -> None:
    case: Case = next(case for case in CASES if case.name == name)
    mark = tmp_path / "MARK"
    file = case.write(sound, tmp_path, mark)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    outcome = mocapact(*SAMPLE[name])
    assert outcome.code == 4, outcome.stderr
    assert outcome.stdout == ""
    assert file.name in outcome.stderr.replace("\n", "")
    assert "Traceback" not in outcome.stderr
    assert len(outcome.stderr) < 2000
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
