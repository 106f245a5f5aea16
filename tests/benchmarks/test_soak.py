"""The soak finds nothing wrong in rounds that are sound, and sees what is not."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("soak.py")
SOAK = runpy.run_path(str(SCRIPT), run_name="soak")
MIB = SOAK["MEBIBYTE"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_soak_ends_sound_and_goes_on_where_it_was(tmp_path, mocapact_home):
    command = [sys.executable, str(SCRIPT), "--minutes", "0.01", "--folder", str(tmp_path), "--threads", "1"]
    # Three laps are all warm-up: their memory says nothing.
    command += ["--growth", "9"]
    first = subprocess.run(command, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "| quickstart | 1 |" in first.stdout
    assert "| 1 rounds, 3 laps |" in first.stdout
    assert not list(tmp_path.glob("round-*"))
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.stdout == first.stdout


def rounds(peaks, faults=()):
    return [SOAK["Round"](n, {"rollout": 1}, {"rollout": 2.0}, {"rollout": MIB * peak}) for n, peak in enumerate(peaks)]


def laps(sizes, files=9):
    return [SOAK["Lap"](MIB * size, files, 4) for size in sizes]


def test_memory_that_grows_is_unsound():
    options = SOAK["parsed"]([])
    flat = rounds([400, 410, 390, 405, 400, 410])
    assert SOAK["verdict"](flat, laps([100, *[500] * 11]), options) == []
    growing = SOAK["verdict"](rounds([400, 400, 420, 430, 450, 450]), laps(range(400, 700, 10)), options)
    assert [fault.split(",")[0] for fault in growing] == ["peak of a round", "long process"]


def test_a_fault_is_unsound_and_named_with_its_round():
    found = rounds([400, 400])
    found[1].faults.append("policy/model/last.ckpt is missing or empty")
    faults = SOAK["verdict"](found, laps([500] * 4), SOAK["parsed"]([]))
    assert faults == ["round 1: policy/model/last.ckpt is missing or empty"]


def test_what_is_left_or_there_twice_is_found(tmp_path):
    for name in (".last.pt.0a1b2c3d.pt", "model/.last.ckpt.0a1b2c3d.partial", "model/last.ckpt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert len(SOAK["leftovers"](tmp_path)) == 2
    rows = [{"step": 50, "loss": 1.0}, {"step": 100, "loss": 1.0}, {"step": 50, "loss": 2.0}, {"step": 50, "score": 1}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    assert SOAK["rows_twice"](tmp_path, "step") == []
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(SOAK["rows_twice"](tmp_path, "step")) == 2


def test_a_command_is_killed_with_its_memory_measured_and_the_rest_of_its_session_seen():
    shell = "import subprocess, time; child = subprocess.Popen(['sleep', '600']); x = bytearray(10**8); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", shell], start_new_session=True)
    with SOAK["sampled"](process.pid) as peaks:
        while max(peaks, default=0) < 10**8:
            pass
        assert len(dict(SOAK["memory_of"](process.pid))) == 2
        process.kill()
        process.wait()
    (orphan,) = dict(SOAK["memory_of"](process.pid))
    subprocess.run(["kill", str(orphan)], check=True)
    assert SOAK["gone"](process.pid)
