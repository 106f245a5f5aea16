from __future__ import annotations

import pytest

from mocapact_cli.cli.distill_eval_view import SHOWN, evaluation_parts
from mocapact_cli.core.envs.batch import EpisodeEnd
from mocapact_cli.core.evaluation.evaluate import Evaluation
from mocapact_cli.core.evaluation.many_snippets import SnippetsReport
from mocapact_cli.core.evaluation.metrics import ScoredEpisode


def lines(count: int, failing: int, capsys) -> list[str]:
    """What is shown of so many snippets, the last of which fail."""
    from rich.console import Console

    ends = [
        EpisodeEnd(0, index, 0, 20, 8.0, 1.0 if index < count - failing else 0.5, 0.4, index >= count - failing, False)
        for index in range(count)
    ]
    names = tuple(f"clip_{index:03d}-0-40" for index in range(count))
    report = SnippetsReport(Evaluation(tuple(map(ScoredEpisode, ends)), names, seed=0))
    for part in evaluation_parts({"policy": "p", **report.to_json()}, report):
        Console(width=120).print(part)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_few_snippets_are_all_shown(capsys) -> None:
    shown = lines(3, 1, capsys)
    assert shown[0] == "p: 3 episodes on 3 snippets"
    assert "Snippets, worst first; failing: 1 of 3" in shown
    assert [line.split()[0] for line in shown if line.startswith("clip_")] == [
        "clip_002-0-40", "clip_000-0-40", "clip_001-0-40", "clip_002-0-40"
    ]  # fmt: skip
    assert not any("more" in line for line in shown)


@pytest.mark.parametrize("failing", [0, 100])
def test_of_hundreds_a_few_are_shown_and_the_rest_is_counted(failing: int, capsys) -> None:
    shown = lines(800, failing, capsys)
    assert len(shown) < 60
    assert f"…and {800 - SHOWN} more; --json or --save has all." in shown
    assert (f"…and {100 - SHOWN} more; --json or --save has all." in shown) == bool(failing)
    assert ("Failing" in shown) == bool(failing)
