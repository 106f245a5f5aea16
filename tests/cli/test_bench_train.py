from __future__ import annotations

import json

import pytest

from mocapact_cli.cli.main import invoke
from mocapact_cli.core.bench import train

PARTS = ("steps_per_s", "collected_per_s", "learned_per_s")
OURS = {f"{side}{part}": 1000.0 for side in ("", "fast_") for part in PARTS}
ORIGINAL = {f"original_{part}": 50.0 for part in PARTS} | {"over_original": 20.0, "fast_over_original": 21.5}
NO_ORIGINAL = dict.fromkeys(ORIGINAL)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, fresh_out):
    """Say what the benchmark finds, on a terminal where a row is one line."""
    monkeypatch.setenv("COLUMNS", "120")

    def find(values: dict, problem: str | None) -> None:
        document = OURS | values | {"original_problem": problem}
        monkeypatch.setattr(train, "measure_expert_training", lambda threads, progress: document)

    return find


def test_the_report_sets_the_sides_beside_each_other(measured, capsys) -> None:
    measured(ORIGINAL, None)
    assert invoke(["bench", "train"]) == 0
    shown = capsys.readouterr().out
    assert "The original, on dm_control" in shown
    assert "21.5" in shown


def test_without_dm_control_the_rest_is_shown_with_a_warning(measured, capsys) -> None:
    measured(NO_ORIGINAL, "dm_control's environment cannot run here.")
    assert invoke(["bench", "train", "--json"]) == 0
    streams = capsys.readouterr()
    assert json.loads(streams.out)["over_original"] is None
    assert "cannot run here" in streams.err
    assert invoke(["bench", "train"]) == 0
    assert "Ours, preset fast" in capsys.readouterr().out


def test_an_unknown_stage_names_the_nearest(capsys, fresh_out) -> None:
    assert invoke(["bench", "train", "--stage", "exprt"]) == 2
    assert "Did you mean expert?" in capsys.readouterr().err
