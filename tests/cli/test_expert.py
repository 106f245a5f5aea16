from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

PROGRAM = Path(sys.executable).with_name("mocapact")
SETTINGS = """
num_envs = 8
steps_per_update = 64
batch_size = 32
n_epochs = 2
layers = [16]
eval_every = 128
n_rsi_episodes = 4
n_start_episodes = 2
"""
# Where it does not matter what a run begins with, imitating the PD controller would take longest of all.
FROM_NOTHING = 'warm_start = "none"\n'
REACH = "demo_reach-0-30"
FEW = ("--n-eval-episodes", 6, "--num-envs", 3, "--n-workers", 1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("settings") / "tiny.toml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture(scope="module")
def from_nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("settings") / "nothing.toml"
    file.write_text(SETTINGS + FROM_NOTHING)
    return file


@pytest.fixture(scope="module")
def trained(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What training by the installed program printed as JSON, and its messages."""
    folder: Path = tmp_path_factory.mktemp("trained")
    arguments = ["--total-timesteps", "256", "--config", str(settings), "--threads", "1", "--log-root", "experts"]
    command = [str(PROGRAM), "expert", "train", "demo_reach", "--max-steps", "30", *arguments, "--json"]
    environment = {**os.environ, "MOCAPACT_HOME": str(folder / "home")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "folder": folder, "stderr": done.stderr}


@pytest.fixture
def expert(trained: dict) -> Path:
    return trained["folder"] / trained["root"]


def test_training_says_where_the_expert_is_and_how_good(trained: dict) -> None:
    assert trained["snippet"] == REACH
    assert trained["root"] == f"experts/{REACH}/0"
    # With what the expert takes itself before both evaluations: a tenth, in eight environments equally many.
    assert trained["timesteps"] == 256 + 2 * 16
    assert trained["stopped_because"] == "all steps were taken"
    assert set(trained["best"]) == {"rsi_norm_return", "start_norm_return"}
    assert "normalized length" in trained["stderr"]


def test_the_run_folder_is_complete(expert: Path) -> None:
    found = {str(path.relative_to(expert)) for path in expert.rglob("*") if path.is_file()}
    assert {
        "config.json",
        "versions.json",
        "metrics.jsonl",
        "clip_info.json",
        "curve.png",
        "checkpoints/last.pt",
        "eval_rsi/evaluations.npz",
        "eval_rsi/model/best_model.zip",
        "eval_rsi/model/vecnormalize.pkl",
        "eval_start/model/best_model.zip",
    } <= found
    assert any("events.out.tfevents" in name for name in found)
    assert json.loads((expert / "config.json").read_text())["training"]["layers"] == [16]


def test_stock_stable_baselines_loads_the_trained_model(expert: Path) -> None:
    script = """
import sys
sys.modules["mocapact_cli"] = None
import numpy as np
from stable_baselines3 import PPO
model = PPO.load(sys.argv[1], device="cpu")
action, _ = model.predict(np.zeros((2, *model.observation_space.shape), np.float32), deterministic=True)
print(action.shape, model.num_timesteps, model.gamma)
"""
    command = [sys.executable, "-c", script, str(expert / "eval_rsi/model/best_model.zip")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(2, 56)")


def test_an_evaluation_is_a_document_and_a_file(mocapact, expert: Path, tmp_path: Path) -> None:
    outcome = mocapact("expert", "eval", expert, *FEW, "--save", "eval.npz", "--json")
    assert outcome.code == 0, outcome.stderr
    document = outcome.json
    assert document["episodes"] == 6
    assert document["seed"] == 0
    for name in ("norm_return", "norm_length", "return", "length"):
        assert set(document[name]) >= {"mean", "std"}
    assert set(document["mpjpe_mm"]) == {"global", "root_relative", "procrustes"}
    for name in ("velocity_error_m_s", "acceleration_error_m_s2", "end_effector_orientation_deg", "foot_skate_m_s"):
        assert set(document[name]) == {"mean", "std"}
    assert 0.0 <= document["early_termination_rate"] <= 1.0
    assert document["success_rate"] == pytest.approx(1.0 - document["early_termination_rate"])
    assert "baselines" not in document
    assert [row["snippet"] for row in document["snippets"]] == [REACH]
    assert document["versions"]["mujoco"]
    saved = np.load(tmp_path / "eval.npz")
    assert set(saved.files) == {"timesteps", "results", "ep_lengths", "results_norm", "ep_lengths_norm"}
    assert saved["results_norm"].mean() == pytest.approx(document["norm_return"]["mean"])


def test_an_evaluation_repeats_itself_and_knows_its_options(mocapact, expert: Path) -> None:
    one, many = (
        mocapact("expert", "eval", expert, "--n-eval-episodes", 6, "--num-envs", number, "--json").json
        for number in (1, 6)
    )
    assert one == many
    options = ("--always-init-at-clip-start", "--act-noise", 0, "--termination-error-threshold", 100)
    patient = mocapact("expert", "eval", expert, *FEW, *options, "--json").json
    assert patient["norm_length"] == {"mean": 1.0, "std": 0.0}
    assert patient["length"] == {"mean": 30.0, "std": 0.0}


def test_an_evaluation_is_a_table_or_one_number(mocapact, expert: Path) -> None:
    shown = mocapact("expert", "eval", expert, *FEW)
    assert shown.code == 0
    assert f"{REACH}: 6 episodes" in shown.stdout
    assert "Success rate" in shown.stdout
    assert "MPJPE, root-relative" in shown.stdout
    quiet = mocapact("expert", "eval", expert, *FEW, "--quiet")
    assert 0.0 < float(quiet.stdout) < 1.5
    assert quiet.stderr == ""


def test_baselines_stand_in_columns_of_their_own(mocapact, expert: Path) -> None:
    names = ("--baseline", "pd", "--baseline", "zero")
    document = mocapact("expert", "eval", expert, *FEW, *names, "--json").json
    assert list(document["baselines"]) == ["pd", "zero"]
    assert set(document["baselines"]["pd"]) == set(document) - {"baselines", "versions", "seed"}
    shown = mocapact("expert", "eval", expert, *FEW, *names).stdout
    (heading,) = (line for line in shown.splitlines() if "Measure" in line)
    assert heading.split() == ["Measure", "Unit", "Expert", "pd", "zero", "Reference"]
    (length,) = (line for line in shown.splitlines() if line.strip().startswith("Length"))
    assert f"{document['baselines']['zero']['length']['mean']:.3g}" in length.split()


def test_a_plot_is_drawn_on_request(mocapact, expert: Path, tmp_path: Path) -> None:
    outcome = mocapact("expert", "eval", expert, *FEW, "--plot", "eval.png", "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["plot"] == "eval.png"
    assert 10_000 < (tmp_path / "eval.png").stat().st_size < 300_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--baseline", "pid"), "Did you mean pd?"),
        (("--plot", "eval.mp4"), ".png"),
        (("--plot", "eval.png", "--n-eval-episodes", 0, "--video", "a.png"), "--n-eval-episodes"),
    ],
)
def test_what_cannot_be_compared_or_drawn_is_one_line(mocapact, expert: Path, options, says: str) -> None:
    outcome = mocapact("expert", "eval", expert, *options)
    assert outcome.code == 2, outcome.stderr
    assert says in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) <= 2


def test_a_film_shows_the_walker_and_its_ghost(mocapact, expert: Path, opengl: str, tmp_path: Path) -> None:
    from PIL import Image

    outcome = mocapact(
        "expert", "eval", expert, "--n-eval-episodes", 0, "--video", "film.png", "--json", MUJOCO_GL=opengl
    )
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["video"] == "film.png"
    pixels = np.asarray(Image.open(tmp_path / "film.png").convert("RGB"), dtype=float)
    assert min(pixels.shape[:2]) >= 100
    assert pixels.std() > 10.0


def test_without_opengl_the_numbers_come_out_all_the_same(mocapact, expert: Path, tmp_path: Path) -> None:
    outcome = mocapact("expert", "eval", expert, *FEW, "--video", "new/film.mp4", "--json", MUJOCO_GL="disable")
    assert outcome.code == 1
    assert not (tmp_path / "new").exists()
    assert outcome.json["episodes"] == 6
    assert "video" not in outcome.json
    assert "There is no film" in outcome.stderr
    assert "libegl1" in outcome.stderr or "MUJOCO_GL" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("train", "demo_squad"), 3, "demo_squat"),
        (("train", "demo_reach-0-9999"), 4, "demo_reach"),
        (("train", "demo_reach", "--start-step", 9999), 4, "--start-step"),
        (("train", "demo_reach", "--preset", "papr"), 2, "paper"),
        (("train", "demo_reach", "--preset", "fsat"), 2, "Did you mean fast?"),
        (("train", "demo_reach", "--config", "typo.toml"), 2, "Did you mean learning_rate"),
        (("train", "demo_reach", "--warm-start", "lqr"), 3, "pd, none or the folder of an expert"),
        (("train", "demo_reach", "--config", "cuda.toml"), 2, "'cuda:99' is not available"),
        (("report", "nowhere"), 3, "nowhere does not exist"),
        (("report", "."), 3, "no expert"),
        (("train", "demo_reach", "--config", "bad.toml"), 2, "n_epochs"),
        (("train", "demo_reach", "--config", "missing.toml"), 3, "missing.toml"),
        (("train", "demo_reach", "--num-envs", 100), 2, "multiple"),
        (("train", "demo_reach", "--resume"), 3, "no run to resume"),
        (("train", "demo_reach", "--mocap", "missing.h5"), 3, "missing.h5"),
        (("eval", "nowhere"), 3, "nowhere"),
        (("eval", ".", "--n-eval-episodes", 0), 2, "--video"),
    ],
)
def test_bad_requests_end_in_one_line_and_their_code(mocapact, tmp_path: Path, arguments, code: int, says: str) -> None:
    (tmp_path / "bad.toml").write_text("n_epoch = 3\n")
    (tmp_path / "typo.toml").write_text("learning_rat = 1\n")
    (tmp_path / "cuda.toml").write_text('device = "cuda:99"\n')
    outcome = mocapact("expert", *arguments)
    assert outcome.code == code, outcome.stderr
    assert says in outcome.stderr
    assert len(outcome.stderr.strip().splitlines()) <= 2
    assert not (tmp_path / "home").exists()


def test_an_existing_run_is_only_resumed_or_replaced_when_asked(mocapact, settings: Path, expert: Path) -> None:
    command = ("expert", "train", REACH, "--config", settings, "--log-root", expert.parents[1], "--threads", 1)
    refused = mocapact(*command)
    assert refused.code == 2
    assert "--resume" in refused.stderr
    assert "--force" in refused.stderr
    resumed = mocapact(*command, "--resume", "--json")
    assert resumed.code == 0, resumed.stderr
    # Without a new limit the run's own holds, and that one is reached.
    assert resumed.json["timesteps"] == 256 + 2 * 16


def start_long_run(settings: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Begin a run without end and wait for its first checkpoint."""
    command = [str(PROGRAM), "expert", "train", REACH, "--config", str(settings), "--log-root", "experts", *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 100
    metrics = folder / "experts" / REACH / "0/metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("rsi_norm_return") >= 2):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def curve(root: Path) -> list[dict]:
    """The metrics but for the seconds."""
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_killed_run_goes_on_as_if_nothing_had_happened(mocapact, from_nothing: Path, tmp_path: Path) -> None:
    process = start_long_run(from_nothing, tmp_path, "--threads", "1")
    process.kill()
    process.communicate()
    root = tmp_path / "experts" / REACH / "0"
    before = max(row["timesteps"] for row in curve(root))
    end = ("--threads", 1, "--config", from_nothing, "--total-timesteps", 128 * (before // 128 + 2))
    outcome = mocapact("expert", "train", REACH, "--log-root", "experts", "--resume", *end, "--json")
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["timesteps"] > before
    assert mocapact("expert", "train", REACH, "--log-root", "whole", *end).code == 0
    assert curve(root) == curve(tmp_path / "whole" / REACH / "0")
    assert list(np.load(root / "eval_rsi/evaluations.npz")["timesteps"]) == [
        row["timesteps"] for row in curve(root) if "rsi_norm_return" in row
    ]


def test_a_learner_that_diverges_ends_in_one_line_and_keeps_what_was_good(mocapact, tmp_path: Path) -> None:
    import torch

    absurd = 'learning_rate = 1e30\ndesired_kl = "none"\nwarm_start = "none"\n'
    (tmp_path / "absurd.toml").write_text(SETTINGS + absurd)
    command = ("expert", "train", REACH, "--config", "absurd.toml", "--log-root", "experts", "--threads", 1, "--quiet")
    outcome = mocapact(*command)
    assert outcome.code == 1
    root = Path("experts", REACH, "0")
    (message, hint) = outcome.stderr.strip().splitlines()
    assert message.endswith(f"diverged after 64 steps; the best model so far is kept in {root}.")
    assert "learning_rate" in hint
    saved = torch.load(tmp_path / root / "checkpoints/last.pt", weights_only=True)
    assert saved["progression"]["timesteps"] == 0
    assert all(bool(values.isfinite().all()) for values in saved["policy"].values())
    assert mocapact("expert", "eval", root, *FEW).code == 0


def test_an_option_wins_over_the_file_and_the_file_over_the_default(mocapact, settings: Path, tmp_path: Path) -> None:
    (tmp_path / "device.toml").write_text(settings.read_text() + 'device = "cuda:99"\nwarm_start = "none"\n')
    command = ("expert", "train", REACH, "--config", "device.toml", "--total-timesteps", 1, "--threads", 1)
    assert mocapact(*command).code == 2
    outcome = mocapact(*command, "--device", "cpu", "--json")
    assert outcome.code == 0, outcome.stderr
    recorded = json.loads((Path(outcome.json["root"]) / "config.json").read_text())
    assert recorded["training"]["device"] == "cpu"


def test_training_goes_on_from_another_experts_snippet(mocapact, expert: Path, tmp_path: Path) -> None:
    few = ("--total-timesteps", 128, "--num-envs", 8, "--threads", 1, "--log-root", "experts")
    (tmp_path / "sizes.toml").write_text(SETTINGS.replace("layers = [16]", "layers = [256, 256]"))
    command = ("expert", "train", "demo_squat-0-40", "--warm-start", expert, *few)
    refused = mocapact(*command, "--config", "sizes.toml")
    assert refused.code == 2
    assert "layers (256, 256) here, (16) there" in refused.stderr
    (tmp_path / "sizes.toml").write_text(SETTINGS.replace("layers = [16]\n", ""))
    outcome = mocapact(*command, "--config", "sizes.toml", "--json")
    assert outcome.code == 0, outcome.stderr
    assert f"Goes on from {expert}, which tracks {REACH}." in outcome.stderr
    recorded = json.loads((Path(tmp_path, outcome.json["root"]) / "config.json").read_text())["training"]
    assert (recorded["layers"], recorded["warm_start"]) == ([16], str(expert))


def test_a_report_is_one_table_and_one_picture(mocapact, expert: Path, mocapact_home: Path, tmp_path: Path) -> None:
    from PIL import Image

    damaged = tmp_path / "damaged"
    shutil.copytree(expert, damaged)
    (damaged / "clip_info.json").write_text("{")
    shown = mocapact("expert", "report", expert, damaged, "--norm-length", 0)
    assert shown.code == 0, shown.stderr
    assert "2 experts, 1 of them failing" in shown.stdout
    assert REACH in shown.stdout
    assert "clip_info.json is not JSON" in shown.stdout
    assert str(mocapact_home / "runs/experts-report.png") in shown.stdout
    document = mocapact("expert", "report", expert, "--norm-length", 0, "-o", "all.png", "--json").json
    assert (document["count"], document["failing"], document["picture"]) == (1, [], "all.png")
    (card,) = document["experts"]
    assert card["norm_return"] == document["norm_return"]["mean"]
    assert card["seconds"] > 0
    with Image.open(tmp_path / "all.png") as picture:
        assert picture.size == (1560, 540)


def test_ctrl_c_saves_and_names_the_command_that_continues(mocapact, from_nothing: Path, tmp_path: Path) -> None:
    process = start_long_run(from_nothing, tmp_path)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    text = " ".join(stderr.split())
    assert f"mocapact expert train {REACH} --config {from_nothing} --log-root experts --resume" in text
    assert "Traceback" not in stderr
    assert mocapact("expert", "eval", f"experts/{REACH}", *FEW).code == 0


def test_time_ends_a_run(mocapact, from_nothing: Path) -> None:
    outcome = mocapact(
        "expert", "train", REACH, "--config", from_nothing, "--max-minutes", 0.01, "--log-root", "experts", "--json"
    )
    assert outcome.code == 0, outcome.stderr
    assert outcome.json["stopped_because"] == "0.01 minutes were over"
    assert Path(outcome.json["model"]).name == "model"


def test_a_full_disk_is_one_line_and_the_checkpoint_stays(mocapact, from_nothing: Path, small_disk) -> None:
    disk = small_disk(600)
    (disk / "something else").write_bytes(bytes(100_000))
    log_root = disk / "experts"
    command = ("expert", "train", REACH, "--config", from_nothing, "--log-root", log_root, "--total-timesteps", 100_000)
    outcome = mocapact(*command, "--quiet")
    assert outcome.code == 1
    (message, hint) = outcome.stderr.strip().splitlines()
    assert message.startswith(f"Error: The disk is full: {log_root}")
    assert "finished files are intact" in hint
    root = log_root / REACH / "0"
    assert not list(root.rglob(".*"))
    assert mocapact("expert", "eval", root, *FEW).code == 0
    (disk / "something else").unlink()
    enough = ("--total-timesteps", 1, "--json")
    assert mocapact("expert", "train", REACH, "--log-root", log_root, "--resume", *enough).code == 0
