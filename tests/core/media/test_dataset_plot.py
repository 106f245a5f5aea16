from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.media.dataset_plot import DatasetView, SnippetScores, plot_dataset
from mocapact_cli.core.media.joints_plot import JointTracks

RANGE = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)


def scores(name: str, seed: int, episodes: int = 8) -> SnippetScores:
    rng = np.random.default_rng(seed)
    starts = np.where(rng.random(episodes) < 0.3, np.nan, rng.integers(0, 50, episodes))
    parts = rng.random((2, episodes))
    return SnippetScores(name, *parts, rng.integers(5, 200, episodes).astype(float), rng.random(episodes) < 0.4, starts)


def view(count: int) -> DatasetView:
    walker = np.cumsum(np.random.default_rng(0).standard_normal((60, 8)) / 10, axis=0)
    joints = JointTracks("a-0-60", [f"joint{i}" for i in range(8)], walker, walker * 0.9, 0.03)
    observables = [(f"walker/observable_{number}", RANGE) for number in range(35)]
    return DatasetView(
        "dataset", [scores(f"CMU_{n:03d}_01-0-194", n) for n in range(count)], observables, [RANGE] * 56, joints
    )


@pytest.mark.parametrize("count", [1, 60])
def test_pictures_of_few_and_many_snippets_are_small_and_of_one_size(tmp_path: Path, count: int) -> None:
    path = plot_dataset(tmp_path / "a.png", view(count))
    assert path.stat().st_size < 300_000
    with Image.open(path) as picture:
        assert picture.size == (1040, 1200)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (pixels[..., 0] - pixels[..., 1] > 100) & (pixels[..., 0] - pixels[..., 2] > 100)
    assert red.sum() > 500


def test_names_of_any_kind_and_missing_parts_are_drawn(tmp_path: Path) -> None:
    odd = [scores(name, 0) for name in ("$x^$-0-9", "a" * 300 + "-0-9", "_-0-9", "名\n前-0-9", "<b>-0-9")]
    bare = replace(view(1), title="$\\frac$", snippets=odd, observables=[("$y_$", None)], actions=[None], joints=None)
    assert plot_dataset(tmp_path / "a.png", bare).stat().st_size > 1000
    empty = replace(bare, snippets=[scores("a-0-9", 0, 0)], observables=[], actions=[])
    assert plot_dataset(tmp_path / "b.png", empty).stat().st_size > 1000
