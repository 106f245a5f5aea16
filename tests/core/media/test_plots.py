from PIL import Image

from mocapact_cli.core.media.plots import plot_lines


def test_a_plot_is_written_without_a_screen(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    path = plot_lines(tmp_path / "a" / "p.png", {"one": ([0, 1], [2, 3]), "two": ([0], [1])}, title="t", xlabel="x (s)")
    with Image.open(path) as picture:
        assert picture.size == (960, 540)
        assert len(picture.convert("RGB").getcolors(100000)) > 5


def test_a_share_is_shown_on_all_of_its_range(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("mocapact_cli.core.media.plots.save_figure", lambda figure, path: drawn.append(figure) or path)
    plot_lines(tmp_path / "p.png", {"one": ([0, 1], [1, 1])}, share=True)
    assert drawn[0].axes[0].get_ylim() == (0.0, 1.04)
