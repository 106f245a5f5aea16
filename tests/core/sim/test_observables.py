import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.sim.observables import (
    ALL_PROPRIOS,
    BASE,
    HIGH_LEVEL,
    HIGH_LEVEL_SANS_REFERENCE,
    MULTI_CLIP_SANS_ID,
    OBSERVABLES,
    TIME_INDEX,
    Moment,
    ObservableLayout,
    Previous,
    observable_size,
    observe,
)
from mocapact_cli.core.walker.model import get_walker

COLUMNS = {
    "actuator_activation": 56, "appendages_pos": 15, "body_height": 1, "end_effectors_pos": 12,
    "gyro_anticlockwise_spin": 1, "gyro_backward_roll": 1, "gyro_control": 3, "gyro_rightward_roll": 1,
    "head_height": 1, "joints_pos": 56, "joints_vel": 56, "joints_vel_control": 56, "orientation": 9, "position": 3,
    "reference_appendages_pos": 75, "reference_ego_bodies_quats": 620, "reference_rel_bodies_pos_global": 465,
    "reference_rel_bodies_pos_local": 465, "reference_rel_bodies_quats": 620, "reference_rel_joints": 280,
    "reference_rel_root_pos_local": 15, "reference_rel_root_quat": 20, "sensors_accelerometer": 3, "sensors_gyro": 3,
    "sensors_torque": 6, "sensors_touch": 10, "sensors_velocimeter": 3, "time_in_clip": 1, "torso_xvel": 1,
    "torso_yvel": 1, "veloc_forward": 1, "veloc_strafe": 1, "veloc_up": 1, "velocimeter_control": 3, "world_zaxis": 3,
}  # fmt: skip
"""Of the published rollouts, with five reference steps."""


@pytest.fixture
def moment(features_at, bank):
    """Two walkers exactly in poses 10 and 20 of the walking clip, looking one and two steps ahead."""
    features = features_at([10, 20])
    pose = features.qpos.copy()
    targets = np.array([[11, 12], [21, 22]])
    previous = Previous(pose[:, :3], pose[:, 3:7], pose[:, 7:])
    return Moment(get_walker(), features, slice(0, 2), previous, np.array([0.1, 0.2]), bank, targets)


def value(moment, name):
    return OBSERVABLES[f"walker/{name}"].compute(moment)


def test_the_columns_are_those_of_the_published_rollouts():
    layout = ObservableLayout(ALL_PROPRIOS, (1, 2, 3, 4, 5))
    assert {name.removeprefix("walker/"): s.stop - s.start for name, s in layout.slices.items()} == COLUMNS
    assert [name.removeprefix("walker/") for name in layout.names] == list(COLUMNS)
    assert layout.size == 2868


def test_the_groups_nest():
    assert set(BASE) < set(TIME_INDEX)
    assert set(BASE) < set(HIGH_LEVEL_SANS_REFERENCE) < set(HIGH_LEVEL) < set(MULTI_CLIP_SANS_ID) < set(ALL_PROPRIOS)
    assert len(MULTI_CLIP_SANS_ID) == 24
    assert len(ALL_PROPRIOS) == 35


def test_columns_and_split_agree():
    layout = ObservableLayout(HIGH_LEVEL, (1, 2))
    flat = np.arange(3 * layout.size, dtype=np.float32).reshape(3, -1)
    wanted = ("walker/world_zaxis", "walker/joints_pos")
    parts = layout.split(flat)
    assert list(parts) == list(HIGH_LEVEL)
    expected = np.concatenate([parts[name] for name in wanted], axis=1)
    np.testing.assert_array_equal(flat[:, layout.columns(wanted)], expected)


def test_columns_of_some_reference_steps():
    layout = ObservableLayout(("walker/body_height", "walker/reference_rel_root_quat"), (1, 3, 5))
    names = ("walker/reference_rel_root_quat", "walker/body_height")
    assert layout.columns(names, (5, 3)).tolist() == [5, 6, 7, 8, 9, 10, 11, 12, 0]
    assert layout.columns(names).tolist() == [*range(1, 13), 0]


def test_unknown_and_repeated_names_are_refused():
    with pytest.raises(UsageError) as caught:
        observable_size("walker/joint_pos", 1)
    assert "walker/joints_pos" in caught.value.hint
    with pytest.raises(UsageError, match="twice"):
        ObservableLayout(["walker/joints_pos", "walker/joints_pos"], (0,))


def test_reference_observables_need_a_reference(moment):
    moment.bank = None
    with pytest.raises(UsageError, match="no reference"):
        value(moment, "reference_rel_joints")


def test_every_observable_has_its_declared_size(moment):
    for name, spec in OBSERVABLES.items():
        computed = np.asarray(spec.compute(moment)).reshape(2, -1)
        assert computed.shape == (2, observable_size(name, 2)), name
        assert np.isfinite(computed).all(), name


def test_joints_are_in_actuator_order(moment, clips):
    walker, clip = get_walker(), clips["demo_walk"]
    names = [walker.joint_names[joint] for joint in walker.actuator_joint]
    knee = names.index("rtibiarx")
    mocap_knee = walker.joint_names.index("rtibiarx")
    np.testing.assert_allclose(value(moment, "joints_pos")[:, knee], clip.joints[[10, 20], mocap_knee])
    np.testing.assert_allclose(value(moment, "joints_vel")[:, knee], clip.joints_velocity[[10, 20], mocap_knee])
    ahead = value(moment, "reference_rel_joints")
    expected = clip.joints[[12, 22], mocap_knee] - clip.joints[[10, 20], mocap_knee]
    np.testing.assert_allclose(ahead[:, 1, knee], expected)


def test_the_clips_own_features_are_seen_where_the_walker_is_on_it(moment, clips):
    clip = clips["demo_walk"]
    appendages = value(moment, "appendages_pos").reshape(2, 5, 3)
    np.testing.assert_allclose(appendages, clip.appendages[[10, 20]], atol=1e-9)
    np.testing.assert_allclose(value(moment, "end_effectors_pos").reshape(2, 4, 3), appendages[:, :4], atol=1e-9)
    offsets = value(moment, "reference_rel_bodies_pos_global").reshape(2, 2, 31, 3)
    expected = clip.body_positions[[11, 21]] - clip.body_positions[[10, 20]]
    np.testing.assert_allclose(offsets[:, 0], expected, atol=1e-9)
    local = value(moment, "reference_rel_bodies_pos_local").reshape(2, 2, 31, 3)
    np.testing.assert_allclose(np.linalg.norm(local, axis=-1), np.linalg.norm(offsets, axis=-1), atol=1e-12)


def test_nothing_has_moved_right_after_a_reset(moment):
    for name in ("joints_vel_control", "gyro_control", "velocimeter_control"):
        np.testing.assert_allclose(value(moment, name), 0.0, atol=1e-12)


def test_velocities_over_the_control_step(moment, clips):
    clip = clips["demo_walk"]
    before = clip.qpos()[[9, 19]]
    moment.previous = Previous(before[:, :3], before[:, 3:7], before[:, 7:])
    moved = np.linalg.norm(clip.position[[10, 20]] - clip.position[[9, 19]], axis=1) / 0.03
    np.testing.assert_allclose(np.linalg.norm(value(moment, "velocimeter_control"), axis=1), moved)
    order = get_walker().actuator_joint
    expected = (clip.joints[[10, 20]] - clip.joints[[9, 19]])[:, order] / 0.03
    np.testing.assert_allclose(value(moment, "joints_vel_control"), expected)


def test_upright_walking_sees_the_sky_above(moment):
    # The walker's root has its y axis up.
    np.testing.assert_allclose(value(moment, "world_zaxis")[:, 1], 1.0, atol=0.05)
    assert (value(moment, "head_height") > value(moment, "body_height") + 0.4).all()
    assert set(np.unique(value(moment, "sensors_touch"))) <= {0.0, 1.0}
    assert (np.abs(value(moment, "sensors_torque")) <= 1.0).all()


def test_observe_writes_float32_in_the_layouts_order(moment):
    layout = ObservableLayout(["walker/time_in_clip", "walker/joints_pos"], (1, 2))
    out = np.full((2, layout.size), np.nan, np.float32)
    observe(moment, layout, out)
    np.testing.assert_allclose(out[:, 0], [0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(out[:, 1:], value(moment, "joints_pos").astype(np.float32))
