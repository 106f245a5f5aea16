import datetime
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips import mocap_h5
from mocapact_cli.core.clips.clip import ARRAYS
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import MocapFile, write_clips
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError


@pytest.fixture
def walk(tmp_path):
    path = tmp_path / "walk.h5"
    write_clips(path, [demo("demo_walk"), demo("demo_squat")])
    return path


def dm_control_arrays(path, clip_id):
    from dm_control.locomotion.mocap import loader

    trajectory = loader.HDF5TrajectoryLoader(str(path)).get_trajectory(clip_id, zero_out_velocities=False)
    return trajectory, {key.removeprefix("walker/"): value for key, value in trajectory.as_dict().items()}


def assert_equals_dm_control(path, clip_id):
    clip = MocapFile(path).get(clip_id)
    trajectory, arrays = dm_control_arrays(path, clip_id)
    assert (clip.num_steps, clip.dt) == (trajectory.num_steps, trajectory.dt)
    for name in ARRAYS:
        ours, theirs = getattr(clip, name), arrays[name]
        assert ours.dtype == theirs.dtype == np.float64
        assert ours.shape == theirs.shape
        assert ours.tobytes() == theirs.tobytes()


def test_reads_what_dm_control_reads_from_its_own_file():
    import dm_control.locomotion.mocap as package

    path = Path(package.__file__).with_name("test_trajectories.h5")
    for clip_id in MocapFile(path).ids():
        assert_equals_dm_control(path, clip_id)


def test_reads_what_dm_control_reads_from_the_published_sample(test_data):
    path = test_data / "published" / "cmu_test_2020.h5"
    assert MocapFile(path).ids() == ("CMU_016_22", "CMU_040_12", "CMU_901_01", "CMU_902_01")
    assert MocapFile(path).num_steps("CMU_901_01") == 140
    for clip_id in MocapFile(path).ids():
        assert_equals_dm_control(path, clip_id)


def test_dm_control_reads_what_is_written(walk):
    for clip_id in ("demo_walk", "demo_squat"):
        assert_equals_dm_control(walk, clip_id)
    trajectory, _ = dm_control_arrays(walk, "demo_walk")
    walker = trajectory._proto.walkers[0]
    assert (walker.model, walker.mass, walker.name) == (4, 0.0, "demo_walk")


def test_what_is_written_is_read(walk):
    clip, again = demo("demo_walk"), MocapFile(walk).get("demo_walk")
    assert (again.id, again.dt) == (clip.id, clip.dt)
    for name in ARRAYS:
        assert getattr(again, name).tobytes() == getattr(clip, name).tobytes()
    assert MocapFile(walk).table() == {"demo_squat": (61, 0.03), "demo_walk": (191, 0.03)}


def test_the_date_is_stored(tmp_path):
    write_clips(tmp_path / "a.h5", [demo("demo_walk")], date=datetime.date(2019, 2, 3))
    with h5py.File(tmp_path / "a.h5") as file:
        attributes = dict(file["demo_walk"].attrs)
    assert [attributes[key] for key in ("year", "month", "day", "num_steps")] == [2019, 2, 3, 191]


def test_an_existing_file_is_kept_unless_asked(walk):
    before = walk.read_bytes()
    with pytest.raises(UsageError, match="already exists"):
        write_clips(walk, [demo("demo_step")])
    assert walk.read_bytes() == before
    write_clips(walk, [demo("demo_step")], append=True)
    assert MocapFile(walk).ids() == ("demo_squat", "demo_step", "demo_walk")
    write_clips(walk, [demo("demo_reach")], force=True)
    assert MocapFile(walk).ids() == ("demo_reach",)


def test_appending_a_clip_twice_needs_force(walk):
    with pytest.raises(UsageError, match="already holds demo_walk"):
        write_clips(walk, [demo("demo_walk")], append=True)
    write_clips(walk, [demo("demo_walk").slice(0, 9)], append=True, force=True)
    assert MocapFile(walk).table() == {"demo_squat": (61, 0.03), "demo_walk": (10, 0.03)}


def test_a_failure_on_the_way_leaves_nothing_behind(walk):
    def clips():
        yield demo("demo_step")
        raise RuntimeError("broken")

    before = walk.read_bytes()
    with pytest.raises(RuntimeError, match="broken"):
        write_clips(walk, clips(), append=True)
    assert walk.read_bytes() == before
    assert [file.name for file in walk.parent.iterdir()] == ["walk.h5"]


def test_a_full_disk_is_an_os_error_and_keeps_the_old_file(walk):
    code = f"""
import resource, signal
from pathlib import Path
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
clip = demo("demo_step")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    write_clips(Path({str(walk)!r}), [clip], force=True)
except OSError as error:
    raise SystemExit(0 if error.filename == {str(walk)!r} else 3)
"""
    before = walk.read_bytes()
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert walk.read_bytes() == before
    assert [file.name for file in walk.parent.iterdir()] == ["walk.h5"]


def test_a_folder_is_no_target(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        write_clips(tmp_path, [], force=True)


def test_unknown_clips_and_files(walk, tmp_path):
    with pytest.raises(NotFoundError) as caught:
        MocapFile(walk).get("demo_walks")
    assert "demo_walk" in caught.value.hint
    with pytest.raises(NotFoundError):
        MocapFile(tmp_path / "none.h5")


@pytest.mark.parametrize("kept", [0, 100, 5000])
def test_a_truncated_file_is_refused(walk, kept):
    walk.write_bytes(walk.read_bytes()[:kept])
    with pytest.raises(InvalidInputError, match=r"walk\.h5"):
        MocapFile(walk).ids()


def damage(path, change):
    with h5py.File(path, "r+") as file:
        change(file["demo_walk"], file["demo_walk/walkers/walker_0"])


def _replace(walker, name, values):
    del walker[name]
    walker[name] = values


@pytest.mark.parametrize(
    "change",
    [
        lambda clip, walker: walker.pop("joints"),
        lambda clip, walker: _replace(walker, "joints", np.zeros((55, 191))),
        lambda clip, walker: _replace(walker, "body_positions", np.zeros((92, 191))),
        lambda clip, walker: _replace(walker, "position", np.zeros((3, 180))),
        lambda clip, walker: _replace(walker, "position", np.full((3, 191), np.nan)),
        lambda clip, walker: _replace(walker, "position", np.zeros(3)),
        lambda clip, walker: clip.attrs.modify("num_steps", 1),
        lambda clip, walker: clip.attrs.modify("dt", 0.0),
        lambda clip, walker: clip.attrs.pop("num_steps"),
        lambda clip, walker: clip.pop("walkers"),
    ],
)
def test_damaged_clips_are_refused(walk, change):
    damage(walk, change)
    with pytest.raises(InvalidInputError, match=r"walk\.h5"):
        MocapFile(walk).get("demo_walk")


def test_other_hdf5_files_are_no_mocap(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w"):
        pass
    with pytest.raises(InvalidInputError, match="no clips"):
        MocapFile(path).ids()
    with h5py.File(path, "w") as file:
        file["n_rsi_rollouts"] = 3
    with pytest.raises(InvalidInputError, match="not one of motion capture"):
        MocapFile(path).ids()


def test_reading_needs_neither_dm_control_nor_protobuf_nor_mujoco():
    code = (
        f"import {mocap_h5.__name__}, {mocap_h5.__name__.replace('mocap_h5', 'library')}, sys;"
        "sys.exit(any(name in sys.modules for name in ('dm_control', 'google.protobuf', 'mujoco', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_recording_is_no_file_of_clips(tmp_path):
    (tmp_path / "07_01.amc").write_text(":DEGREES\n")
    with pytest.raises(InvalidInputError, match="is a recording") as caught:
        MocapFile(tmp_path / "07_01.amc").ids()
    assert "clips import" in caught.value.hint
