from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

FEW = ("--n-start-rollouts", 1, "--n-rsi-rollouts", 2, "--min-steps", 10, "--num-envs", 3)


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("experts") / "demo_reach-0-40"
    policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16,))
    write_model(root / RSI_MODEL, policy)
    write_clip_info(root, Snippet("demo_reach", 0, 40), TIME_INDEX)
    return root


def test_experts_become_a_dataset_that_inspect_knows(mocapact, expert: Path) -> None:
    outcome = mocapact("rollout", expert, "-o", "dataset", *FEW, "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["recorded"] == ["demo_reach"]
    assert outcome.json["episodes"] == 3
    found = mocapact("inspect", "dataset", "--check", "--json").json
    assert (found["kind"], found["episodes"], found["columns"]) == ("dataset", 3, 2868)
    again = mocapact("rollout", expert, "-o", "dataset", *FEW, "--resume", "--json")
    assert again.json["skipped"] == ["demo_reach"]


def test_a_folder_with_content_is_refused(mocapact, expert: Path, tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/notes.txt").touch()
    outcome = mocapact("rollout", expert, "-o", "dataset", *FEW)
    assert outcome.code == 2
    assert "--resume" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("missing", "-o", "x"), 3, "missing"),
        ((".", "-o", "x"), 3, "no expert"),
        (("EXPERT", "-o", "x", "--ref-steps", "a"), 2, "--ref-steps"),
        (("EXPERT", "-o", "x", "--n-start-rollouts", 0, "--n-rsi-rollouts", 0), 2, "At least one"),
        (("EXPERT", "-o", "x", "--min-steps", 300), 4, "too short"),
        (("EXPERT", "-o", "x", "--mocap", "missing.h5"), 3, "missing.h5"),
    ],
)
def test_bad_requests_end_in_one_line_and_their_code(
    mocapact, expert: Path, arguments, code: int, message: str
) -> None:
    outcome = mocapact("rollout", *[expert if argument == "EXPERT" else argument for argument in arguments])
    assert outcome.code == code, outcome.stderr
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_hostile_expert_is_refused(mocapact, expert: Path, tmp_path: Path) -> None:
    shutil.copytree(expert, tmp_path / "evil")
    (tmp_path / "evil" / RSI_MODEL / "best_model.zip").write_bytes(b"PK evil")
    outcome = mocapact("rollout", "evil", "-o", "x", *FEW)
    assert outcome.code == 4
    assert "best_model.zip" in outcome.stderr


def test_many_roots_become_one_dataset(mocapact, expert: Path, tmp_path: Path) -> None:
    shutil.copytree(expert, tmp_path / "more/deep/demo_walk-0-40")
    write_clip_info(tmp_path / "more/deep/demo_walk-0-40", Snippet("demo_walk", 0, 40), TIME_INDEX)
    outcome = mocapact(
        "rollout", expert, "more", "-o", "dataset", *FEW, "--act-noise", 0, "--ref-steps", "2,1", "--json"
    )
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["recorded"] == ["demo_reach", "demo_walk"]
    found = mocapact("inspect", "dataset", "--check", "--json").json
    assert (found["episodes"], found["snippets"] if isinstance(found["snippets"], int) else len(found["snippets"])) == (
        6,
        2,
    )


def test_cameras_are_recorded_on_request(mocapact, opengl: str, expert: Path, tmp_path: Path) -> None:
    few = ("--n-start-rollouts", 1, "--n-rsi-rollouts", 0, "--min-steps", 30, "--log-cameras")
    outcome = mocapact("rollout", expert, "-o", "dataset", *few, MUJOCO_GL=opengl)
    assert outcome.code == 0, outcome.stderr
    with h5py.File(tmp_path / "dataset/demo_reach.hdf5") as file:
        episode = file["demo_reach-0-40/0"]
        shapes = {name: camera.shape for name, camera in episode["observations/walker"].items()}
        steps = len(episode["actions"])
    assert shapes == dict.fromkeys(("body_camera", "egocentric_camera"), (steps + 1, 64, 64, 3))
    # The images decide the data, so the recording cannot be continued without them.
    assert mocapact("rollout", expert, "-o", "dataset", *few[:-1], "--resume").code == 2


def test_cameras_without_opengl_end_in_one_line(mocapact, expert: Path, tmp_path: Path) -> None:
    outcome = mocapact("rollout", expert, "-o", "dataset", *FEW, "--log-cameras", MUJOCO_GL="disable")
    assert outcome.code == 1
    assert "MUJOCO_GL" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (tmp_path / "dataset").exists()


def test_an_expert_of_an_unknown_clip_is_named_at_once(mocapact, expert: Path, tmp_path: Path) -> None:
    shutil.copytree(expert, tmp_path / "lost")
    write_clip_info(tmp_path / "lost", Snippet("CMU_016_22", 0, 82), TIME_INDEX)
    outcome = mocapact("rollout", expert, "lost", "-o", "dataset", *FEW)
    assert outcome.code == 3
    assert "CMU_016_22" in outcome.stderr
    assert not (tmp_path / "dataset").exists()


PROGRAM = Path(sys.executable).with_name("mocapact")
MANY = ("--n-start-rollouts", "300", "--n-rsi-rollouts", "0", "--num-envs", "4", "--threads", "1")


def test_an_interrupt_keeps_what_is_complete_and_says_how_to_go_on(expert: Path, tmp_path: Path) -> None:
    command = [str(PROGRAM), "rollout", str(expert), "-o", "dataset", *MANY]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("dataset/.*.partial")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert f"mocapact rollout {expert} -o dataset {' '.join(MANY)} --resume" in " ".join(stderr.split())
    assert list((tmp_path / "dataset").iterdir()) == []


def _small_files_only() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))


def test_a_disk_that_takes_no_more_ends_in_one_line(expert: Path, tmp_path: Path) -> None:
    command = [str(PROGRAM), "rollout", str(expert), "-o", "dataset", *MANY]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, preexec_fn=_small_files_only, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "could not be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "dataset").iterdir()) == []
