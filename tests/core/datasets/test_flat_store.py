"""Rollouts laid flat."""

import pickle
import subprocess
import sys
import textwrap
import time

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets import flat_store
from mocapact_cli.core.datasets.flat_store import Request, open_store
from mocapact_cli.core.datasets.scan import scan_dataset
from mocapact_cli.core.errors import InvalidInputError, RunError

SNIPPETS = ["CMU_001_01-0-50", "CMU_001_01-30-80"]
ARRAYS = ("actions", "rewards", "values", "advantages")


@pytest.fixture
def path(tmp_path, rolls):
    rolls.write(tmp_path / "CMU_001_01.hdf5", SNIPPETS)
    return tmp_path / "CMU_001_01.hdf5"


def request_for(path, actions="mean_actions"):
    return Request(scan_dataset([path]), {"few": np.array([7, 0]), "all": np.arange(8)}, actions)


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("actions", ["actions", "mean_actions"])
def test_every_row_stands_where_its_episode_puts_it(path, actions, in_memory):
    request = request_for(path, actions)
    store = open_store(request, in_memory=in_memory)
    row = 0
    with h5py.File(path) as file:
        for episode in request.scan.episodes:
            group, rows = file[episode.group], slice(row, row + episode.length + 1)
            seen = group["observations/proprioceptive"][()]
            assert np.array_equal(store.views["few"][rows], seen[:, [7, 0]])
            assert np.array_equal(store.views["all"][rows], seen)
            for name in ARRAYS:
                found = getattr(store, name)[rows]
                assert np.array_equal(found[:-1], group[actions if name == "actions" else name][()])
                assert not found[-1].any()
            row = rows.stop
    assert len(store.rewards) == row
    assert (store.folder is None) == in_memory


def test_the_copy_is_made_once(path, monkeypatch):
    first = open_store(request_for(path))
    monkeypatch.setattr(flat_store, "_lay_flat", lambda *_: pytest.fail("it was made again"))
    assert open_store(request_for(path)).folder == first.folder


def test_another_content_is_another_copy_and_the_old_one_goes(path):
    first = open_store(request_for(path))
    with h5py.File(path, "r+") as file:
        file[f"{SNIPPETS[0]}/0/rewards"][0] = 42.0
    second = open_store(request_for(path))
    assert second.rewards[0] == 42.0
    assert not first.folder.exists()


def test_copies_of_other_columns_live_side_by_side(path):
    first, second = open_store(request_for(path)), open_store(request_for(path, "actions"))
    assert first.folder != second.folder
    assert first.folder.exists()
    assert second.folder.exists()


def test_a_copy_that_lost_a_part_is_made_again(path):
    store = open_store(request_for(path))
    expected = np.array(store.actions)
    with (store.folder / "actions").open("r+b") as file:
        file.truncate(8)
    assert np.array_equal(open_store(request_for(path)).actions, expected)


def test_pickling_maps_again_instead_of_carrying_the_data(path, rolls, tmp_path):
    store = open_store(request_for(path))
    assert np.array_equal(pickle.loads(pickle.dumps(store)).views["all"], store.views["all"])
    assert isinstance(pickle.loads(pickle.dumps(store)).views["all"], np.memmap)
    held = open_store(request_for(path), in_memory=True)
    assert np.array_equal(pickle.loads(pickle.dumps(held)).actions, held.actions)


def test_what_a_killed_process_left_is_swept_up_later(path, mocapact_home, monkeypatch):
    left = mocapact_home / "cache" / "datasets" / ".abc.x.partial"
    left.mkdir(parents=True)
    open_store(request_for(path))
    assert left.exists()
    later = time.time() + 7200.0
    monkeypatch.setattr(flat_store.time, "time", lambda: later)
    open_store(request_for(path, "actions"))
    assert not left.exists()


@pytest.mark.parametrize("array", ["rewards", "mean_actions", "observations/proprioceptive"])
def test_values_that_are_not_finite_are_named(path, array, mocapact_home):
    with h5py.File(path, "r+") as file:
        values = file[f"{SNIPPETS[1]}/2/{array}"]
        values[1] = np.full(values.shape[1:], np.nan)
    with pytest.raises(InvalidInputError, match=f"CMU_001_01.hdf5: {SNIPPETS[1]}/2: {array}") as raised:
        open_store(request_for(path))
    assert "clip_ids" in raised.value.hint
    assert not list((mocapact_home / "cache" / "datasets").glob("*partial*"))


def test_an_array_of_another_length_is_named(path):
    with h5py.File(path, "r+") as file:
        del file[f"{SNIPPETS[1]}/0/rewards"]
        file[f"{SNIPPETS[1]}/0/rewards"] = np.zeros(2)
    with pytest.raises(InvalidInputError, match=rf"{SNIPPETS[1]}/0/rewards has shape \(2,\)"):
        open_store(request_for(path))


def test_a_full_disk_is_said_and_nothing_is_left(path, small_disk, monkeypatch):
    disk = small_disk(16)
    with pytest.raises(RunError, match="disk is full") as raised:
        open_store(request_for(path), folder=disk / "cache")
    assert "in_memory" in raised.value.hint
    # Others may fill the disk meanwhile.
    monkeypatch.setattr(flat_store, "_need_space", lambda *_: None)
    (disk / "filler").write_bytes(bytes(12_000))
    with pytest.raises(RunError, match="disk is full"):
        open_store(request_for(path), folder=disk / "cache")
    assert not [item for item in (disk / "cache").iterdir() if item.is_dir()]


_BOUNDED = """
    import resource, sys
    import numpy as np
    from mocapact_cli.core.datasets.flat_store import Request, open_store
    from mocapact_cli.core.datasets.scan import scan_dataset
    limit = 160 << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    store = open_store(Request(scan_dataset([sys.argv[1]]), {"all": np.arange(2000)}, "actions"))
    assert store.views["all"].nbytes > limit, store.views["all"].nbytes
    print(float(sum(store.views["all"][row : row + 100, 0].sum(dtype=float) for row in range(0, 24_000, 100))))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts private memory against a limit")
def test_memory_does_not_grow_with_the_dataset(tmp_path, rolls):
    """190 MB of rows are laid flat and read by a process that may hold 160 MB."""
    from mocapact_cli.core.datasets.writer import RolloutLayout, RolloutWriter

    rolls.layout = RolloutLayout({"walker/joints_pos": 2000}, (1,), 12, 0, act_size=2)
    record = rolls.record(1999)
    with RolloutWriter(tmp_path / "big.hdf5", rolls.layout, ["CMU_001_01-0-1999"]) as writer:
        for slot in range(12):
            writer.add("CMU_001_01-0-1999", slot, record)
    command = [sys.executable, "-c", textwrap.dedent(_BOUNDED), str(tmp_path / "big.hdf5")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(12 * record.observations[:, 0].sum(dtype=float))


def test_of_two_processes_that_make_the_copy_at_once_the_first_ones_stays(path, monkeypatch):
    first = open_store(request_for(path))
    made = first.folder.stat().st_ino
    # As it looks to a process that began before the first was done.
    answers = iter([False])
    complete = flat_store._is_complete
    monkeypatch.setattr(flat_store, "_is_complete", lambda *asked: next(answers, None) is None and complete(*asked))
    second = open_store(request_for(path))
    assert second.folder.stat().st_ino == made
    assert np.array_equal(second.actions, first.actions)
