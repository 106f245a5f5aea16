"""The simulated body: dm_control's `CMUHumanoidPositionControlledV2020` on a floor, compiled once.

The model is built from dm_control's walker and arena, then saved together with the index tables, so that later
processes (and machines without dm_control) load it directly.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.metadata
import json
import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core import paths
from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import InvalidInputError, MissingDependencyError
from mocapact_cli.core.json_files import write_json

IntArray = NDArray[np.intp]
FloatArray = NDArray[np.float64]

PHYSICS_TIMESTEP = 0.005
"""Seconds a physics step."""
SUBSTEPS = 6
"""Physics steps a control step."""
CONTROL_TIMESTEP = 0.03
"""Seconds a control step."""
NUM_JOINTS = 56
"""Hinge joints, position actuators and so the action size."""
NUM_BODIES = 31
"""Bodies that tracking compares: all of the walker's but the root."""

_PREFIX = "walker/"
_FORMAT = 1
_END_EFFECTORS = ("rradius", "lradius", "rfoot", "lfoot")
_DEFAULT_ARENA = (8.0, 8.0)
_QUICK_ITERATIONS = 20


@dataclass(frozen=True, eq=False)
class Walker:
    """A compiled model with the tables that name its parts.

    Attributes:
        model: The compiled model; shared between threads, never to be changed.
        joint_names: (56,) hinge names without prefix, in mocap order, which is also the order in `qpos[7:]`.
        actuator_names: (56,) actuator names; alphabetical, the order of actions and joint observables.
        body_names: (31,) names of the tracked bodies, in model order.
        actuator_joint: (56,) for each actuator the index of its joint in mocap order.
        tracking_bodies: (31,) model body ids; contiguous, right after the root.
        root_body: Model id of the body named `root`.
        frame_body: Model id of the body that carries the free joint.
        end_effectors: (4,) indices into the tracked bodies: right and left radius, right and left foot.
        head: Index of the head in the tracked bodies.
        foot_geoms: Model ids of the geoms that may touch the floor.
        floor_geom: Model id of the floor.
        sensors: Sensor group -> columns of `sensordata`.
    """

    model: mujoco.MjModel
    joint_names: tuple[str, ...]
    actuator_names: tuple[str, ...]
    body_names: tuple[str, ...]
    actuator_joint: IntArray
    tracking_bodies: IntArray
    root_body: int
    frame_body: int
    end_effectors: IntArray
    head: int
    foot_geoms: IntArray
    floor_geom: int
    sensors: dict[str, IntArray]

    @cached_property
    def joint_range(self) -> FloatArray:
        """(56, 2) lower and upper joint limits in radians, in mocap order."""
        return np.array(self.model.jnt_range[1:])

    @cached_property
    def reset_model(self) -> mujoco.MjModel:
        """The same model with actuation off: what dm_control evaluates at a reset, before any control is known."""
        model = copy.deepcopy(self.model)
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION
        return model

    @cached_property
    def inner_model(self) -> mujoco.MjModel:
        """The same model without its sensors, for physics steps whose outcome nobody observes; states are the same."""
        model = copy.deepcopy(self.model)
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_SENSOR
        return model

    def has_fallen(self, data: mujoco.MjData) -> bool:
        """Whether any part of the body but the feet touches the floor."""
        # A handful of contacts at a time, once a control step: plain Python is faster at that than NumPy.
        floor, held_up = self.floor_geom, self._held_up
        return any(
            (first == floor and second in held_up) or (second == floor and first in held_up)
            for first, second in data.contact.geom.tolist()
        )

    @cached_property
    def _held_up(self) -> frozenset[int]:
        """The geoms that a standing walker keeps off the floor."""
        return frozenset(range(self.model.ngeom)) - {self.floor_geom, *self.foot_geoms}

    def with_quick_contacts(self) -> Walker:
        """The same body with contact forces from MuJoCo's dual solver, stopped after 20 iterations.

        Both solvers approach the same forces. A walker has a dozen constraints at a time, for which the dual one is
        faster by more than half; what it leaves out is far below what action noise does to a contact.
        """
        model = copy.deepcopy(self.model)
        model.opt.solver = mujoco.mjtSolver.mjSOL_PGS
        model.opt.iterations = _QUICK_ITERATIONS
        model.opt.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND | mujoco.mjtDisableBit.mjDSBL_MIDPHASE
        return replace(self, model=model)

    def pose_to_action(self, joints: FloatArray) -> FloatArray:
        """Action whose position targets are the given joint angles.

        Args:
            joints: (..., 56) radians in mocap order.

        Returns:
            (..., 56) actions in actuator order; outside [-1, 1] where an angle lies outside its joint's range.
        """
        lower, upper = self.joint_range[self.actuator_joint].T
        action: FloatArray = (2.0 * joints[..., self.actuator_joint] - (upper + lower)) / (upper - lower)
        return action

    def save(self, folder: Path) -> None:
        """Write `walker.mjb` and `walker.json` into `folder`; `load` needs no dm_control."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / "walker.mjb", suffix=".mjb") as temporary:
            mujoco.mj_saveModel(self.model, str(temporary))
        write_json(folder / "walker.json", {"format": _FORMAT, "mujoco": mujoco.__version__, **self._tables()})

    @classmethod
    def load(cls, folder: Path) -> Walker:
        """Read what `save` wrote.

        Raises:
            InvalidInputError: If a file is missing, damaged or of another MuJoCo version.
        """
        try:
            tables = json.loads((folder / "walker.json").read_text())
            if (tables["format"], tables["mujoco"]) != (_FORMAT, mujoco.__version__):
                raise ValueError(f"saved by MuJoCo {tables['mujoco']}, this is {mujoco.__version__}")
            model = mujoco.MjModel.from_binary_path(str(folder / "walker.mjb"))
            return _from_tables(model, tables)
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = "Save the model again with the versions installed here."
            raise InvalidInputError(f"{folder} holds no usable walker model: {error}", hint=hint) from error

    def _tables(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if name in _TABLES}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in plain.items()} | {
            "sensors": {name: columns.tolist() for name, columns in self.sensors.items()}
        }


_TABLES = (
    "joint_names", "actuator_names", "body_names", "actuator_joint", "tracking_bodies", "root_body", "frame_body",
    "end_effectors", "head", "foot_geoms", "floor_geom",
)  # fmt: skip
_INDEX_TABLES = ("actuator_joint", "tracking_bodies", "end_effectors", "foot_geoms")


def _from_tables(model: mujoco.MjModel, tables: dict[str, Any]) -> Walker:
    values = {name: tables[name] for name in _TABLES}
    for name in _INDEX_TABLES:
        values[name] = np.array(values[name], dtype=np.intp)
    for name in ("joint_names", "actuator_names", "body_names"):
        values[name] = tuple(values[name])
    sensors = {name: np.array(columns, dtype=np.intp) for name, columns in tables["sensors"].items()}
    return Walker(model=model, sensors=sensors, **values)


@functools.lru_cache(maxsize=4)
def get_walker(arena_size: tuple[float, float] = _DEFAULT_ARENA) -> Walker:
    """The walker on a floor of `arena_size` metres (half extents), compiled once a process.

    The compiled model is kept under the cache folder by versions, so only the first process pays for dm_control. Where
    dm_control is not installed, a cache folder that was copied from another machine serves, whichever dm_control made
    it.

    Raises:
        MissingDependencyError: If neither dm_control nor a saved model of this MuJoCo version is there.
    """
    if not _has_dm_control():
        return _copied(arena_size)
    folder = _cache() / _cache_key(importlib.metadata.version("dm_control"), arena_size)
    try:
        return Walker.load(folder)
    except InvalidInputError:
        walker = build_walker(arena_size)
    # The cache only saves time: a read-only or full home must not stop the work.
    with contextlib.suppress(OSError):
        walker.save(folder)
    return walker


def _cache() -> Path:
    return paths.cache_dir() / "walker"


def _cache_key(dm_control: str, arena_size: tuple[float, float]) -> str:
    size = f"{arena_size[0]:g}x{arena_size[1]:g}"
    return f"{_FORMAT}-dm_control-{dm_control}-mujoco-{mujoco.__version__}-{size}"


def _copied(arena_size: tuple[float, float]) -> Walker:
    for folder in sorted(_cache().glob(_cache_key("*", arena_size)), reverse=True):
        with contextlib.suppress(InvalidInputError):
            return Walker.load(folder)
    raise MissingDependencyError(
        f"dm_control is not installed, and {_cache()} holds no walker saved by MuJoCo {mujoco.__version__}.",
        hint="Install dm_control, or copy that folder from a machine that has it, with the same MuJoCo.",
    )


def _has_dm_control() -> bool:
    try:
        importlib.metadata.version("dm_control")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def build_walker(arena_size: tuple[float, float] = _DEFAULT_ARENA) -> Walker:
    """Build the walker from dm_control, whether or not a saved model of it is at hand.

    Args:
        arena_size: Half extents of the floor in metres.
    """
    with warnings.catch_warnings():
        # On a machine without a screen the import warns of a window library that is not needed here.
        warnings.simplefilter("ignore")
        from dm_control import mjcf
        from dm_control.locomotion.arenas import floors
        from dm_control.locomotion.walkers import cmu_humanoid

    walker = cmu_humanoid.CMUHumanoidPositionControlledV2020(name="walker")
    arena = floors.Floor(size=arena_size)
    walker.create_root_joints(arena.attach(walker))
    arena.mjcf_model.option.timestep = PHYSICS_TIMESTEP
    # Naming this observable adds the end effectors' position sensors to the model, as any dm_control task does.
    _ = walker.observables.end_effectors_pos
    physics = mjcf.Physics.from_mjcf_model(arena.mjcf_model)
    return _index(physics.model.ptr)


def _index(model: mujoco.MjModel) -> Walker:
    names = _Names(model)
    joints, actuators = names.all(mujoco.mjtObj.mjOBJ_JOINT)[1:], names.all(mujoco.mjtObj.mjOBJ_ACTUATOR)
    bodies = names.all(mujoco.mjtObj.mjOBJ_BODY)
    root = bodies.index("root")
    tracked = bodies[root + 1 :]
    feet = {bodies.index(name) for name in bodies if name in ("lfoot", "rfoot", "ltoes", "rtoes")}
    return Walker(
        model=model,
        joint_names=tuple(joints),
        actuator_names=tuple(actuators),
        body_names=tuple(tracked),
        actuator_joint=np.array([joints.index(name) for name in actuators], dtype=np.intp),
        tracking_bodies=np.arange(root + 1, len(bodies), dtype=np.intp),
        root_body=root,
        frame_body=int(model.body_parentid[root]),
        end_effectors=np.array([tracked.index(name) for name in _END_EFFECTORS], dtype=np.intp),
        head=tracked.index("head"),
        foot_geoms=np.array([g for g in range(model.ngeom) if model.geom_bodyid[g] in feet], dtype=np.intp),
        floor_geom=names.all(mujoco.mjtObj.mjOBJ_GEOM).index("groundplane"),
        sensors=_sensor_columns(model),
    )


class _Names:
    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.counts = {
            mujoco.mjtObj.mjOBJ_JOINT: model.njnt,
            mujoco.mjtObj.mjOBJ_ACTUATOR: model.nu,
            mujoco.mjtObj.mjOBJ_BODY: model.nbody,
            mujoco.mjtObj.mjOBJ_GEOM: model.ngeom,
        }

    def all(self, kind: mujoco.mjtObj) -> list[str]:
        names = (mujoco.mj_id2name(self.model, kind, index) or "" for index in range(self.counts[kind]))
        return [name.removeprefix(_PREFIX) for name in names]


_SENSOR_GROUPS = {
    "velocimeter": mujoco.mjtSensor.mjSENS_VELOCIMETER,
    "gyro": mujoco.mjtSensor.mjSENS_GYRO,
    "accelerometer": mujoco.mjtSensor.mjSENS_ACCELEROMETER,
    "touch": mujoco.mjtSensor.mjSENS_TOUCH,
    "torque": mujoco.mjtSensor.mjSENS_TORQUE,
    "end_effectors_pos": mujoco.mjtSensor.mjSENS_FRAMEPOS,
}


def _sensor_columns(model: mujoco.MjModel) -> dict[str, IntArray]:
    def columns(kind: int) -> IntArray:
        chosen = np.flatnonzero(model.sensor_type == kind)
        spans = [np.arange(model.sensor_adr[s], model.sensor_adr[s] + model.sensor_dim[s]) for s in chosen]
        return np.concatenate(spans).astype(np.intp)

    return {name: columns(int(kind)) for name, kind in _SENSOR_GROUPS.items()}
