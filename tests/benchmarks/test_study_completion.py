"""The study of completion uses what is finished again and says what came of it."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("study_completion.py")


def scores(median, survival):
    return {"seconds_after_prompt": {"median": median}, "distance_m": {"median": 3.21}, "survival": survival}


def result(clip, start, median):
    return scores(median, [[0.0, 1.0], [1.5, 0.5], [6.0, 0.5]]) | {
        "episodes": 1,
        "prompt_length": 16,
        "max_steps": 200,
        "prompt": {"snippet": f"{clip}-0-84"},
        "completions": [{"start_step": start}],
        "baselines": {"last-action": scores(0.8, [[0.0, 1.0], [0.9, 0.0], [6.0, 0.0]])},
    }


def test_the_table_has_medians_by_clip_and_shares_of_all():
    study = runpy.run_path(str(SCRIPT))
    results = {"CMU_001_01": result("CMU_001_01", 0, 2.5), "CMU_001_02": result("CMU_001_02", 18, 1.0)}
    lines = study["table"](results).splitlines()
    assert "| CMU_001_01 | 2.04 | 2.50 | 0.80 | 3.2 |" in lines
    assert "| CMU_001_02 | 1.50 | 1.00 | 0.80 | 3.2 |" in lines
    assert "| GPT | 100 % | 100 % | 50 % | 50 % | 50 % |" in lines
    assert lines[-1] == "| the prompt's last action, repeated | 100 % | 0 % | 0 % | 0 % | 0 % |"


def test_finished_parts_are_used_again(tmp_path, mocapact_home, monkeypatch, capsys):
    for part in ("clips", "experts", "dataset-9"):
        (tmp_path / "study" / part).mkdir(parents=True)
    (tmp_path / "study/clips/01_01.h5").touch()
    run = mocapact_home / "runs/study_completion/gpt-3"
    (run / "16-100").mkdir(parents=True)
    (run / "result.json").write_text(json.dumps({"policy": "gpt"}))
    (run / "16-100/CMU_001_01.json").write_text(json.dumps(result("CMU_001_01", 0, 2.5)))
    study = runpy.run_path(str(SCRIPT))
    called = []
    study["main"].__globals__["mocapact"] = lambda arguments: called.append([str(word) for word in arguments])
    options = ["--study", tmp_path / "study", "--minutes", 3, "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", [str(part) for part in (SCRIPT, *options)])
    study["main"]()
    assert "CMU_001_01" in capsys.readouterr().out
    assert (tmp_path / "out/completion.png").stat().st_size > 10_000
    # Only the film is made anew.
    assert len(called) == 1
    assert "--video" in called[0]


@pytest.mark.parametrize("there", [(), ("clips", "experts")])
def test_what_is_missing_is_named(tmp_path, there):
    for part in there:
        (tmp_path / part).mkdir()
    done = subprocess.run([sys.executable, SCRIPT, "--study", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "run study_distillation.py first" in done.stderr
