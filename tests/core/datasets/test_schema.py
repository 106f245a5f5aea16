from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.clips.snippets import snippet_named
from mocapact_cli.core.datasets import schema
from mocapact_cli.core.errors import InvalidInputError

ALL_SPECS = (*schema.FILE_ARRAYS, *schema.SNIPPET_ARRAYS, *schema.EPISODE_ARRAYS)
SIZES = st.fixed_dictionaries({name: st.integers(0, 300) for name in ("S", "R", "E", "T", "P", "A", "K")})


@given(st.sampled_from(ALL_SPECS), SIZES)
def test_a_shape_filled_from_the_layout_matches_it_again(spec: schema.ArraySpec, dims: dict[str, int]) -> None:
    shape = schema.fill_shape(spec, dims)
    settled = schema.match_shape(spec, shape, {})
    assert all(dims[name] == size for name, size in settled.items())


@given(st.sampled_from([spec for spec in ALL_SPECS if spec.shape]), SIZES, st.integers(1, 5))
def test_a_shape_that_contradicts_known_sizes_is_refused(
    spec: schema.ArraySpec, dims: dict[str, int], more: int
) -> None:
    shape = list(schema.fill_shape(spec, dims))
    shape[0] += more
    with pytest.raises(InvalidInputError, match=spec.path):
        schema.match_shape(spec, shape, dims)


def test_observations_have_one_row_more_than_actions() -> None:
    actions, observations = (
        next(spec for spec in schema.EPISODE_ARRAYS if spec.path == path) for path in ("actions", schema.PROPRIOCEPTIVE)
    )
    dims = schema.match_shape(actions, (10, 56), {})
    assert schema.match_shape(observations, (11, 7), dims)["P"] == 7
    with pytest.raises(InvalidInputError, match=r"expected \(T\+1 = 11"):
        schema.match_shape(observations, (10, 7), dims)


def test_snippet_names_are_taken_apart() -> None:
    parsed = snippet_named("CMU_016_22-0-82")
    assert parsed is not None
    assert (parsed.clip_id, parsed.start_step, parsed.end_step) == ("CMU_016_22", 0, 82)


@pytest.mark.parametrize("name", ["stats", "observable_indices", "CMU_016_22", "a-3-3", "a-9-3", "-1-2"])
def test_other_names_are_not_snippets(name: str) -> None:
    assert snippet_named(name) is None
