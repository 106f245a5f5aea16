"""The study of references rewards a perfect walker in full, and a smoother one less."""

import runpy
from pathlib import Path

import pytest

from mocapact_cli.core.clips.demos import demo

STUDY = runpy.run_path(str(Path(__file__).with_name("study_reference.py")))


def total(channels):
    return float(sum(value.mean() for value in channels.values()))


def test_the_reference_itself_gets_the_whole_reward():
    clip = demo("demo_walk")
    assert total(STUDY["rewards"](clip, clip)) == pytest.approx(1.45)


def test_less_is_left_of_the_reward_the_more_is_smoothed_away():
    clip = demo("demo_walk")
    left = [total(STUDY["rewards"](STUDY["smoothed"](clip, cutoff), clip)) for cutoff in (1.5, 3.0, 6.0)]
    assert left == sorted(left)
    assert left[0] < 1.4
    assert len(STUDY["rows"](clip)) == len(STUDY["CUTOFFS"])
