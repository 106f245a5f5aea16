from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.media.curves import (
    NAMED_EXPERTS,
    Evaluations,
    ExpertMark,
    plot_experts,
    plot_task_training,
    plot_training,
)


def evaluations(*, timed: bool = True, number: int = 5) -> Evaluations:
    steps = np.linspace(1e5, 4e5, number)
    return Evaluations(steps, 1.0 - np.exp(-steps / 1e5), 0.6 * steps / 4e5, steps / 1500.0 if timed else None)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def share_of(path: Path, colour: tuple[int, int, int], *, upper: float = 1.0) -> float:
    """The share of pixels in the upper part of a picture that are nearly of a colour."""
    seen = pixels(path)
    return float((np.abs(seen[: int(upper * len(seen))] - colour).max(axis=-1) < 40).mean())


BLUE, ORANGE, RED = (31, 119, 180), (255, 127, 14), (214, 39, 40)


def test_a_training_has_a_panel_in_steps_and_one_in_minutes(tmp_path: Path) -> None:
    both = plot_training(tmp_path / "both.png", {"rsi": evaluations(), "start": evaluations()}, title="demo")
    steps = plot_training(tmp_path / "steps.png", {"rsi": evaluations(timed=False)})
    assert pixels(both).shape[1] > 1.5 * pixels(steps).shape[1]
    for picture in (both, steps):
        assert share_of(picture, BLUE) > 0.001
        assert share_of(picture, ORANGE) > 0.001


def test_a_single_evaluation_is_seen(tmp_path: Path) -> None:
    path = plot_training(tmp_path / "one.png", {"rsi": evaluations(number=1)})
    # Above the legend, which lies at the bottom.
    assert share_of(path, BLUE, upper=0.7) > 0


def test_failing_experts_stand_out(tmp_path: Path) -> None:
    good = ExpertMark("demo_squat-0-60", good=True, norm_length=1.0, norm_return=0.7, curve=evaluations())
    bad = ExpertMark("demo_reach-0-60", good=False, norm_length=0.4, norm_return=0.2, curve=evaluations())
    unread = ExpertMark("demo_wave-0-60", good=False)
    alone = plot_experts(tmp_path / "good.png", [good], threshold=0.98)
    mixed = plot_experts(tmp_path / "mixed.png", [good, bad, unread], threshold=0.98)
    assert share_of(mixed, RED) > share_of(alone, RED) + 0.001
    assert share_of(alone, BLUE) > share_of(mixed, BLUE) > 0


@pytest.mark.parametrize("number", [NAMED_EXPERTS, 300])
def test_many_experts_fit_into_one_picture(tmp_path: Path, number: int) -> None:
    marks = [ExpertMark(f"demo-0-{index}", good=True, norm_length=1.0, norm_return=0.7) for index in range(number)]
    height, width, _ = pixels(plot_experts(tmp_path / "many.png", marks, threshold=0.98)).shape
    assert width == 1560
    assert 540 <= height < 2000


def test_the_ending_says_the_format(tmp_path: Path) -> None:
    assert b"<svg" in plot_training(tmp_path / "curve.svg", {"rsi": evaluations()}).read_bytes()


def test_a_task_has_a_panel_for_each_of_its_measures(tmp_path: Path) -> None:
    rows = [
        {"timesteps": 1e5 * row, "eval_return": row, "eval_length": 10 + row, "eval_falls": 1.0} for row in range(4)
    ]
    common = plot_task_training(tmp_path / "common.png", rows)
    # Nobody reached a target at first.
    measured = [row | {"eval_time_to_target_s": 3.0 if row["eval_return"] else None} for row in rows]
    more = plot_task_training(tmp_path / "more.png", measured, title="go-to-target")
    assert pixels(more).shape[0] == 2 * pixels(common).shape[0]
    assert share_of(common, BLUE) > 0.001
    never = plot_task_training(tmp_path / "never.png", [row | {"eval_time_to_target_s": None} for row in rows])
    assert pixels(never).shape == pixels(common).shape


def test_a_task_is_drawn_after_its_first_evaluation(tmp_path: Path) -> None:
    path = plot_task_training(tmp_path / "one.png", [{"timesteps": 0, "eval_return": 0.0, "eval_length": 12.0}])
    assert share_of(path, BLUE) > 0
