from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.datasets.disk_file import DiskFile, interrupts_after

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["write", "read"]), st.integers(0, 300), st.integers(1, 100)), max_size=30
)


@given(operations=OPERATIONS, capacity=st.integers(0, 400))
def test_reads_give_what_was_written_whether_the_disk_took_it_or_not(tmp_path_factory, operations, capacity) -> None:
    file = DiskFile(tmp_path_factory.mktemp("disk") / "file")
    through = file._write_through

    def limited(begin: int, content: memoryview) -> None:
        if begin + len(content) > capacity:
            raise OSError(28, "No space left on device")
        through(begin, content)

    file._write_through = limited
    expected = io.BytesIO(bytes(500))
    for number, (kind, place, size) in enumerate(operations):
        file.seek(place)
        expected.seek(place)
        if kind == "write":
            data = bytes([number + 1]) * size
            assert file.write(data) == expected.write(data)
        else:
            assert file.read(size) == expected.read(size)
        assert file.tell() == expected.tell()
    file.close()


def test_the_size_is_the_end_of_what_was_written(tmp_path: Path) -> None:
    file = DiskFile(tmp_path / "file")
    file.seek(10)
    file.write(b"abc")
    assert file.seek(0, os.SEEK_END) == 13
    file.truncate(12)
    assert file.seek(0, os.SEEK_END) == 12
    file.close()
    assert (tmp_path / "file").read_bytes() == bytes(10) + b"ab"


def test_hdf5_reads_the_file_as_any_other(tmp_path: Path) -> None:
    values = np.arange(10_000.0)
    file = DiskFile(tmp_path / "file.h5")
    with h5py.File(file, "w") as handle:
        for index in range(20):
            handle[f"group/{index}"] = values + index
        np.testing.assert_array_equal(handle["group/3"][()], values + 3)
    file.check()
    file.close()
    with h5py.File(tmp_path / "file.h5") as handle:
        np.testing.assert_array_equal(handle["group/19"][()], values + 19)


def test_the_first_failure_is_the_one_that_is_told(tmp_path: Path) -> None:
    file = DiskFile(tmp_path / "file")
    file.check()
    os.close(file._file.fileno())
    file.write(b"abc")
    file.truncate(2)
    with pytest.raises(OSError, match="Bad file descriptor"):
        file.check()
    # The descriptor is gone already, which the object does not know.
    with pytest.raises(OSError):
        file.close()


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), interrupts_after():
        signal.raise_signal(signal.SIGINT)
        reached = True
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_have_no_interrupts_to_hold_back() -> None:
    done = []

    def work() -> None:
        with interrupts_after():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


FILL = textwrap.dedent("""
    import dataclasses, resource, signal, sys
    from pathlib import Path
    import numpy as np
    from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
    from mocapact_cli.core.errors import RunError

    layout = RolloutLayout({"walker/joints_pos": 300}, (1, 2), 2, 60)
    folder, steps, limits = Path(sys.argv[1]), int(sys.argv[2]), [int(limit) for limit in sys.argv[3:]]
    rows = np.zeros((steps, 56))
    record = EpisodeRecord(np.zeros((steps + 1, 300)), rows, rows, *np.zeros((3, steps)), False, 1.0, 1.0, 1.0)

    def fill():
        try:
            with RolloutWriter(folder / "walk.hdf5", layout, ["walk-0-99"]) as writer:
                for slot in range(layout.episodes):
                    writer.add("walk-0-99", slot, record)
        except RunError as error:
            print(error.message)

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for limit in limits or [resource.RLIM_INFINITY]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        fill()
""")


def fill(folder: Path, steps: int, *limits: int) -> list[str]:
    """Write a large file in a process of its own, once for each limit of its size; return the error messages."""
    command = [sys.executable, "-c", FILL, str(folder), str(steps), *map(str, limits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def test_a_file_that_may_not_grow_ends_in_an_error_wherever_that_happens(tmp_path: Path) -> None:
    (tmp_path / "walk.hdf5").write_bytes(b"precious")
    limits = [0, 100, 2_000, *range(10_000, 2_400_000, 150_000)]
    messages = fill(tmp_path, 20, *limits)
    assert len(messages) == len(limits)
    assert all("walk.hdf5 could not be written" in message for message in messages)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"walk.hdf5": b"precious"}


@pytest.mark.parametrize("steps", [20, 40, 400])
def test_a_full_disk_ends_in_an_error_and_leaves_nothing_behind(small_disk, steps: int) -> None:
    disk = small_disk(2048)
    (message,) = fill(disk, steps)
    assert message.endswith("walk.hdf5 could not be written: the disk is full.")
    assert list(disk.iterdir()) == []
