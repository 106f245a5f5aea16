from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.clips.snippets import KEPT_WHOLE, MAX_STEPS, OVERLAP, Snippet, clip_of, cut
from mocapact_cli.core.errors import InvalidInputError


@given(
    st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1),
    st.integers(0, 10**6),
    st.integers(1, 10**6),
)
def test_names_round_trip(clip, start, length):
    snippet = Snippet(clip, start, start + length)
    assert Snippet.parse(str(snippet)) == snippet
    assert snippet.num_steps == length + 1


@pytest.mark.parametrize("text", ["", "CMU_016_22", "CMU_016_22-0", "CMU_016_22-0-x", "-0-5", "CMU-5--7", "a-0-²"])
def test_other_text_is_no_snippet(text):
    with pytest.raises(InvalidInputError):
        Snippet.parse(text)


@pytest.mark.parametrize(
    ("name", "clip"), [("CMU_016_22-0-82", "CMU_016_22"), ("my-walk-0-40", "my-walk"), ("my-walk", "my-walk")]
)
def test_the_clip_of_a_name(name, clip):
    assert clip_of(name) == clip


@pytest.mark.parametrize(("start", "end"), [(5, 5), (7, 3), (-1, 4)])
def test_an_empty_range_is_refused(start, end):
    with pytest.raises(InvalidInputError, match="empty"):
        Snippet("walk", start, end)


def test_the_rule_gives_the_published_snippets(test_data):
    published = {}
    for line in (test_data / "mocap" / "snippets.txt").read_text().split():
        snippet = Snippet.parse(line)
        published.setdefault(snippet.clip_id, []).append(snippet)
    assert (len(published), sum(map(len, published.values()))) == (836, 2589)
    for clip_id, snippets in published.items():
        assert cut(clip_id, max(s.end_step for s in snippets)) == sorted(snippets)


def test_the_clips_kept_whole_are_exceptions_to_the_rule():
    for clip_id, last in KEPT_WHOLE.items():
        assert len(cut(clip_id, last)) == 1
        assert len(cut("other", last)) > 1


@given(st.integers(1, 20_000))
def test_pieces_cover_the_clip_overlap_and_stay_short(last):
    pieces = cut("clip", last)
    assert (pieces[0].start_step, pieces[-1].end_step) == (0, last)
    assert all(piece.end_step - piece.start_step <= MAX_STEPS for piece in pieces)
    assert all(a.end_step - b.start_step == OVERLAP for a, b in pairwise(pieces))
