from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import minari
import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.interop.exporters.export import ExportConfig, export_rollouts
from mocapact_cli.core.interop.exporters.minari import check_name, dataset_name

NAME = "mocapact/test-v0"


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that exports a dataset and loads it by Minari."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))

    def export(source: Path, **options) -> minari.MinariDataset:
        export_rollouts([source], tmp_path / "root", ExportConfig("minari", name=NAME, **options))
        return minari.load_dataset(NAME)

    return export


@pytest.mark.parametrize("actions", ["sampled", "mean"])
def test_minari_reads_every_number(load, dataset: Path, episodes_of, actions: str) -> None:
    loaded = load(dataset, actions=actions)
    total = 0
    for theirs, ours in zip(loaded.iterate_episodes(), episodes_of(dataset), strict=True):
        chosen, other = ours.actions, ours.mean_actions
        if actions == "mean":
            chosen, other = other, chosen
        np.testing.assert_array_equal(theirs.observations, ours.observations)
        np.testing.assert_array_equal(theirs.actions, chosen)
        np.testing.assert_array_equal(theirs.rewards, ours.rewards)
        np.testing.assert_array_equal(theirs.infos["values"], ours.values)
        np.testing.assert_array_equal(theirs.infos["advantages"], ours.advantages)
        np.testing.assert_array_equal(
            theirs.infos["mean_actions" if actions == "sampled" else "sampled_actions"], other
        )
        assert not theirs.terminations[:-1].any()
        assert not theirs.truncations[:-1].any()
        assert (theirs.terminations[-1], theirs.truncations[-1]) == (ours.early_termination, not ours.early_termination)
        assert loaded.observation_space.contains(theirs.observations[0])
        assert loaded.action_space.contains(theirs.actions[0])
        (facts,) = loaded.storage.get_episode_metadata([theirs.id])
        assert (facts["snippet"], facts["from_start"]) == (ours.snippet, ours.from_start)
        assert facts["total_steps"] == ours.length
        total += ours.length
    assert loaded.total_steps == total
    assert len(loaded.sample_episodes(2)) == 2


def test_a_dictionary_of_observables_and_cameras(load, dataset: Path, episodes_of) -> None:
    loaded = load(dataset, observation_space="dict")
    for theirs, ours in zip(loaded.iterate_episodes(), episodes_of(dataset), strict=True):
        expected = {name: ours.observable(name) for name in ours._columns}
        expected |= {name: ours.camera(name) for name in ours.cameras}
        assert theirs.observations.keys() == {name.removeprefix("walker/") for name in expected}
        for name, array in expected.items():
            np.testing.assert_array_equal(theirs.observations[name.removeprefix("walker/")], array)
        first = {name: array[0] for name, array in theirs.observations.items()}
        assert loaded.observation_space.contains(first)


def test_the_metadata_say_what_the_columns_are(load, record, episodes_of) -> None:
    source = record()
    loaded = load(source)
    metadata = loaded.storage.metadata
    first, behind = metadata["observables"]["walker/world_zaxis"]
    episode = next(episodes_of(source))
    np.testing.assert_array_equal(loaded[0].observations[:, first:behind], episode.observable("walker/world_zaxis"))
    assert metadata["author"] == {"mocapact"}
    assert (metadata["total_episodes"], metadata["ref_steps"]) == (9, [1, 2])
    assert metadata["dataset_size"] > 0


def test_minaris_own_tools_know_the_dataset(load, record, tmp_path: Path) -> None:
    load(record())
    assert list(minari.list_local_datasets()) == [NAME]
    assert minari.namespace.list_local_namespaces() == ["mocapact"]
    first, second = minari.split_dataset(minari.load_dataset(NAME), sizes=[4, 5], seed=0)
    assert first.total_episodes + second.total_episodes == 9
    program = Path(sys.executable).with_name("minari")
    done = subprocess.run([program, "show", NAME], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mocapact" in done.stdout


def test_two_datasets_share_a_root(load, record, tmp_path: Path) -> None:
    source = record()
    load(source)
    export_rollouts([source], tmp_path / "root", ExportConfig("minari", name="mocapact/other-v1"))
    assert list(minari.list_local_datasets()) == ["mocapact/other-v1", NAME]
    with pytest.raises(UsageError, match="exists already"):
        load(source)


@pytest.mark.parametrize("name", ["", "walk", "walk-v", "../walk-v0", "x/walk-v0", "a b-v0", "/walk-v0", "walk-v0/"])
def test_ids_that_minari_does_not_take(name: str) -> None:
    with pytest.raises(UsageError, match="Minari"):
        check_name(name)


@pytest.mark.parametrize("text", ["dataset", "my data (2)", "...", "é", "CMU_016_22"])
def test_every_text_makes_an_id_that_minari_takes(text: str) -> None:
    namespace, _, version = minari.dataset.minari_dataset.parse_dataset_id(check_name(dataset_name(text)))
    assert (namespace, version) == ("mocapact", 0)
