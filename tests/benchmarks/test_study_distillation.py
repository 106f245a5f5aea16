"""The study of distillation runs end to end, uses what is finished again and says what came of it."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("study_distillation.py")


def scores(length, value):
    return {"norm_length": {"mean": length}, "norm_return": {"mean": value}}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_study_reuses_what_is_finished(tmp_path, mocapact_home, test_data):
    study = runpy.run_path(str(SCRIPT))
    study["main"].__globals__["ENOUGH"] = 0.0
    settings = study["POLICY"].replace("256", "32").replace("n_eval_episodes = 200", "n_eval_episodes = 8")
    # Experts of so few steps fall long before the 30 steps of a window.
    settings += "seq_steps = 10\n"
    study["main"].__globals__.update(POLICY=settings, EPISODES=8)
    options = ["--recordings", test_data / "mocap" / "cmu", "--clips", "09_01", "09_03", "--expert-steps", 4096]
    options += ["--rollouts", 5, "--steps", 40, "--out", tmp_path / "study", "bc"]
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [str(part) for part in (SCRIPT, *options)])
            study["main"]()
    text = (tmp_path / "study" / "distillation.md").read_text()
    # What the expert does itself is a tenth of the steps between two evaluations, and comes on top.
    assert "| CMU_009_03-0-32 | 14,208 |" in text
    assert "| BC | 40 |" in text
    assert (tmp_path / "study" / "distillation.png").stat().st_size < 300_000
    assert len(list(mocapact_home.rglob("best_model.zip"))) == 4


def test_the_table_compares_means_over_snippets():
    expert = {"snippet": "A-0-9", "timesteps": 5, "seconds": 2.0, "noisy": scores(0.9, 0.4), "clean": scores(1.0, 0.5)}
    rows = [{"snippet": "A-0-9", **scores(0.8, 0.3)}, {"snippet": "B-0-9", **scores(1.0, 0.6)}]
    result = {"weighting": "rwr", "steps": 7, "seconds": 3.0, "noisy": {"snippets": rows}, "clean": {"snippets": rows}}
    lines = runpy.run_path(str(SCRIPT))["table"]([expert], [result]).splitlines()
    assert lines[-1] == "| RWR | 7 | 3 | 0.900 | 0.900 | 0.450 | 0.900 |"


@pytest.mark.parametrize(
    ("options", "said"), [(["bd"], "no weighting is called bd"), (["--clips", "99_99"], "has no recording 99_99")]
)
def test_bad_options_are_named(options, said, tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--recordings", tmp_path, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
