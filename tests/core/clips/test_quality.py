import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.quality import quality_of, summarize


def test_quality_of_a_walk(walker):
    quality = quality_of(demo("demo_walk"), walker)
    assert quality.lowest_point == pytest.approx(0.0, abs=1e-6)
    assert quality.foot_skate < 1e-3
    assert 0.2 < quality.root_speed < quality.max_root_speed < 1.0
    assert quality.fastest_joint in ("ltibiarx", "rtibiarx")
    assert 4.0 < quality.max_joint_velocity < 6.0


def test_a_summary_is_plain(walker):
    summary = summarize(demo("demo_walk"))
    assert summary["snippets"] == ["demo_walk-0-190"]
    assert summary["subsets"] == []
    assert 1.2 < summary["distance"] < 2.0
    assert summary["fastest_joint"] in walker.joint_names
