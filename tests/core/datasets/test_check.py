from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.check import check_rollouts
from mocapact_cli.core.errors import InvalidInputError

Damage = Callable[[h5py.File], None]


def _replace(path: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damage(file: h5py.File) -> None:
        values = file[path][()]
        attributes = dict(file[path].attrs)
        del file[path]
        file[path] = change(values)
        file[path].attrs.update(attributes)

    return damage


def _delete(path: str) -> Damage:
    def damage(file: h5py.File) -> None:
        del file[path]

    return damage


def _poison(values: np.ndarray) -> np.ndarray:
    values.flat[0] = np.nan
    return values


def _nudge(values: np.ndarray) -> np.ndarray:
    """Change the lowest bit of one value."""
    changed = np.atleast_1d(values).copy()
    changed.view(np.uint8).flat[0] ^= 1
    return changed.reshape(np.shape(values))


STRUCTURE: dict[str, tuple[Damage, str]] = {
    "walk-0-9/1/actions": (_replace("walk-0-9/1/actions", lambda values: values[:-1]), "/walk-0-9/1/actions has shape"),
    "walk-0-9/1/rewards": (_replace("walk-0-9/1/rewards", lambda values: values.astype(np.float64)), "type float64"),
    "walk-0-9/2": (_delete("walk-0-9/2"), "episode 2"),
    "walk-0-9/0/values": (_delete("walk-0-9/0/values"), "/walk-0-9/0/values is missing"),
    "nan": (_replace("walk-0-9/0/observations/proprioceptive", _poison), "not finite"),
    "early_termination": (_replace("walk-0-9/early_termination", lambda values: values[:-1]), "early_termination"),
    "stats/act_mean": (_delete("stats/act_mean"), "stats/act_mean is missing"),
    "columns": (_replace("observable_indices/walker/joints_pos", lambda values: values + 1), "column 1"),
    "outside": (_replace("observable_indices/walker/joints_pos", lambda values: values + 90), "outside"),
    "column types": (_replace("observable_indices/walker/joints_pos", lambda values: values * 1.0), "type float64"),
    "count": (_replace("n_start_rollouts", lambda values: values + 1), "shape"),
    "rows": (_replace("stats/count", lambda values: values + 1), "stats/count is"),
    "returns": (
        _replace("walk-0-9/start_metrics/episode_returns", lambda values: values + 1),
        "/walk-0-9/0/rewards add up to",
    ),
    "no snippets": (_delete("walk-0-9"), "no snippets"),
}


@pytest.fixture
def walk(rolls, tmp_path: Path) -> Path:
    rolls.write(tmp_path / "walk.hdf5", ["walk-0-9"])
    check_rollouts(tmp_path / "walk.hdf5")
    return tmp_path / "walk.hdf5"


def _refusal(path: Path, damage: Damage) -> str:
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(InvalidInputError) as refused:
        check_rollouts(path)
    assert "walk.hdf5" in refused.value.message
    assert "\n" not in refused.value.message
    return refused.value.message


@pytest.mark.parametrize("name", STRUCTURE)
def test_the_first_thing_that_is_wrong_is_named(walk: Path, unsealed, name: str) -> None:
    unsealed(walk)
    check_rollouts(walk)
    damage, message = STRUCTURE[name]
    assert message in _refusal(walk, damage)


@pytest.mark.parametrize(
    "path",
    [
        "n_rsi_rollouts", "ref_steps", "stats/act_var", "stats/mean_act_mean", "stats/act_count",
        "observable_indices/walker/joints_pos", "walk-0-9/early_termination",
        "walk-0-9/rsi_metrics/norm_episode_returns", "walk-0-9/2/observations/proprioceptive",
        "walk-0-9/0/mean_actions", "walk-0-9/1/advantages",
    ],
)  # fmt: skip
def test_a_changed_bit_is_found_in_files_that_we_wrote(walk: Path, path: str) -> None:
    message = _refusal(walk, _replace(path, _nudge))
    # A changed count contradicts other arrays before its checksum is looked at.
    assert f"/{path} does not match its checksum: expected" in message or path.startswith("n_"), message


@pytest.mark.parametrize("path", ["walk-0-9/0/mean_actions", "stats/mean_act_var"])
def test_arrays_that_others_may_lack_are_missed_in_files_that_had_them(walk: Path, path: str) -> None:
    assert f"/{path} is missing" in _refusal(walk, _delete(path))


def _rename(file: h5py.File) -> None:
    file.move("observable_indices/walker/joints_pos", "observable_indices/walker/joints_pot")


NAMES: dict[str, tuple[Damage, str]] = {
    "an attribute changes": (lambda file: file.attrs.update(seed=4), "names and attributes"),
    "an attribute's type changes": (lambda file: file.attrs.update(seed="3"), "names and attributes"),
    "an attribute is lost": (lambda file: file.attrs.pop("seed"), "names and attributes"),
    "an attribute is added": (lambda file: file["walk-0-9/1/observations"].attrs.update(a=1), "names and attributes"),
    "an array's attribute": (lambda file: file["walk-0-9/1/actions"].attrs.update(a=1), "actions does not match"),
    "a group is added": (lambda file: file.create_group("walk-0-9/7"), "names and attributes"),
    "an array is added": (lambda file: file.create_dataset("walk-0-9/0/more", data=1), "names and attributes"),
    "an observable's name changes": (_rename, "joints_pot does not match its checksum: expected none"),
    "checksums are lost": (lambda file: file["walk-0-9/1"].attrs.clear(), "/walk-0-9/1 has lost its checksums"),
    "all root attributes are lost": (lambda file: file.attrs.clear(), "/ has lost its checksums"),
    "the contents' checksum is lost": (lambda file: file.attrs.pop("contents_checksum"), "names and attributes"),
    "checksums are no JSON": (
        lambda file: file["walk-0-9/1"].attrs.update(checksums="{"),
        "of /walk-0-9/1 are damaged",
    ),
    "checksums are no text": (lambda file: file["walk-0-9/1"].attrs.update(checksums=1), "of /walk-0-9/1 are damaged"),
    "a group has two places": (lambda file: file.update(again=file["walk-0-9"]), "two places"),
    "a group is in itself": (lambda file: file["walk-0-9/1"].update(again=file["walk-0-9"]), "two places"),
    "a link leads away": (lambda file: file.update(away=h5py.ExternalLink("/etc/passwd", "/")), "link to elsewhere"),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_and_attributes_are_covered(walk: Path, name: str) -> None:
    damage, message = NAMES[name]
    assert message in _refusal(walk, damage)


def test_files_of_the_first_version_had_no_checksums(walk: Path) -> None:
    with h5py.File(walk, "r+") as file:
        file.attrs["format_version"] = 1
        for group in (file, file["walk-0-9"], *(file[f"walk-0-9/{slot}"] for slot in range(3))):
            del group.attrs["checksums"]
        del file.attrs["contents_checksum"]
    check_rollouts(walk)


def test_claims_without_anything_behind_them_are_refused(walk: Path, unsealed) -> None:
    unsealed(walk)

    def damage(file: h5py.File) -> None:
        shape = file["walk-0-9/1/rewards"].shape
        del file["walk-0-9/1/rewards"]
        file.create_dataset("walk-0-9/1/rewards", shape, np.float32)

    assert "bytes, but 0 are stored" in _refusal(walk, damage)


@pytest.mark.parametrize(
    "name", ["dataset/CMU_901_01.hdf5", "dataset/CMU_902_01.hdf5", "dataset_cameras/CMU_902_01.hdf5"]
)
def test_published_files_follow_the_layout(test_data: Path, name: str) -> None:
    check_rollouts(test_data / "published" / name)
