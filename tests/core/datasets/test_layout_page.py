"""The page on the layout shows the tables of the schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.datasets import schema

PAGE = Path(__file__).resolve().parents[3] / "docs" / "dataset.md"


def _arrays() -> list[str]:
    groups = (("file", schema.FILE_ARRAYS), ("snippet", schema.SNIPPET_ARRAYS), ("episode", schema.EPISODE_ARRAYS))
    return [
        f"| {where} | `{spec.path}`{_mark(spec.required)} | "
        f"{spec.dtype} | {_shape(spec)} | {spec.storage} | {spec.text} |"
        for where, specs in groups
        for spec in specs
    ]


def _attributes() -> list[str]:
    groups = (
        ("file", schema.FILE_ATTRIBUTES),
        ("snippet", schema.SNIPPET_ATTRIBUTES),
        ("episode", schema.EPISODE_ATTRIBUTES),
    )
    return [
        f"| {where} | `{spec.name}`{_mark(spec.required)} | {spec.kind} | {spec.text} |"
        for where, specs in groups
        for spec in specs
    ]


def _mark(required: bool) -> str:
    return "" if required else " *"


def _shape(spec: schema.ArraySpec) -> str:
    return " x ".join(str(size).replace("+", " + ") for size in spec.shape) or "one number"


@pytest.mark.parametrize(("name", "rows"), [("arrays", _arrays()), ("attributes", _attributes())])
def test_the_tables_are_those_of_the_schema(name: str, rows: list[str]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = text.split(f"<!-- {name} -->\n")[1].split("<!-- end -->")[0].splitlines()[2:]
    assert shown == rows, "docs/dataset.md should say:\n" + "\n".join(rows)
