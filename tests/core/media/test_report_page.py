from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.media.report_page import Page, PageTable, Picture, render_page, write_page

EVIL = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>\"'&"


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def page(text: str) -> Page:
    return Page(
        title=text, subtitle=text, facts=[(text, text)], notes=[text], legend=text, footer=text,
        motions={"shapes": [], "motions": [{"title": text, "note": text}]},
        pictures=[Picture(text, b"png", text)],
        tables=[PageTable(text, [text, "n"], [[text, "1"]], frozenset(["n"]), text)],
    )  # fmt: skip


def test_what_comes_from_files_adds_no_elements() -> None:
    tame, evil = Elements(render_page(page("tame"))), Elements(render_page(page(EVIL)))
    assert evil.tags == tame.tags
    assert [name for name, _ in evil.attributes] == [name for name, _ in tame.attributes]
    assert ("alt", EVIL) in evil.attributes


def test_the_data_comes_back_as_it_was() -> None:
    text = render_page(page(EVIL))
    data = re.search(r'<script type="application/json" id="motions">(.*?)</script>', text, re.DOTALL)
    assert json.loads(data[1])["motions"][0]["title"] == EVIL


def test_nothing_is_fetched_from_anywhere() -> None:
    text = render_page(page("tame"))
    assert "http://" not in text
    assert "https://" not in text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_pages_without_motions_have_no_player() -> None:
    text = render_page(Page("a", "b", [("c", "d")]))
    assert "canvas" not in Elements(text).tags


def test_only_names_of_pages_are_written_and_old_ones_replaced(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the name of a page"):
        write_page(tmp_path / "a.txt", page("tame"))
    (tmp_path / "a.html").write_text("old")
    write_page(tmp_path / "a.html", page("tame"))
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
