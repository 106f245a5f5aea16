from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.snippet_plot import NAMED, SnippetScore, plot_snippets, survival


def scores(count: int) -> list[SnippetScore]:
    return [SnippetScore(f"CMU_001_{n:02d}-0-99", n / count, 0.6 * n / count, failing=True) for n in range(count)]


def test_survival_goes_from_all_to_the_success_rate_and_its_area_is_the_mean_length() -> None:
    lengths, failed = np.array([0.2, 1.0, 0.5, 0.5, 1.0]), np.array([True, False, True, True, False])
    parts, shares = survival(lengths, failed)
    np.testing.assert_allclose(parts, [0.0, 0.2, 0.5, 0.5])
    np.testing.assert_allclose(shares, [1.0, 0.8, 0.6, 0.4])
    assert np.sum(np.diff(np.append(parts, 1.0)) * shares) == pytest.approx(lengths.mean())
    assert survival(np.ones(3), np.zeros(3, dtype=bool))[1].tolist() == [1.0]


@pytest.mark.parametrize(("count", "height"), [(2, 576), (NAMED + 1, 648)])
def test_few_snippets_get_a_bar_each_and_many_two_curves(tmp_path, count: int, height: int) -> None:
    failed = np.arange(20) % 2 == 0
    lengths = np.where(failed, np.linspace(0.1, 0.9, 20), 1.0)
    plot_snippets(tmp_path / "a.png", scores(count), lengths, failed, threshold=0.98, title="20 episodes")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (1500, height)
        assert np.asarray(picture.convert("L")).std() > 15


def test_other_endings_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="picture"):
        plot_snippets(tmp_path / "a.mp4", scores(1), np.ones(1), np.zeros(1, bool), threshold=0.98, title="")
