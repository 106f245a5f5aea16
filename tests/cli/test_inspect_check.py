"""`inspect` and `inspect --check` on sound and damaged files, as the installed program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.metrics import METRICS_FILE, write_metrics
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter

LAYOUT = RolloutLayout({"walker/body_height": 1, "walker/joints_pos": 4}, (1, 2), 1, 1, act_size=3)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    rng = np.random.default_rng(0)
    rows = rng.random(6)
    actions = rng.random((6, 3))
    record = EpisodeRecord(rng.random((7, 5)), actions, actions, rows, rows, rows, False, float(rows.sum()), 0.5, 1.0)
    for name in ("run", "walk"):
        with RolloutWriter(folder / f"{name}.hdf5", LAYOUT, [f"{name}-0-9"], {"seed": 3}) as writer:
            for slot in range(2):
                writer.add(f"{name}-0-9", slot, record)
    write_metrics(folder)
    return folder


def test_a_sound_dataset_is_said_to_be_sound(mocapact, dataset: Path) -> None:
    shown = mocapact("inspect", dataset, "--check")
    assert shown.code == 0, shown.stderr
    assert any(line.split() == ["Check", "sound"] for line in shown.stdout.splitlines())
    assert mocapact("inspect", dataset / "walk.hdf5", "--check", "--json").json["check"] == "sound"
    assert "check" not in mocapact("inspect", dataset / "walk.hdf5", "--json").json


def _bytes(change: Callable[[bytearray], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        change(content)
        path.write_bytes(content)

    return damage


def _halve(content: bytearray) -> None:
    del content[len(content) // 2 :]


def _blank_symbols(content: bytearray) -> None:
    place = content.index(b"SNOD")
    content[place : place + 200] = bytes(200)


def _flip_an_action(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        actions = file["walk-0-9/1/actions"]
        values = actions[()]
        values.view(np.uint8)[3, 2] ^= 1
        actions[...] = values


def _claim(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["walk-0-9/1/rewards"]
        file.create_dataset("walk-0-9/1/rewards", (2**40,), np.float32)


def _lead_away(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["walk-0-9/1"]
        file["walk-0-9/1"] = h5py.ExternalLink("/dev/zero", "/")


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "flipped": (_flip_an_action, "/walk-0-9/1/actions does not match its checksum: expected"),
    "truncated": (_bytes(_halve), "is damaged"),
    "blanked": (_bytes(_blank_symbols), "is damaged"),
    "absurd": (_claim, "/walk-0-9/1/rewards claims"),
    "elsewhere": (_lead_away, "link to elsewhere"),
    "empty": (_bytes(bytearray.clear), "is empty"),
    "other": (lambda path: path.write_bytes(b"garbage" * 100), "is not an HDF5 file"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_ends_in_one_line_that_names_it(mocapact, dataset: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(dataset / "walk.hdf5")
    outcome = mocapact("inspect", dataset / "walk.hdf5", "--check", COLUMNS="400")
    assert (outcome.code, outcome.stdout) == (4, "")
    assert message in outcome.stderr
    assert "walk.hdf5" in outcome.stderr.splitlines()[0]
    assert "Traceback" not in outcome.stderr


def test_damage_is_found_in_a_folder_and_told_to_programs(mocapact, dataset: Path) -> None:
    _flip_an_action(dataset / "walk.hdf5")
    error = mocapact("inspect", dataset, "--check", "--json")
    assert error.code == 4
    assert error.json["error"]["type"] == "InvalidInputError"
    assert "walk.hdf5: /walk-0-9/1/actions" in error.json["error"]["message"]
    (dataset / "walk.hdf5").unlink()
    assert "names walk-0-9" in mocapact("inspect", dataset, "--check", "--json").json["error"]["message"]
    (dataset / METRICS_FILE).write_bytes(b"PK\x05\x06")
    assert mocapact("inspect", dataset / METRICS_FILE, "--check").code == 4
