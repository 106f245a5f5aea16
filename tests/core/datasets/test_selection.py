from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.clips.subsets import SUBSETS, clip_ids, split_ids
from mocapact_cli.core.datasets.selection import Selection, parse_selection
from mocapact_cli.core.errors import InvalidInputError, MocapactError, NotFoundError, UsageError

HELD = [Snippet("CMU_016_22", 0, 82), Snippet("CMU_016_23", 0, 90), Snippet("demo_walk", 0, 40)]

ids = st.builds("CMU_{:03d}_{:02d}".format, st.integers(1, 143), st.integers(1, 60))
snippets = st.builds(Snippet, ids, st.integers(0, 50), st.integers(51, 500))


@given(st.lists(ids | snippets.map(str), min_size=1), st.sampled_from((",", " , ", ",,")))
def test_ids_and_snippets_choose_themselves_and_nothing_else(names: list[str], comma: str) -> None:
    selection = parse_selection(comma.join(names))
    assert selection.names == selection.required == frozenset(names)
    for name in names:
        snippet = Snippet.parse(name) if "-" in name else Snippet(name, 3, 9)
        assert snippet in selection
    assert Snippet("CMU_200_01", 0, 9) not in selection


@given(snippets, snippets)
def test_a_snippet_does_not_stand_for_its_clip(one: Snippet, other: Snippet) -> None:
    assert (other in parse_selection(str(one))) == (one == other)
    assert (other in parse_selection(one.clip_id)) == (one.clip_id == other.clip_id)


@given(st.sampled_from(SUBSETS), st.lists(ids))
def test_subsets_stand_for_their_clips_and_are_not_required(subset: str, more: list[str]) -> None:
    selection = parse_selection(",".join([subset, *more]))
    assert selection.names == frozenset(clip_ids(subset)) | set(more)
    assert selection.required == frozenset(more)


@given(st.text())
def test_any_text_is_a_selection_or_a_clear_error(text: str) -> None:
    try:
        names = parse_selection(text).names
    except (UsageError, NotFoundError) as error:
        names = error.hint
    assert names


@given(st.lists(ids | snippets.map(str) | st.sampled_from(SUBSETS), min_size=1), st.sampled_from(("\n", ", ", "\r\n")))
def test_a_file_means_what_its_words_mean(tmp_path_factory: pytest.TempPathFactory, words: list[str], gap: str) -> None:
    file = tmp_path_factory.mktemp("lists") / "clips.list"
    file.write_bytes(("# a list\n" + gap.join(words) + "  # the end").encode())
    selection = parse_selection(str(file))
    assert selection.names == parse_selection(",".join(words)).names
    assert not selection.required


def test_the_split_restricts_the_choice() -> None:
    validation = split_ids("validation")[0]
    selection = parse_selection("all", split="train")
    assert Snippet("CMU_016_22", 0, 82) in selection
    assert Snippet(validation, 0, 82) not in selection
    assert Snippet(validation, 0, 82) in parse_selection(None, split="validation")
    with pytest.raises(UsageError, match="test"):
        Selection(split="test")


def test_what_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="CMU_016_24") as caught:
        parse_selection("CMU_016_22,CMU_016_24").check_found(HELD)
    assert "CMU_016_2" in caught.value.hint
    parse_selection("walk_tiny").check_found(HELD)
    parse_selection("CMU_016_22-0-82").check_found(HELD)


def test_a_choice_that_leaves_nothing_says_what_there_is() -> None:
    with pytest.raises(NotFoundError, match="none of the clips") as caught:
        parse_selection("get_up").check_found(HELD)
    assert "CMU_016_22" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "error"), [("", UsageError), (" , ", UsageError), ("lists/clips", NotFoundError), ("a.txt", NotFoundError)]
)
def test_texts_that_name_nothing(text: str, error: type[MocapactError]) -> None:
    with pytest.raises(error):
        parse_selection(text)


def test_files_that_are_no_lists(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InvalidInputError, match="binary"):
        parse_selection(str(tmp_path / "binary"))
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(UsageError):
        parse_selection(str(tmp_path / "empty.txt"))
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(InvalidInputError, match="too large"):
        parse_selection(str(tmp_path / "huge"))
