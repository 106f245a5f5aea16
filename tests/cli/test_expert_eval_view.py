from __future__ import annotations

import dataclasses
import math

from mocapact_cli.cli.expert_eval_view import GROUPS, evaluation_table
from mocapact_cli.core.envs.batch import EpisodeEnd
from mocapact_cli.core.evaluation.metrics import ScoredEpisode, summarize
from mocapact_cli.core.evaluation.motion import MotionScores

END = EpisodeEnd(0, 0, 3, 20, 12.0, 0.8, 0.5, early_termination=True, diverged=False)


def document(value: float) -> dict:
    scores = MotionScores(**{field.name: value for field in dataclasses.fields(MotionScores)})
    return summarize([ScoredEpisode(END, scores)])


def shown(table, capsys) -> list[str]:
    from rich.console import Console

    Console(width=160).print(table)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_every_measure_of_a_document_has_its_row(capsys) -> None:
    paths = {path.split(".")[0] for group in GROUPS.values() for _, path, _ in group}
    unlisted = {name for name in document(1.0) if name not in paths and not name.startswith("reference_")}
    # The number of episodes is in the title; a failure that is no success needs no second row.
    assert unlisted == {"episodes", "early_termination_rate", "diverged"}
    lines = shown(evaluation_table("a", document(0.25)), capsys)
    assert "MPJPE, Procrustes-aligned mm 0.25 ± 0" in lines
    assert "Contact as the reference % 25 ± 0" in lines
    assert "Success rate % 0" in lines
    assert "Joint jerk rad/s^3 0.25 ± 0 0.25" in lines


def test_baselines_show_their_means_and_dashes_for_what_is_not_known(capsys) -> None:
    lines = shown(evaluation_table("a", document(1.0) | {"baselines": {"pd": document(math.nan)}}), capsys)
    assert "Foot skate (lower is better) m/s 1 ± 0 - 1" in lines


def test_what_was_not_measured_has_no_row(capsys) -> None:
    lines = shown(evaluation_table("a", summarize([ScoredEpisode(END)])), capsys)
    assert any(line.startswith("Return") for line in lines)
    assert not any("MPJPE" in line or "Reference" in line or "Pose error" in line for line in lines)
