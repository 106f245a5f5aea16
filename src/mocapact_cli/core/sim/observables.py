"""The observables of dm_control's CMU humanoid and tracking task, computed for a whole batch.

Each observable is one function from a `Moment` to an array with one row an environment. Names, order and values
are dm_control's (`walker/...`); `ObservableLayout` says which columns of a flat observation they fill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.errors import UsageError, check_known
from mocapact_cli.core.quaternions import quat_diff, quat_to_axisangle, quat_to_mat
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.references import ReferenceBank
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP, FloatArray, IntArray, Walker

PREFIX = "walker/"
TOUCH_THRESHOLD = 1e-3
"""Newton; a touch sensor above it reads 1 (dm_control's legacy walker)."""
TORQUE_SCALE = 60.0
"""Newton metres; torque sensors read tanh(2 torque / scale) (dm_control's CMU humanoid)."""


@dataclass
class Previous:
    """The pose one control step ago, (n, ...) each; that of the reset right after it."""

    position: FloatArray
    quaternion: FloatArray
    joints: FloatArray


@dataclass
class Moment:
    """What the observables of n environments are computed from.

    Attributes:
        walker: Index tables.
        features: The simulations' state; the first n rows count.
        rows: `slice(0, n)`.
        previous: The pose one control step ago.
        time_in_clip: (n,) share of the snippet's duration that has passed.
        bank: The references; None in tasks without one.
        targets: (n, K) rows of the bank, one for each reference step.
        own: Values (n, size) of the task's own observables, by name.
    """

    walker: Walker
    features: Features
    rows: slice
    previous: Previous
    time_in_clip: FloatArray
    bank: ReferenceBank | None = None
    targets: IntArray | None = None
    own: Mapping[str, FloatArray] = field(default_factory=dict)

    @cached_property
    def rotation(self) -> FloatArray:
        """(n, 3, 3) from the root's frame to the world's."""
        return self.features.root_xmat[self.rows].reshape(-1, 3, 3)

    @cached_property
    def references(self) -> ReferenceBank:
        """The reference bank, where the task has one.

        Raises:
            UsageError: It has none.
        """
        if self.bank is None:
            raise UsageError("This task has no reference motion, so it has no reference observables.")
        return self.bank

    @cached_property
    def body_offsets(self) -> FloatArray:
        """(n, K, 31, 3) reference minus walker body positions, world frame."""
        return self.references.body_positions[self.targets] - self.features.body_positions[self.rows, None]

    def sensor(self, name: str) -> FloatArray:
        """(n, size) readings of a group of sensors."""
        return self.features.sensordata[self.rows, self.walker.sensors[name][0] : self.walker.sensors[name][-1] + 1]


Compute = Callable[[Moment], FloatArray]


@dataclass(frozen=True)
class Observable:
    """An observable: its size (for each reference step, if it looks at them) and how it is computed."""

    size: int
    compute: Compute
    per_reference_step: bool = False


OBSERVABLES: dict[str, Observable] = {}
"""All observables by name."""


def _observable(size: int, *, per_reference_step: bool = False) -> Callable[[Compute], Compute]:
    def register(compute: Compute) -> Compute:
        OBSERVABLES[PREFIX + compute.__name__] = Observable(size, compute, per_reference_step)
        return compute

    return register


@_observable(56)
def actuator_activation(at: Moment) -> FloatArray:
    """Activation states of the actuators, filtered controls in [-1, 1]."""
    return at.features.act[at.rows]


@_observable(15)
def appendages_pos(at: Moment) -> FloatArray:
    """End effectors and head relative to the root, metres, root frame."""
    return at.features.appendages(at.rows)


@_observable(1)
def body_height(at: Moment) -> FloatArray:
    """Height of the root, metres."""
    return at.features.xpos[at.rows, 0, 2:]


@_observable(12)
def end_effectors_pos(at: Moment) -> FloatArray:
    """Right and left radius, right and left foot relative to the root, metres, root frame."""
    return at.sensor("end_effectors_pos")


@_observable(1)
def gyro_anticlockwise_spin(at: Moment) -> FloatArray:
    """Third component of the root's angular velocity, rad/s."""
    return at.sensor("gyro")[:, 2:3]


@_observable(1)
def gyro_backward_roll(at: Moment) -> FloatArray:
    """First component of the root's angular velocity, rad/s."""
    return at.sensor("gyro")[:, 0:1]


@_observable(3)
def gyro_control(at: Moment) -> FloatArray:
    """Angular velocity over the last control step in the previous root frame, rad/s."""
    turn = quat_diff(at.previous.quaternion, at.features.quaternion[at.rows])
    turn /= np.linalg.norm(turn, axis=-1, keepdims=True)
    return quat_to_axisangle(turn) / CONTROL_TIMESTEP


@_observable(1)
def gyro_rightward_roll(at: Moment) -> FloatArray:
    """Second component of the root's angular velocity, rad/s."""
    return at.sensor("gyro")[:, 1:2]


@_observable(1)
def head_height(at: Moment) -> FloatArray:
    """Height of the head, metres."""
    return at.features.xpos[at.rows, at.walker.head + 1, 2:]


@_observable(56)
def joints_pos(at: Moment) -> FloatArray:
    """Joint angles in actuator order, rad."""
    return at.features.joints[at.rows, at.walker.actuator_joint]


@_observable(56)
def joints_vel(at: Moment) -> FloatArray:
    """Joint velocities in actuator order, rad/s."""
    return at.features.qvel[at.rows, 6 + at.walker.actuator_joint]


@_observable(56)
def joints_vel_control(at: Moment) -> FloatArray:
    """Mean joint velocities over the last control step in actuator order, rad/s."""
    moved = (at.features.joints[at.rows] - at.previous.joints)[:, at.walker.actuator_joint]
    return moved / CONTROL_TIMESTEP


@_observable(9)
def orientation(at: Moment) -> FloatArray:
    """Rotation matrix of the root, row by row."""
    return at.features.root_xmat[at.rows]


@_observable(3)
def position(at: Moment) -> FloatArray:
    """Position of the root, metres, world frame."""
    return at.features.xpos[at.rows, 0]


@_observable(15, per_reference_step=True)
def reference_appendages_pos(at: Moment) -> FloatArray:
    """The reference's own end effectors and head relative to its root, metres."""
    return at.references.appendages[at.targets]


@_observable(124, per_reference_step=True)
def reference_ego_bodies_quats(at: Moment) -> FloatArray:
    """Orientations of the reference's bodies relative to its root."""
    return at.references.ego_quaternions[at.targets]


@_observable(93, per_reference_step=True)
def reference_rel_bodies_pos_global(at: Moment) -> FloatArray:
    """Reference minus walker body positions, metres, world frame."""
    return at.body_offsets


@_observable(93, per_reference_step=True)
def reference_rel_bodies_pos_local(at: Moment) -> FloatArray:
    """Reference minus walker body positions, metres, root frame."""
    return np.asarray(np.matmul(at.body_offsets.reshape(len(at.rotation), -1, 3), at.rotation))


@_observable(124, per_reference_step=True)
def reference_rel_bodies_quats(at: Moment) -> FloatArray:
    """Rotations from the walker's bodies to the reference's."""
    return quat_diff(at.features.body_quaternions[at.rows, None], at.references.body_quaternions[at.targets])


@_observable(56, per_reference_step=True)
def reference_rel_joints(at: Moment) -> FloatArray:
    """Reference minus walker joint angles in actuator order, rad."""
    order = at.walker.actuator_joint
    walker = at.features.joints[at.rows, order]
    return at.references.joints[at.targets][..., order] - walker[:, None]


@_observable(3, per_reference_step=True)
def reference_rel_root_pos_local(at: Moment) -> FloatArray:
    """Reference minus walker position, metres, root frame."""
    offset = at.references.qpos[at.targets, :3] - at.features.position[at.rows, None]
    return np.asarray(np.matmul(offset, at.rotation))


@_observable(4, per_reference_step=True)
def reference_rel_root_quat(at: Moment) -> FloatArray:
    """Rotation from the walker's root to the reference's."""
    return quat_diff(at.features.quaternion[at.rows, None], at.references.qpos[at.targets, 3:7])


@_observable(3)
def sensors_accelerometer(at: Moment) -> FloatArray:
    """Linear acceleration of the root in its frame, m/s^2, of the last physics step."""
    return at.sensor("accelerometer")


@_observable(3)
def sensors_gyro(at: Moment) -> FloatArray:
    """Angular velocity of the root in its frame, rad/s."""
    return at.sensor("gyro")


@_observable(6)
def sensors_torque(at: Moment) -> FloatArray:
    """Torques at the shoulders, squashed to (-1, 1), of the last physics step."""
    return np.tanh(2.0 * at.sensor("torque") / TORQUE_SCALE)


@_observable(10)
def sensors_touch(at: Moment) -> FloatArray:
    """Whether hands, fingers, thumbs, toes and feet touch something, 0 or 1, of the last physics step."""
    return (at.sensor("touch") > TOUCH_THRESHOLD).astype(np.float64)


@_observable(3)
def sensors_velocimeter(at: Moment) -> FloatArray:
    """Linear velocity of the root in its frame, m/s."""
    return at.sensor("velocimeter")


@_observable(1)
def time_in_clip(at: Moment) -> FloatArray:
    """Share of the snippet's duration that has passed, from 0 to about 1."""
    return at.time_in_clip[:, None]


@_observable(1)
def torso_xvel(at: Moment) -> FloatArray:
    """Velocity of the root's subtree along the world's x axis, m/s."""
    return at.features.torso_linvel[at.rows, 0:1]


@_observable(1)
def torso_yvel(at: Moment) -> FloatArray:
    """Velocity of the root's subtree along the world's y axis, m/s."""
    return at.features.torso_linvel[at.rows, 1:2]


@_observable(1)
def veloc_forward(at: Moment) -> FloatArray:
    """First component of the root's linear velocity, m/s."""
    return at.sensor("velocimeter")[:, 0:1]


@_observable(1)
def veloc_strafe(at: Moment) -> FloatArray:
    """Second component of the root's linear velocity, m/s."""
    return at.sensor("velocimeter")[:, 1:2]


@_observable(1)
def veloc_up(at: Moment) -> FloatArray:
    """Third component of the root's linear velocity, m/s."""
    return at.sensor("velocimeter")[:, 2:3]


@_observable(3)
def velocimeter_control(at: Moment) -> FloatArray:
    """Linear velocity over the last control step in the previous root frame, m/s."""
    velocity = (at.features.position[at.rows] - at.previous.position) / CONTROL_TIMESTEP
    return np.asarray(np.matmul(velocity[:, None], quat_to_mat(at.previous.quaternion)))[:, 0]


@_observable(3)
def world_zaxis(at: Moment) -> FloatArray:
    """The world's upward direction in the root's frame."""
    return at.features.root_xmat[at.rows, 6:]


NEEDS_SUBTREE_VELOCITIES = frozenset({"walker/torso_xvel", "walker/torso_yvel"})
"""Observables for which the physics must compute the subtree's velocity."""


def _names(*names: str) -> tuple[str, ...]:
    return tuple(PREFIX + name for name in names)


BASE = _names(
    "joints_pos", "joints_vel", "sensors_velocimeter", "sensors_gyro", "end_effectors_pos", "world_zaxis",
    "actuator_activation", "sensors_touch", "sensors_torque",
)  # fmt: skip
"""Proprioception of all policies; what an action decoder sees."""
TIME_INDEX = (*BASE, *_names("time_in_clip"))
"""Observables of experts."""
HIGH_LEVEL_SANS_REFERENCE = (*BASE, *_names("body_height"))
"""Observables of the GPT."""
HIGH_LEVEL = (*HIGH_LEVEL_SANS_REFERENCE, *_names("reference_rel_bodies_pos_local", "reference_rel_bodies_quats"))
"""Observables of multi-clip policies; what a reference encoder sees."""
MULTI_CLIP_SANS_ID = _names(
    "actuator_activation", "appendages_pos", "body_height", "end_effectors_pos", "gyro_control", "joints_pos",
    "joints_vel", "joints_vel_control", "sensors_accelerometer", "sensors_gyro", "sensors_torque", "sensors_touch",
    "sensors_velocimeter", "time_in_clip", "velocimeter_control", "world_zaxis", "reference_rel_joints",
    "reference_rel_bodies_pos_global", "reference_rel_bodies_quats", "reference_rel_bodies_pos_local",
    "reference_ego_bodies_quats", "reference_rel_root_quat", "reference_rel_root_pos_local", "reference_appendages_pos",
)  # fmt: skip
"""The 24 observables that the published experts' observation space names."""
ALL_PROPRIOS = tuple(sorted(OBSERVABLES))
"""All 35 observables in alphabetical order: the columns of the published rollouts."""


class ObservableLayout:
    """Where each observable lies in a flat observation.

    Attributes:
        names: The observables in order.
        slices: Name -> columns.
        size: Number of columns.

    Args:
        names: Observables, each at most once.
        ref_steps: The task's reference steps.
        own: Sizes of observables that only the task has, by name.

    Raises:
        UsageError: If a name is unknown or repeated.
    """

    def __init__(
        self, names: Sequence[str], ref_steps: Sequence[int], own: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self.names = tuple(names)
        self.slices: dict[str, slice] = {}
        self.size = 0
        self._ref_steps = tuple(ref_steps)
        for name in self.names:
            width = own[name] if name in own else observable_size(name, len(ref_steps))
            if name in self.slices:
                raise UsageError(f"Observable {name} is asked for twice.", hint="Name each observable once.")
            self.slices[name] = slice(self.size, self.size + width)
            self.size += width

    def columns(self, names: Sequence[str], ref_steps: Sequence[int] | None = None) -> IntArray:
        """Column numbers of some observables, in the order of `names`.

        Args:
            ref_steps: Of those that look ahead, only these of the layout's reference steps.
        """
        return np.concatenate([self._columns_of(name, ref_steps) for name in names])

    def split(self, flat: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Views by name of flat observations (..., size)."""
        return {name: flat[..., columns] for name, columns in self.slices.items()}

    def _columns_of(self, name: str, ref_steps: Sequence[int] | None) -> IntArray:
        columns = np.arange(self.slices[name].start, self.slices[name].stop)
        if ref_steps is None or not OBSERVABLES[name].per_reference_step:
            return columns
        blocks = columns.reshape(len(self._ref_steps), -1)
        return np.concatenate([blocks[self._ref_steps.index(step)] for step in sorted(ref_steps)])


def observable_size(name: str, num_ref_steps: int) -> int:
    """Columns of an observable.

    Raises:
        UsageError: If the name is unknown; the message names the nearest one.
    """
    check_known(name, OBSERVABLES, "observable")
    spec = OBSERVABLES[name]
    return spec.size * (num_ref_steps if spec.per_reference_step else 1)


def observe(moment: Moment, layout: ObservableLayout, out: NDArray[np.float32]) -> None:
    """Write the observables of `layout` into `out` (n, size)."""
    for name, columns in layout.slices.items():
        value = moment.own[name] if name in moment.own else OBSERVABLES[name].compute(moment)
        out[:, columns] = value.reshape(len(out), -1)
