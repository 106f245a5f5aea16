import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.cli.output import Output, cell, facts, table, to_json
from mocapact_cli.core.progress import NullProgress


def test_people_read_the_table(fresh_out, capsys):
    fresh_out.show({"a": 1}, lambda: table(["Clip", "Steps"], [["CMU_016_22", 83]], numeric=["Steps"]))
    said = capsys.readouterr()
    assert "CMU_016_22" in said.out
    assert said.err == ""


def test_json_is_one_document(fresh_out, capsys):
    fresh_out.configure(json=True, quiet=False)
    fresh_out.show({"a": np.float32(0.5), "b": np.arange(2), "c": float("nan")}, lambda: pytest.fail("not asked for"))
    assert json.loads(capsys.readouterr().out) == {"a": 0.5, "b": [0, 1], "c": None}


def test_quiet_prints_the_bare_result(fresh_out, capsys):
    fresh_out.configure(json=False, quiet=True)
    fresh_out.show({"a": 1}, "long text", short="walk.h5")
    fresh_out.message("not this")
    fresh_out.warn("nor this")
    assert capsys.readouterr() == ("walk.h5\n", "")
    assert isinstance(fresh_out.progress(), NullProgress)


def test_messages_and_warnings_go_to_stderr(fresh_out, capsys):
    fresh_out.message("one [bold]two[/bold]")
    fresh_out.warn("no skeleton [07]")
    assert capsys.readouterr() == ("", "one [bold]two[/bold]\nWarning: no skeleton [07]\n")


def test_messages_stay_off_stdout_with_json(fresh_out, capsys):
    fresh_out.configure(json=True, quiet=False)
    fresh_out.message("working")
    assert capsys.readouterr() == ("", "working\n")


def test_an_error_is_two_lines(fresh_out, capsys):
    fresh_out.error("NotFoundError", "There is no clip [x].", "Try `mocapact clips list`.")
    assert capsys.readouterr() == ("", "Error: There is no clip [x].\n  Try `mocapact clips list`.\n")


def test_an_error_without_a_hint_is_one_line(fresh_out, capsys):
    fresh_out.error("RunError", "No.", "")
    assert capsys.readouterr().err == "Error: No.\n"


def test_long_lines_are_not_broken(fresh_out, capsys):
    fresh_out.message("x" * 500)
    assert capsys.readouterr().err == "x" * 500 + "\n"


def test_several_parts_are_printed_in_order(fresh_out, capsys):
    fresh_out.show({}, ["first", facts({"name": "value"}), "last"])
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["first", "name  value", "last"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "yes"), (12345, "12,345"), (0.81649, "0.8165"), (123456.7, "123,457"), ("a", "a")],
)
def test_cells(value, text):
    assert cell(value) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_whatever_goes_out_is_strict_json(value):
    json.loads(to_json(value), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize("width", [70, 100])
def test_names_stay_whole_in_a_narrow_terminal(monkeypatch, capsys, width):
    narrow = Output()
    monkeypatch.setattr("mocapact_cli.cli.output.out", narrow)
    monkeypatch.setenv("COLUMNS", str(width))
    columns = ["Snippet", "Episodes", "Steps", "Return", "Length", "Norm. return"]
    row = ["CMU_901_01-60-139", 8, 258, "0.145 ± 0.022", "32.2 ± 13.5", "0.501 ± 0.095"]
    narrow.show({}, table(columns, [row], numeric=columns[1:]))
    shown = capsys.readouterr().out
    assert "CMU_901_01-60-139" in shown
    assert max(map(len, shown.splitlines())) <= width


def test_a_title_is_one_line_where_there_is_room(fresh_out, capsys):
    fresh_out.show({}, table(["A"], [["b"]], title="go-to-target, acting by embeddings of 20: 4 episodes"))
    assert capsys.readouterr().out.splitlines()[0].rstrip() == "go-to-target, acting by embeddings of 20: 4 episodes"
