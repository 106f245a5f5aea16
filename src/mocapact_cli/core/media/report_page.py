"""One self-contained page: facts, pictures, tables and motions to play, with nothing fetched from anywhere.

Whatever comes from files is escaped, and the page's own policy lets a browser run nothing but its two scripts, which
are named by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.atomic import write_text
from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class PageTable:
    """A table that can be sorted and searched.

    Attributes:
        title: Above it.
        columns: Headings.
        rows: Texts, one sequence a row.
        numeric: Headings of the columns that are aligned to the right and sorted by value.
        note: A line below the title.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: frozenset[str] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture on the page.

    Attributes:
        title: Above it.
        png: The file's bytes.
        text: What it shows, for those who cannot see it.
        tiles: Whether it is made of small images that must not be blurred.
    """

    title: str
    png: bytes
    text: str
    tiles: bool = False


@dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
        title: The heading.
        subtitle: A line below it.
        facts: Names and values.
        notes: What a reader should know first, such as outliers.
        motions: `shapes` and `motions` of `media.motion_data`; None for no player.
        legend: What the figures are, in words.
        pictures: In order.
        tables: In order.
        footer: The last line.
    """

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str] = ()
    motions: Mapping[str, Any] | None = None
    legend: str = ""
    pictures: Sequence[Picture] = field(default=())
    tables: Sequence[PageTable] = field(default=())
    footer: str = "Made by mocapact."


def check_page_path(path: Path | str) -> None:
    """Raise a `UsageError` unless the ending says that it is a page."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is not the name of a page.", hint="Give a name that ends in .html.")


def write_page(path: Path | str, page: Page) -> Path:
    """Write a page atomically.

    Args:
        path: A name that ends in `.html`.
        page: What it shows.

    Raises:
        UsageError: The file's ending is another.
    """
    check_page_path(path)
    return write_text(path, render_page(page))


def render_page(page: Page) -> str:
    """Return the page as one text."""
    style = _asset("page.css")
    scripts = [_asset("tables.js"), *([_asset("player.js")] if page.motions else [])]
    body = [_facts(page.facts), _notes(page.notes), _player(page)]
    body += [*map(_picture, page.pictures), *map(_table, page.tables)]
    return Template(_asset("page.html")).substitute(
        title=html.escape(page.title),
        subtitle=html.escape(page.subtitle),
        footer=html.escape(page.footer),
        style=style,
        style_hash=_hash(style),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        script_hashes=" ".join(map(_hash, scripts)),
        body="\n".join(part for part in body if part),
    )


def _asset(name: str) -> str:
    return (resources.files(__package__) / "page" / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


def _facts(pairs: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd></div>" for name, value in pairs)
    return f"<section><dl>{rows}</dl></section>" if rows else ""


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return f'<section><h2>Worth a look</h2><ul class="notes">{items}</ul></section>' if items else ""


def _player(page: Page) -> str:
    if not page.motions:
        return ""
    # "<" would end the element that holds the text, whatever the JSON says.
    data = json.dumps(page.motions, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e")
    template = Template(_asset("player.html"))
    return template.substitute(title="Playback", legend=html.escape(page.legend), motions=data)


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    kind = ' class="tiles"' if picture.tiles else ""
    text = html.escape(picture.text)
    return (
        f"<section><h2>{html.escape(picture.title)}</h2><figure{kind}>"
        f'<img src="data:image/png;base64,{data}" alt="{text}"><figcaption>{text}</figcaption></figure></section>'
    )


def _table(table: PageTable) -> str:
    heads = "".join(_heading(name, numeric=name in table.numeric) for name in table.columns)
    rows = "".join(f"<tr>{_cells(table, row)}</tr>" for row in table.rows)
    title = html.escape(table.title)
    note = f'<p class="hint">{html.escape(table.note)}</p>' if table.note else ""
    return (
        f'<section class="table"><h2>{title} ({len(table.rows):,})</h2>{note}'
        f'<input type="search" placeholder="Search" aria-label="Search {title}">'
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div></section>'
    )


def _heading(name: str, *, numeric: bool) -> str:
    kind, style = ("number", ' class="number"') if numeric else ("text", "")
    return f'<th data-kind="{kind}"{style}><button type="button">{html.escape(name)}</button></th>'


def _cells(table: PageTable, row: Sequence[str]) -> str:
    styles = (' class="number"' if name in table.numeric else "" for name in table.columns)
    return "".join(f"<td{style}>{html.escape(cell)}</td>" for style, cell in zip(styles, row, strict=True))
