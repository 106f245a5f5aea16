from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.tracking_plot import EpisodeSpans, plot_tracking, survival_share

TIMES = 0.03 * np.arange(1, 21)


def draw(path: Path, starts: np.ndarray) -> np.ndarray:
    means = {"termination": np.linspace(1.0, 0.2, 20), "joints_velocity": np.where(TIMES < 0.1, np.nan, 0.5)}
    deviations = {name: np.full(20, 0.1) for name in means}
    failed = np.arange(len(starts)) % 2 == 0
    spans = EpisodeSpans(starts, np.where(failed, starts + 0.15, 0.6), failed)
    plot_tracking(path, TIMES, means, deviations, spans, title="a-0-20: 6 episodes")
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_failures_are_red_on_the_map_of_starts(tmp_path: Path) -> None:
    pixels = draw(tmp_path / "map.png", 0.06 * np.arange(6))
    red = (pixels[..., 0] > 240) & (pixels[..., 1] < 20) & (pixels[..., 2] < 20)
    assert red[len(red) // 2 :].sum() > 20
    assert not red[: len(red) // 2].any()
    assert (tmp_path / "map.png").stat().st_size < 300_000


def test_one_start_gives_a_curve(tmp_path: Path) -> None:
    one, many = draw(tmp_path / "one.png", np.zeros(6)), draw(tmp_path / "many.png", 0.06 * np.arange(6))
    assert one.shape == many.shape
    assert not np.array_equal(one, many)


def test_survival_counts_those_that_have_begun() -> None:
    starts, ends = np.array([0.0, 0.0, 0.06]), np.array([0.06, 0.12, 0.12])
    found = survival_share(starts, ends, np.array([0.0, 0.03, 0.06, 0.09, 0.12, 0.15]))
    np.testing.assert_allclose(found, [np.nan, 1.0, 1.0, 2 / 3, 2 / 3, 0.0])


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="picture"):
        draw(tmp_path / "map.mp4", np.zeros(6))
    assert not list(tmp_path.iterdir())
