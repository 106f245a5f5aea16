from __future__ import annotations

import dataclasses
import json
import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.interop.normalizers import (
    normalizer_from_dict,
    normalizer_to_dict,
    read_vecnormalize,
    vecnormalize_bytes,
)
from mocapact_cli.core.policies.expert import ExpertPolicy, Normalizer


def assert_equal(one: Normalizer, other: Normalizer) -> None:
    for field in dataclasses.fields(Normalizer):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_json_is_exact(policy: ExpertPolicy) -> None:
    text = json.dumps(normalizer_to_dict(policy.normalizer))
    assert_equal(normalizer_from_dict(json.loads(text), source="test"), policy.normalizer)


NO_NORMALIZERS: list[dict[str, object]] = [
    {"mean": None}, {"mean": [1.0]}, {"mean": [float("nan")] * 57}, {"var": [-1.0] * 57}, {"evil": 1},
    {"return_var": "x"},
]  # fmt: skip


@pytest.mark.parametrize("change", NO_NORMALIZERS)
def test_json_that_is_no_normalizer_is_refused(policy: ExpertPolicy, change: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="test"):
        normalizer_from_dict(normalizer_to_dict(policy.normalizer) | change, source="test")


def test_the_pickle_is_a_stock_vecnormalize(policy: ExpertPolicy, tmp_path: Path) -> None:
    content = vecnormalize_bytes(policy.normalizer, 56)
    wrapper = pickle.loads(content)
    assert type(wrapper).__module__ == "stable_baselines3.common.vec_env.vec_normalize"
    np.testing.assert_array_equal(wrapper.obs_rms.mean, policy.normalizer.mean)
    words = {value for code, value, _ in pickletools.genops(content) if code.name == "SHORT_BINUNICODE"}
    assert not any("mocapact" in word for word in words)


def test_our_pickle_is_read_back_by_the_allow_list(policy: ExpertPolicy, tmp_path: Path) -> None:
    (tmp_path / "vecnormalize.pkl").write_bytes(vecnormalize_bytes(policy.normalizer, 56))
    assert_equal(read_vecnormalize(tmp_path / "vecnormalize.pkl", ()), policy.normalizer)


@pytest.mark.parametrize(
    "folder", ["experts/CMU_901_01-0-82", "experts/CMU_902_01-0-89", "experts_py38/CMU_902_01-0-89"]
)
def test_published_normalizers_are_read(test_data: Path, folder: str) -> None:
    observables = ("walker/joints_pos", "walker/time_in_clip")
    path = test_data / "published" / folder / "0/eval_rsi/model/vecnormalize.pkl"
    normalizer = read_vecnormalize(path, observables)
    reference = np.load(test_data / f"published/reference/expert_{Path(folder).name}.npz")
    expected = np.concatenate([reference[f"obs_rms/{name}/var"] for name in observables])
    np.testing.assert_array_equal(normalizer.var, expected)
    assert normalizer.return_var == float(reference["ret_rms_var"])


def test_an_observable_without_statistics_is_named(test_data: Path) -> None:
    path = test_data / "published/experts/CMU_902_01-0-89/0/eval_rsi/model/vecnormalize.pkl"
    with pytest.raises(InvalidInputError, match="walker/nonsense"):
        read_vecnormalize(path, ("walker/nonsense",))


def test_other_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InvalidInputError, match="not a normalizer"):
        read_vecnormalize(tmp_path / "v.pkl", ())
    with pytest.raises(NotFoundError):
        read_vecnormalize(tmp_path / "w.pkl", ())
