from __future__ import annotations

import io

from rich.console import Console

from mocapact_cli.cli.inspect_tree import tree_view


def shown(rows) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(tree_view("file", rows))
    return console.file.getvalue().splitlines()


def array(path: str, *shape: int) -> dict[str, object]:
    return {"path": path, "shape": list(shape), "dtype": "float32"}


def test_arrays_hang_below_their_groups() -> None:
    assert shown([array("a/b/x", 3, 4), array("a/y"), array("[red]z", 2)]) == [
        "file",
        "├── a",
        "│   ├── b",
        "│   │   └── x  3 x 4  float32",
        "│   └── y  one  float32",
        "└── [red]z  2  float32",
    ]


def test_numbered_neighbours_that_are_alike_are_one() -> None:
    rows = [array(f"s/{number}/{name}", 9 + number, 5) for number in (0, 1, 10, 2) for name in ("obs", "in/act")]
    assert shown([*rows, array("s/flags", 4)]) == [
        "file",
        "└── s",
        "    ├── 0 ... 10  (4 alike)",
        "    │   ├── obs  9..19 x 5  float32",
        "    │   └── in",
        "    │       └── act  9..19 x 5  float32",
        "    └── flags  4  float32",
    ]


def test_those_that_differ_stay_apart() -> None:
    lines = shown([array("0/a", 1), array("1/a", 1), array("2/b", 1)])
    assert len(lines) == 7
    assert "alike" not in "".join(lines)


def test_files_have_sizes() -> None:
    assert shown([{"path": "a/b.h5", "bytes": 1_500_000}])[-1] == "    └── b.h5  1.5 MB"


def test_a_name_may_be_both_a_file_and_a_folder() -> None:
    assert len(shown([array("a", 1), array("a/b", 1)])) == 4
