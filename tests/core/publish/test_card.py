"""The page before what is published."""

import re
import sys
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.publish.card import make_card
from mocapact_cli.core.publish.parcel import Parcel, pack
from mocapact_cli.core.publish.scores import Score

KINDS = ["expert", "3 experts", "policy for many clips", "policy for a task", "dataset of rollouts"]
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


def header(card):
    return yaml.safe_load(card.split("---\n")[1])


@given(
    st.sampled_from(KINDS),
    st.lists(texts, min_size=1, max_size=60),
    st.lists(st.builds(Score, texts, texts, st.floats()), max_size=60),
    st.dictionaries(texts, st.none() | texts | st.integers() | st.floats() | st.lists(texts), max_size=5),
)
def test_whatever_is_known_the_header_is_yaml_and_the_tables_are_tables(kind, snippets, scores, details):
    repository = "dataset" if kind.startswith("dataset") else "model"
    parcel = Parcel(kind, repository, {"a": b"bc"}, tuple(snippets), tuple(scores), details)
    card = make_card(parcel, "me/thing")
    assert header(card)["license"] == "cdla-permissive-2.0"
    assert "mocapact" in header(card)["tags"]
    tables = [line for line in card.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in tables)


def test_an_expert_is_described_scored_and_opened(make_expert, tmp_path):
    parcel = pack(make_expert(tmp_path / "expert"))
    scored = Parcel(**{**vars(parcel), "scores": (Score("CMU_016_22-0-82", "normalized return", 0.71),)})
    card = make_card(scored, "me/walker")
    (entry,) = header(card)["model-index"]
    (result,) = entry["results"]
    assert result["dataset"]["name"] == "CMU_016_22-0-82"
    assert result["metrics"] == [{"type": "normalized_return", "value": 0.71, "name": "normalized return"}]
    assert "| CMU_016_22-0-82 | 0.71 |" in card
    assert 'policy = load_policy(snapshot_download("me/walker"))' in card
    assert "mocapact expert eval walker/CMU_016_22-0-82" in card
    assert "mujoco 3.17.0" in card
    assert "wagener2022mocapact" in card
    assert "mocap.cs.cmu.edu" in card


def test_the_database_is_named_only_where_its_motion_is_in_it():
    built_in = Parcel("expert", "model", {}, ("demo_squat-0-60",))
    assert "mocap.cs.cmu.edu" not in make_card(built_in, "me/squat")
    assert "wagener2022mocapact" in make_card(built_in, "me/squat")


def test_another_licence_is_said_in_both_places():
    card = make_card(Parcel("expert", "model", {}, ("demo_squat-0-60",)), "me/squat", licence="mit")
    assert header(card)["license"] == "mit"
    assert "Licence: mit." in card


def test_python_in_it_is_python():
    for kind in KINDS:
        repository = "dataset" if kind.startswith("dataset") else "model"
        card = make_card(Parcel(kind, repository, {}, ("demo_squat-0-60",)), "me/thing")
        (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
        compile(code, "card", "exec")
        assert 'snapshot_download("me/thing"' in code


def test_python_that_opens_a_dataset_does(write_rollouts, tmp_path, monkeypatch):
    folder = write_rollouts(tmp_path / "dataset")
    hub = SimpleNamespace(snapshot_download=lambda name, repo_type: str(folder))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    (code,) = re.findall(r"```python\n(.*?)```", make_card(pack(folder), "me/thing"), re.DOTALL)
    names = {}
    exec(code, names)
    assert names["observations"].shape == names["dataset"].observation_space.shape
    assert names["actions"].shape == (56,)


@pytest.mark.parametrize("count", [1, 40, 41, 2589])
def test_long_lists_are_counted(count):
    snippets = tuple(f"CMU_{number:03d}_01-0-40" for number in range(count))
    parcel = Parcel(f"{count} experts", "model", {}, snippets, tuple(Score(name, "return", 0.5) for name in snippets))
    card = make_card(parcel, "me/many")
    assert card.count("| 0.5 |") == min(count, 40)
    assert (f"and {count - 40:,} more" in card) == (count > 40)
