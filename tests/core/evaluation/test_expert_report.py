from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import NotFoundError
from mocapact_cli.core.evaluation.expert_report import draw_curve, read_card, report_experts
from mocapact_cli.core.evaluation.report import EvaluationHistory
from mocapact_cli.core.interop.expert_folder import find_expert_folders, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy

OBSERVABLES = ("walker/joints_pos", "walker/time_in_clip")


def scores(rows: list[list[float]], timesteps: list[int], lengths: list[list[float]] | None = None):
    returns = np.array(rows, dtype=np.float64)
    return EvaluationHistory(
        np.array(timesteps),
        returns.astype(np.float32),
        np.ones(returns.shape, np.int32),
        returns,
        np.array(lengths, dtype=np.float64) if lengths else np.ones(returns.shape),
    )


@pytest.fixture
def make(tmp_path: Path):
    """Writes an expert whose normalized return was best at 200 steps, and returns its folder."""

    def expert(name: str, best: float = 0.6, length: float = 1.0, *, timed: bool = True) -> Path:
        root = tmp_path / "experts" / name / "0"
        write_clip_info(root, Snippet(name, 0, 60), OBSERVABLES)
        fresh = ExpertPolicy.fresh(OBSERVABLES, 57, layers=(4,))
        write_model(root / "eval_rsi/model", fresh, {"num_timesteps": 200})
        write_model(root / "eval_start/model", fresh, {"num_timesteps": 400})
        timesteps, rows = [0, 200, 400], [[0.1, 0.2], [best - 0.1, best + 0.1], [best - 0.05, best - 0.05]]
        lengths = [[0.5, 0.5], [length, length], [1.0, 1.0]]
        scores(rows, timesteps, lengths).save(root / "eval_rsi/evaluations.npz")
        scores([[0.1], [0.3], [0.9]], timesteps, [[0.4], [0.5], [0.8]]).save(root / "eval_start/evaluations.npz")
        if timed:
            lines = [json.dumps({"timesteps": t, "seconds": t / 10, "rsi_norm_return": 0.0}) for t in timesteps]
            (root / "metrics.jsonl").write_text("\n".join([*lines, '{"timesteps": 40']))
        return root

    return expert


def test_a_card_is_of_the_model_that_is_kept(make) -> None:
    card = read_card(make("demo_squat"))
    assert (card.snippet, card.reason) == ("demo_squat-0-60", "")
    assert (card.timesteps, card.seconds, card.kept_at) == (400, 40.0, 200)
    assert (card.norm_return, card.norm_length) == pytest.approx((0.6, 1.0))
    assert (card.start_norm_return, card.start_norm_length) == pytest.approx((0.9, 0.8))
    assert "curves" not in card.to_json()


def test_a_model_says_which_evaluation_it_is_of(make) -> None:
    root = make("demo_squat", length=0.9)
    fresh = ExpertPolicy.fresh(OBSERVABLES, 57, layers=(4,))
    write_model(root / "eval_rsi/model", fresh, {"num_timesteps": 400})
    write_model(root / "eval_start/model", fresh, {"num_timesteps": 200})
    card = read_card(root)
    assert (card.kept_at, card.norm_length, card.start_norm_length) == (400, 1.0, 0.5)
    # Of another run, as after a copy.
    write_model(root / "eval_rsi/model", fresh, {"num_timesteps": 300})
    assert read_card(root).kept_at == 200


def test_a_published_expert_has_no_seconds(make) -> None:
    card = read_card(make("demo_squat", timed=False))
    assert (card.timesteps, card.seconds) == (400, None)


def test_experts_are_sorted_by_quality(make, tmp_path: Path) -> None:
    for name, best in (("demo_reach", 0.3), ("demo_squat", 0.8), ("demo_wave", 0.5)):
        make(name, best)
    (tmp_path / "experts/demo_wave/0/eval_rsi/evaluations.npz").unlink()
    report = report_experts([tmp_path])
    assert [card.snippet for card in report.cards] == ["demo_squat-0-60", "demo_reach-0-60", "demo_wave-0-60"]
    document = report.to_json()
    assert document["count"] == 3
    assert document["norm_return"] == pytest.approx({"mean": 0.55, "std": 0.25})
    assert [row["snippet"] for row in document["experts"]] == [card.snippet for card in report.cards]
    assert report.plot(tmp_path / "all.png").stat().st_size > 10_000


def test_the_threshold_says_who_fails(make, tmp_path: Path) -> None:
    make("demo_squat", length=0.97)
    (failing,) = report_experts([tmp_path]).failing
    assert failing.reason == "The normalized length, 0.970, is below 0.98."
    assert report_experts([tmp_path], threshold=0.97).failing == []


def damage(root: Path, what: str) -> None:
    files = {
        "clip info": root / "clip_info.json",
        "evaluations": root / "eval_rsi/evaluations.npz",
        "model": root / "eval_rsi/model/best_model.zip",
    }
    action, name = what.split(" ", 1)
    if action == "no":
        files[name].unlink()
    elif action == "cut":
        files[name].write_bytes(files[name].read_bytes()[:40])
    else:
        scores([[np.nan, 1.0]], [0]).save(files["evaluations"])


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("no clip info", "clip_info.json"),
        ("cut clip info", "clip_info.json is not JSON"),
        ("no evaluations", "No evaluation was finished."),
        ("cut evaluations", "evaluations.npz"),
        ("nan evaluations", "scores that are not numbers"),
        ("no model", "best_model.zip does not exist"),
        ("cut model", "best_model.zip"),
    ],
)
def test_a_damaged_expert_is_named_and_the_others_are_shown(make, tmp_path: Path, what: str, reason: str) -> None:
    make("demo_squat")
    damage(make("demo_reach"), what)
    report = report_experts([tmp_path])
    assert len(report.cards) == 2
    (failing,) = report.failing
    assert failing.root.parent.name == "demo_reach"
    assert "demo_reach" in failing.snippet or failing.snippet.endswith("/0")
    assert reason in failing.reason
    assert "\n" not in failing.reason
    assert report.plot(tmp_path / "all.png").is_file()


def test_a_run_that_has_only_begun_is_found(make, tmp_path: Path) -> None:
    write_clip_info(tmp_path / "experts/demo_wave-0-60/0", Snippet("demo_wave", 0, 60), OBSERVABLES)
    (card,) = report_experts([tmp_path]).cards
    assert card.snippet == "demo_wave-0-60"
    assert card.reason.startswith("No evaluation was finished.")


def test_each_expert_is_shown_once(make, tmp_path: Path) -> None:
    root = make("demo_squat")
    inside = [root, root / "eval_rsi", root / "eval_rsi/model", root / "eval_start"]
    assert all(find_expert_folders(folder) == [root] for folder in inside)
    assert len(report_experts([tmp_path, *inside]).cards) == 1
    # The record may also lie above the seeds.
    (root / "clip_info.json").rename(root.parent / "clip_info.json")
    assert find_expert_folders(tmp_path) == [root]
    assert read_card(root).snippet == "demo_squat-0-60"


def test_there_must_be_experts(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no expert in"):
        report_experts([tmp_path])
    with pytest.raises(NotFoundError, match="does not exist"):
        report_experts([tmp_path / "nowhere"])


def test_the_published_experts_are_read(test_data: Path) -> None:
    cards = {card.snippet: card for card in report_experts([test_data / "published/experts"]).cards}
    assert cards["CMU_902_01-0-89"].reason == ""
    assert cards["CMU_901_01-0-82"].norm_length == pytest.approx(0.543, abs=1e-3)
    assert "below 0.98" in cards["CMU_901_01-0-82"].reason


def test_a_curve_is_drawn_into_the_folder(make, tmp_path: Path) -> None:
    root = make("demo_squat")
    path = draw_curve(root)
    assert path == root / "curve.png"
    assert path.stat().st_size > 10_000
