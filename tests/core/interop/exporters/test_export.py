from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import pytest

from mocapact_cli.core.datasets.check import check_rollouts
from mocapact_cli.core.datasets.selection import Selection, parse_selection
from mocapact_cli.core.datasets.slicing import SliceConfig
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.exporters.export import ExportConfig, export_rollouts
from mocapact_cli.core.interop.exporters.targets import ROLLOUT_TARGETS

NAMES = {"rollouts": "out", "minari": "out", "d4rl": "out.hdf5", "lerobot": "out"}
TRAIN, VALIDATION = "CMU_016_22-0-82", "CMU_016_27-0-82"


@pytest.fixture(params=ROLLOUT_TARGETS)
def to(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_summary_counts(record, tmp_path: Path, to: str) -> None:
    found = export_rollouts([record()], tmp_path / NAMES[to], ExportConfig(to))
    assert (found.format, found.episodes, found.snippets) == (to, 9, 3)
    assert found.steps == sum(3 + seed % 4 for seed in range(9))
    assert found.path.exists()
    files = [found.path] if found.path.is_file() else [path for path in found.path.rglob("*") if path.is_file()]
    assert found.bytes == sum(path.stat().st_size for path in files)


def test_an_earlier_export_is_replaced_only_by_force(record, tmp_path: Path, to: str) -> None:
    source, path = record(), tmp_path / NAMES[to]
    export_rollouts([source], path, ExportConfig(to))
    with pytest.raises(UsageError, match="exists already"):
        export_rollouts([source], path, ExportConfig(to))
    few = ExportConfig(to, SliceConfig(n_rsi_rollouts=0))
    assert export_rollouts([source], path, few, force=True).episodes == 3
    assert not list(tmp_path.rglob(".*"))


def test_what_is_no_export_is_never_replaced(record, tmp_path: Path, to: str) -> None:
    source = record()
    place = tmp_path / NAMES[to] / ("mocapact/dataset-v0" if to == "minari" else "")
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="no earlier export"):
        export_rollouts([source], tmp_path / NAMES[to], ExportConfig(to), force=True)
    assert (place / "thesis.tex").read_text() == "years of work"


def test_a_failure_leaves_nothing_and_keeps_the_earlier_export(record, tmp_path: Path, to: str) -> None:
    source, path = record(), tmp_path / NAMES[to]
    before = export_rollouts([source], path, ExportConfig(to))
    with h5py.File(source / "b.hdf5", "r+") as file:
        del file["b-0-9/2/rewards"]
    for target in (path, tmp_path / f"new{path.suffix}"):
        with pytest.raises(InvalidInputError, match="rewards"):
            export_rollouts([source], target, ExportConfig(to), force=True)
    assert before.path.exists()
    left = {item.name for item in tmp_path.iterdir()} - {"dataset", path.name, "new"}
    assert not left
    assert not [item for item in tmp_path.rglob("*") if item.name.startswith(".")]
    assert not [item for item in (tmp_path / "new").rglob("*") if item.is_file()]


def test_sources_are_never_the_output(record, tmp_path: Path) -> None:
    source = record()
    with pytest.raises(UsageError, match="replace the source"):
        export_rollouts([source], source, ExportConfig("rollouts"), force=True)
    with pytest.raises(UsageError, match="replace the source"):
        export_rollouts([source], tmp_path, ExportConfig("rollouts"), force=True)
    with pytest.raises(UsageError, match="replace the source"):
        export_rollouts([source / "a.hdf5"], source / "a.hdf5", ExportConfig("d4rl"), force=True)


def test_both_parts_of_the_split_get_a_folder(record, tmp_path: Path) -> None:
    source = record(clips={name.split("-")[0]: [name] for name in (TRAIN, VALIDATION)})
    found = export_rollouts([source], tmp_path / "parts", ExportConfig("rollouts", both_splits=True))
    assert found.parts == (tmp_path / "parts/train", tmp_path / "parts/validation")
    assert (found.episodes, found.snippets) == (6, 2)
    for part, snippet in zip(found.parts, (TRAIN, VALIDATION), strict=True):
        assert (part / "dataset_metrics.npz").exists()
        check_rollouts(part / f"{snippet.split('-')[0]}.hdf5")
    assert len(list(tmp_path.glob("parts/*/*.hdf5"))) == 2


def test_a_split_without_clips_says_so(record, tmp_path: Path) -> None:
    config = ExportConfig("rollouts", SliceConfig(Selection(split="train")))
    with pytest.raises(NotFoundError, match="none of the clips") as caught:
        export_rollouts([record()], tmp_path / "out", config)
    assert "MoCapAct" in caught.value.hint


@pytest.mark.parametrize(
    "options",
    [
        {"to": "csv"},
        {"to": "rollouts", "actions": "mean"},
        {"to": "d4rl", "name": "mocapact/x-v0"},
        {"to": "lerobot", "observation_space": "dict"},
        {"to": "minari", "both_splits": True},
    ],
)
def test_options_that_contradict_each_other(options) -> None:
    with pytest.raises(UsageError):
        ExportConfig(**options)


def test_mean_actions_that_were_not_recorded(record, tmp_path: Path) -> None:
    source = record(mean_actions=False)
    assert export_rollouts([source], tmp_path / "one.hdf5", ExportConfig("d4rl")).episodes == 9
    with pytest.raises(InvalidInputError, match="no mean actions"):
        export_rollouts([source], tmp_path / "two.hdf5", ExportConfig("d4rl", actions="mean"))


def test_episodes_that_differ_in_what_was_recorded(record, tmp_path: Path) -> None:
    source = record()
    with h5py.File(source / "b.hdf5", "r+") as file:
        del file["b-0-9/1/mean_actions"]
    with pytest.raises(InvalidInputError, match="mean_actions"):
        export_rollouts([source], tmp_path / "one.hdf5", ExportConfig("d4rl"))


@pytest.mark.parametrize("to", ["minari", "d4rl", "lerobot"])
def test_memory_does_not_grow_with_the_dataset(record, tmp_path: Path, to: str) -> None:
    def peak(name: str, snippets: int) -> int:
        source = record(name, clips={"a": [f"a-{start}-900" for start in range(snippets)]}, steps=2000)
        tracemalloc.start()
        export_rollouts([source], tmp_path / f"{name}_{NAMES[to]}", ExportConfig(to))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak("warm", 1)
    few, many = peak("few", 1), peak("many", 4)
    numbers_a_step = 8 + 5 + 5 + 3
    assert many - few < 3 * 3 * 2000 * numbers_a_step * 4 / 4


def test_clips_are_chosen_across_sources(record, tmp_path: Path) -> None:
    first = record("first", clips={"a": ["a-0-9"]})
    second = record("second", clips={"a": ["a-5-20"], "b": ["b-0-9"]})
    config = ExportConfig("rollouts", SliceConfig(parse_selection("a")))
    found = export_rollouts([first, second], tmp_path / "out", config)
    assert found.snippets == 2
    assert [path.name for path in sorted((tmp_path / "out").glob("*.hdf5"))] == ["a.hdf5"]
