import subprocess
import sys

import mujoco
import numpy as np
import pytest

from mocapact_cli.core import paths
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.errors import InvalidInputError, MissingDependencyError
from mocapact_cli.core.walker import model as model_module
from mocapact_cli.core.walker.model import Walker, get_walker

ENGINE_WITHOUT_DM_CONTROL = """
import sys
from pathlib import Path

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("dm_control", "dm_env"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Refuse())
import numpy as np
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips import demos
from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.sim.observables import ALL_PROPRIOS
from mocapact_cli.core.walker.model import Walker

folder = Path(sys.argv[1])
clip = MocapFile(folder / "clip.h5").get("demo_step")
batch = TrackingBatch([(clip, Snippet(clip.id, 0, 60))], num_envs=3, observables=ALL_PROPRIOS,
                      walker=Walker.load(folder / "walker"), threads=2)
seen = [batch.reset()]
for step in range(20):
    seen.append(batch.step(np.full((3, 56), 0.1 * np.sin(step))).observations)
np.save(folder / "seen.npy", np.array(seen))
assert not {"dm_control", "dm_env"} & {name.split(".")[0] for name in sys.modules}
"""


def test_the_model_is_the_one_of_dm_controls_task():
    walker = get_walker()
    assert (walker.model.nq, walker.model.nv, walker.model.nu, walker.model.na) == (63, 62, 56, 56)
    assert walker.model.opt.timestep == 0.005
    assert len(walker.joint_names) == len(walker.actuator_names) == 56
    assert len(walker.body_names) == 31
    assert sorted(walker.joint_names) == list(walker.actuator_names)
    assert walker.joint_range.shape == (56, 2)


def test_the_tables_name_the_right_parts():
    walker, model = get_walker(), get_walker().model

    def name(kind, index):
        return mujoco.mj_id2name(model, kind, index).removeprefix("walker/")

    for actuator, joint in enumerate(walker.actuator_joint):
        driven = name(mujoco.mjtObj.mjOBJ_JOINT, model.actuator_trnid[actuator, 0])
        assert driven == walker.joint_names[joint] == walker.actuator_names[actuator]
    bodies = [name(mujoco.mjtObj.mjOBJ_BODY, body) for body in walker.tracking_bodies]
    assert tuple(bodies) == walker.body_names
    assert [bodies[index] for index in walker.end_effectors] == ["rradius", "lradius", "rfoot", "lfoot"]
    assert bodies[walker.head] == "head"
    assert name(mujoco.mjtObj.mjOBJ_BODY, walker.root_body) == "root"
    assert model.geom_type[walker.floor_geom] == mujoco.mjtGeom.mjGEOM_PLANE
    assert {name: len(columns) for name, columns in walker.sensors.items()} == {
        "velocimeter": 3, "gyro": 3, "accelerometer": 3, "touch": 10, "torque": 6, "end_effectors_pos": 12,
    }  # fmt: skip


def test_the_action_of_a_pose_is_the_target_of_the_actuators():
    walker = get_walker()
    rng = np.random.default_rng(0)
    lower, upper = walker.joint_range.T
    joints = rng.uniform(lower, upper, (4, 56))
    actions = walker.pose_to_action(joints)
    assert (np.abs(actions) <= 1.0 + 1e-12).all()
    # At a position actuator's target its force vanishes.
    data = mujoco.MjData(walker.model)
    data.qpos[7:], data.act[:] = joints[0], actions[0]
    mujoco.mj_forward(walker.model, data)
    np.testing.assert_allclose(data.actuator_force, 0.0, atol=1e-9)


def test_saving_and_loading_gives_the_same_walker(tmp_path):
    walker = get_walker()
    walker.save(tmp_path / "walker")
    loaded = Walker.load(tmp_path / "walker")
    np.testing.assert_array_equal(loaded.model.body_mass, walker.model.body_mass)
    for name in ("joint_names", "actuator_names", "body_names", "root_body", "frame_body", "head", "floor_geom"):
        assert getattr(loaded, name) == getattr(walker, name), name
    for name in ("actuator_joint", "tracking_bodies", "end_effectors", "foot_geoms"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(walker, name), err_msg=name)
    for name, columns in walker.sensors.items():
        np.testing.assert_array_equal(loaded.sensors[name], columns)


@pytest.mark.parametrize("damage", ["missing", "cut", "version", "no json"])
def test_an_unusable_saved_model_is_refused(tmp_path, damage):
    folder = tmp_path / "walker"
    get_walker().save(folder)
    tables, binary = folder / "walker.json", folder / "walker.mjb"
    if damage == "missing":
        binary.unlink()
    elif damage == "cut":
        binary.write_bytes(binary.read_bytes()[:1000])
    elif damage == "version":
        tables.write_text(tables.read_text().replace(mujoco.__version__, "1.2.3"))
    else:
        tables.write_text("{}")
    with pytest.raises(InvalidInputError, match="no usable walker"):
        Walker.load(folder)


def test_a_second_process_loads_the_compiled_model(monkeypatch):
    get_walker.cache_clear()
    get_walker()
    assert list(paths.cache_dir().glob("walker/*/walker.mjb"))
    get_walker.cache_clear()
    monkeypatch.setattr(model_module, "build_walker", lambda arena_size: pytest.fail("compiled again"))
    assert get_walker().model.nq == 63


def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    get_walker.cache_clear()
    monkeypatch.setattr(Walker, "save", full)
    assert get_walker().model.nq == 63


def test_the_arena_has_the_wanted_size():
    walker = get_walker((100.0, 100.0))
    np.testing.assert_allclose(walker.model.geom_size[walker.floor_geom, :2], 100.0)


def test_the_engine_runs_from_a_saved_model_without_dm_control(tmp_path):
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.clips.mocap_h5 import write_clips
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.envs.batch import TrackingBatch
    from mocapact_cli.core.sim.observables import ALL_PROPRIOS

    clip = open_library().get("demo_step")
    write_clips(tmp_path / "clip.h5", [clip])
    get_walker().save(tmp_path / "walker")
    subprocess.run([sys.executable, "-c", ENGINE_WITHOUT_DM_CONTROL, str(tmp_path)], check=True)
    with TrackingBatch([(clip, Snippet(clip.id, 0, 60))], num_envs=3, observables=ALL_PROPRIOS, threads=1) as batch:
        expected = [batch.reset()]
        expected += [batch.step(np.full((3, 56), 0.1 * np.sin(step))).observations for step in range(20)]
    np.testing.assert_array_equal(np.load(tmp_path / "seen.npy"), np.array(expected))


TRAINING_WITHOUT_DM_CONTROL = """
import importlib.metadata, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("dm_control", "dm_env"):
            raise ImportError(f"{name} is not installed here")

installed = importlib.metadata.version

def version(name):
    if name in ("dm_control", "dm-control"):
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)

importlib.metadata.version = version
sys.meta_path.insert(0, Refuse())
from mocapact_cli.cli.main import run

run()
"""


def test_the_program_trains_from_a_copied_cache_where_dm_control_is_missing(mocapact_home, tmp_path):
    get_walker.cache_clear()
    get_walker()
    settings = tmp_path / "small.toml"
    settings.write_text("steps_per_update = 64\nn_rsi_episodes = 2\nn_start_episodes = 2\nlayers = [8, 8]\n")
    options = ["--log-root", tmp_path, "--config", settings, "--total-timesteps", 64, "--num-envs", 4]
    command = [sys.executable, "-c", TRAINING_WITHOUT_DM_CONTROL, "expert", "train", "demo_squat", *options]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("demo_squat*/0/eval_rsi/model/best_model.zip"))


def test_without_dm_control_and_without_a_saved_model_the_error_says_what_to_copy(monkeypatch):
    get_walker.cache_clear()
    monkeypatch.setattr(model_module, "_has_dm_control", lambda: False)
    with pytest.raises(MissingDependencyError, match=mujoco.__version__) as caught:
        get_walker()
    assert "copy" in caught.value.hint


def test_without_sensors_the_states_are_the_same():
    walker = get_walker()
    states = []
    for model in (walker.model, walker.inner_model):
        data = mujoco.MjData(model)
        data.qpos[2] = 0.9
        data.ctrl[:] = np.random.default_rng(0).uniform(-0.5, 0.5, 56)
        mujoco.mj_step(model, data, 40)
        states.append(np.concatenate([data.qpos, data.qvel, data.act]))
        assert bool(data.sensordata.any()) is (model is walker.model)
    np.testing.assert_array_equal(*states)


def test_quick_contacts_are_nearly_the_same_forces():
    """On a standing walker: what the quick solver leaves out is small beside what action noise does."""
    walker = get_walker()
    quick = walker.with_quick_contacts()
    assert quick.model.opt.solver == mujoco.mjtSolver.mjSOL_PGS
    assert walker.model.opt.solver == mujoco.mjtSolver.mjSOL_NEWTON
    assert (quick.joint_names, quick.model.opt.timestep) == (walker.joint_names, walker.model.opt.timestep)
    rng, left_out, noise, touched = np.random.default_rng(0), [], [], 0
    exact = mujoco.MjData(walker.model)
    exact.qpos[:] = open_library().get("demo_step").qpos()[0]
    for _ in range(20):
        other, disturbed = (_copy(walker, exact, model) for model in (quick.model, walker.model))
        exact.ctrl[:] = other.ctrl[:] = walker.pose_to_action(exact.qpos[7:])
        disturbed.ctrl[:] = exact.ctrl + 0.1 * rng.standard_normal(56)
        mujoco.mj_step(walker.model, exact, 6)
        mujoco.mj_step(quick.model, other, 6)
        mujoco.mj_step(walker.model, disturbed, 6)
        touched += exact.ncon > 0
        left_out.append(np.square(other.qvel - exact.qvel).mean())
        noise.append(np.square(disturbed.qvel - exact.qvel).mean())
    assert touched > 15
    assert np.sqrt(np.mean(left_out)) < 0.2 * np.sqrt(np.mean(noise))


def _copy(walker, data, model):
    copy = mujoco.MjData(model)
    mujoco.mj_copyState(walker.model, data, copy, int(mujoco.mjtState.mjSTATE_INTEGRATION))
    return copy
