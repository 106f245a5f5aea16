from PIL import Image

from mocapact_cli.core.media.plots import plot_lines


def test_a_plot_is_written_without_a_screen(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    path = plot_lines(tmp_path / "a" / "p.png", {"one": ([0, 1], [2, 3]), "two": ([0], [1])}, title="t", xlabel="x (s)")
    with Image.open(path) as picture:
        assert picture.size == (960, 540)
        assert len(picture.convert("RGB").getcolors(100000)) > 5
