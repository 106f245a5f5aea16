from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.figures import check_plot_path, new_figure, save_figure, short_label


def test_only_names_of_pictures_pass() -> None:
    for name in ("a.png", "a.SVG", Path("b/c.pdf")):
        check_plot_path(name)
    with pytest.raises(UsageError, match="is not a kind of picture"):
        check_plot_path("a.mp4")


@pytest.mark.filterwarnings("error")
def test_a_palette_makes_a_picture_small_and_odd_letters_are_drawn(tmp_path: Path) -> None:
    figure = new_figure((3.0, 2.0))
    figure.suptitle("\u524d")
    figure.subplots().imshow(np.random.default_rng(0).random((40, 40, 3)))
    full = save_figure(figure, tmp_path / "full.png", dots_per_inch=100)
    small = save_figure(figure, tmp_path / "small.png", dots_per_inch=100, palette=True)
    assert small.stat().st_size < full.stat().st_size
    with Image.open(full) as first, Image.open(small) as second:
        assert first.size == second.size == (300, 200)
        assert (first.mode, second.mode) == ("RGBA", "P")


def test_long_names_keep_both_ends() -> None:
    assert short_label("short-0-9") == "short-0-9"
    cut = short_label("x" * 50 + "-0-194")
    assert len(cut) <= 30
    assert cut.endswith("-0-194")
    assert short_label("a\nb") == "a?b"
