"""Built-in clips that need no download: generated, deterministic, and such that a physical body can follow them.

Feet stand flat and do not slide, the centre of mass moves as a linear inverted pendulum whose support lies under the
carrying feet, and every curve has continuous velocity and acceleration. The walker faces +x.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from mocapact_cli.core import quaternions
from mocapact_cli.core.clips.built_in import DEMOS
from mocapact_cli.core.clips.clip import CONTROL_TIMESTEP, Clip, FloatArray
from mocapact_cli.core.errors import NotFoundError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from mocapact_cli.core.walker import Walker

_GRAVITY = 9.81
_COM_HEIGHT = 1.1
_COM_AHEAD = 0.06
"""Metres from the ankles forward to the centre of mass when standing: above the middle of the feet."""
_STANCE, _NARROW = 0.12, 0.09
"""Metres from the middle to each ankle: standing, and walking (the ankle cannot roll, so the legs must lean little)."""
_SWING_HEIGHT = 0.05
_INWARD = 0.04
"""Metres inside the ankle where a single foot carries the body; its sole is 0.07 wide to each side."""

_STANDING = {"lradiusrx": 25.0, "lhumerusrz": 62.0, "lhumerusrx": -25.0, "lfingersrx": 20.0, "lthumbrx": 20.0}
_LEG_GUESS = {"lfemurrz": -21.0, "lfemurrx": -12.0, "ltibiarx": 30.0, "lfootrx": -25.0}
_MIRRORED = ("ry", "rz")


@dataclass
class _Plan:
    """A motion before the legs are solved: T poses.

    Attributes:
        times: (T,) seconds.
        ankles: (T, 2, 2) horizontal positions of the left and the right ankle.
        lift: (T, 2) their heights above flat standing.
        support: (T, 2) point under which the floor carries the body (the zero-moment point).
        height: (T,) of the root.
        pitch: (T,) of the pelvis forward, radians.
        joints: Joint name -> (T,) degrees, for everything but the legs.
    """

    times: FloatArray
    ankles: FloatArray
    lift: FloatArray
    support: FloatArray
    height: FloatArray
    pitch: FloatArray
    joints: dict[str, FloatArray] = field(default_factory=dict)

    def move(self, joint: str, degrees: FloatArray) -> None:
        """Add to a joint's angle; names without a side move both, mirrored."""
        for name, sign in _sides(joint):
            self.joints[name] = self.joints.get(name, np.zeros_like(self.times)) + sign * degrees


def _sides(joint: str) -> tuple[tuple[str, float], ...]:
    """The joint on the left and its mirror image on the right; a joint of the trunk stays what it is."""
    if not joint.startswith("l") or joint.startswith("lower"):
        return ((joint, 1.0),)
    return (joint, 1.0), ("r" + joint[1:], -1.0 if joint.endswith(_MIRRORED) else 1.0)


def ease(times: FloatArray, start: float, end: float) -> FloatArray:
    """Rise from 0 at `start` to 1 at `end` with zero velocity and acceleration at both (minimum jerk)."""
    t = np.clip((times - start) / (end - start), 0.0, 1.0)
    return np.asarray(t**3 * (10.0 + t * (6.0 * t - 15.0)))


def bump(times: FloatArray, start: float, end: float) -> FloatArray:
    """Rise from 0 to 1 and back between `start` and `end`, without velocity and acceleration at both."""
    t = np.clip((times - start) / (end - start), 0.0, 1.0)
    return np.asarray(64.0 * (t * (1.0 - t)) ** 3)


def _hold(times: FloatArray, up: tuple[float, float], down: tuple[float, float]) -> FloatArray:
    """0, then 1 between the two slopes, then 0 again."""
    return ease(times, *up) - ease(times, *down)


def _stand(seconds: float, height: float = 1.115, half_stance: float = _STANCE) -> _Plan:
    """Standing still, feet apart, arms down."""
    times = np.arange(round(seconds / CONTROL_TIMESTEP) + 1, dtype=np.float64) * CONTROL_TIMESTEP
    steps = len(times)
    ankles = np.tile([[0.0, half_stance], [0.0, -half_stance]], (steps, 1, 1))
    plan = _Plan(
        times, ankles, np.zeros((steps, 2)), np.tile([_COM_AHEAD, 0.0], (steps, 1)), np.full(steps, height),
        np.full(steps, np.deg2rad(6.0)),
    )  # fmt: skip
    for joint, degrees in {**_STANDING, **_LEG_GUESS}.items():
        plan.move(joint, np.full(steps, degrees))
    return plan


def _reach() -> _Plan:
    """Both hands forward, then one after the other up and out, knees giving a little."""
    plan = _stand(4.5)
    t = plan.times
    front, right, left = (
        _hold(t, (0.3, 1.2), (3.3, 4.2)),
        _hold(t, (1.2, 1.9), (2.1, 2.8)),
        _hold(t, (1.9, 2.6), (2.7, 3.4)),
    )
    plan.move("lhumerusrx", 55.0 * front)
    plan.move("lradiusrx", 10.0 * front)
    plan.joints["rhumerusrx"] += 40.0 * right
    plan.joints["lhumerusrx"] += 40.0 * left
    for joint in ("lowerbackry", "upperbackry", "thoraxry"):
        plan.move(joint, 6.0 * (right - left))
    for joint in ("lowerbackrx", "upperbackrx"):
        plan.move(joint, 4.0 * front)
    plan.height -= 0.03 * front
    plan.support[:, 1] += 0.02 * (left - right)
    return plan


def _squat() -> _Plan:
    """Down on the heels of a half squat with the arms forward as a counterweight, a pause, and up again."""
    plan = _stand(1.8)
    down = _hold(plan.times, (0.05, 0.8), (0.85, 1.65))
    plan.height -= 0.24 * down
    plan.pitch += np.deg2rad(16.0) * down
    plan.move("lhumerusrx", 65.0 * down)
    plan.move("lradiusrx", -10.0 * down)
    plan.move("lowerbackrx", 6.0 * down)
    plan.move("upperbackrx", 4.0 * down)
    plan.move("upperneckrx", -8.0 * down)
    return plan


def _step() -> _Plan:
    """Four steps in place."""
    plan = _stand(6.0, 1.095, _NARROW)
    _take_steps(plan, first=1.05, period=0.93, swing=0.48, count=4, stride=0.0)
    return plan


def _walk() -> _Plan:
    """Six steps forward, the last one closing."""
    plan = _stand(5.7, 1.085, _NARROW)
    _take_steps(plan, first=0.9, period=0.66, swing=0.42, count=6, stride=0.25)
    return plan


def _take_steps(plan: _Plan, *, first: float, period: float, swing: float, count: int, stride: float) -> None:
    """Alternate swings, the left foot first; the support moves onto the standing foot before each.

    Args:
        first: Seconds of the first swing's start.
        period: From one swing's start to the next.
        swing: Seconds a foot is in the air.
        stride: Metres that the feet are apart in the middle of the walk.
    """
    times, span = plan.times, period - swing
    for index in range(count):
        side, start = index % 2, first + index * period
        length = stride if index in (0, count - 1) else 2.0 * stride
        other = 1 - side
        plan.support += ease(times, start - span, start)[:, None] * (_onto(plan, other, start) - plan.support[-1])
        plan.ankles[:, side, 0] += length * ease(times, start + 0.12 * swing, start + 0.88 * swing)
        plan.lift[:, side] += _SWING_HEIGHT * bump(times, start, start + swing)
        _swing_arms(plan, side, start, swing, length)
    end = first + (count - 1) * period + swing
    middle = plan.ankles[-1].mean(axis=0) + np.array([_COM_AHEAD, 0.0])
    plan.support += ease(times, end, end + 2.0 * span)[:, None] * (middle - plan.support[-1])


def _onto(plan: _Plan, side: int, time: float) -> FloatArray:
    """Where one foot carries the body: ahead of its ankle, a little to the inside."""
    row = int(np.searchsorted(plan.times, time))
    inside = -_INWARD if side == 0 else _INWARD
    return np.asarray(plan.ankles[row, side] + [_COM_AHEAD, inside])


def _swing_arms(plan: _Plan, side: int, start: float, swing: float, length: float) -> None:
    """The arm opposite to the stepping foot goes forward with it."""
    reach = 40.0 * length * bump(plan.times, start - 0.1, start + swing + 0.1)
    names = ("rhumerusrx", "lhumerusrx") if side == 0 else ("lhumerusrx", "rhumerusrx")
    for name, sign in zip(names, (1.0, -1.0), strict=True):
        plan.joints[name] = plan.joints[name] + sign * reach


_PLANS: dict[str, Callable[[], _Plan]] = {
    "demo_reach": _reach,
    "demo_squat": _squat,
    "demo_step": _step,
    "demo_walk": _walk,
}


@cache
def demo(clip_id: str) -> Clip:
    """A built-in clip; generated in about a tenth of a second and kept in memory.

    Raises:
        NotFoundError: There is no built-in clip of that name.
    """
    if clip_id not in DEMOS:
        raise NotFoundError(f"There is no built-in clip {clip_id!r}.", hint=did_you_mean(clip_id, DEMOS))
    return generate(clip_id)


def generate(clip_id: str, walker: Walker | None = None) -> Clip:
    """Compute a built-in clip.

    Args:
        clip_id: A key of `DEMOS`.
    """
    from mocapact_cli.core.clips.leg_ik import LegSolver, Stance, flat_foot
    from mocapact_cli.core.walker import get_walker

    walker = walker or get_walker()
    plan = _PLANS[clip_id]()
    rotations, heights = flat_foot(walker)
    steps = len(plan.times)
    ankles = np.concatenate([plan.ankles, (plan.lift + heights)[..., None]], axis=2)
    stance = Stance(ankles, np.tile(rotations, (steps, 1, 1, 1)), pendulum(plan.support))
    return Clip.from_qpos(clip_id, LegSolver(walker).solve(_guess(plan, walker), stance), walker=walker)


def pendulum(support: FloatArray, height: float = _COM_HEIGHT, dt: float = CONTROL_TIMESTEP) -> FloatArray:
    """Path of a centre of mass at constant height whose zero-moment point is `support`, at rest at both ends.

    Solves c - (h / g) c'' = p with c = p at both ends (the linear inverted pendulum), by central differences.

    Args:
        support: (T, 2).

    Returns:
        (T, 2).
    """
    steps, stiffness = len(support), height / (_GRAVITY * dt**2)
    system = np.eye(steps)
    inner = np.arange(1, steps - 1)
    system[inner, inner] += 2.0 * stiffness
    system[inner, inner - 1] -= stiffness
    system[inner, inner + 1] -= stiffness
    return np.asarray(np.linalg.solve(system, support))


def _guess(plan: _Plan, walker: Walker) -> FloatArray:
    """(T, 63) poses: upper body as planned, legs near the solution."""
    steps = len(plan.times)
    turn = quaternions.quat_mul(
        quaternions.about(1, plan.pitch), np.full((steps, 4), 0.5)
    )  # (0.5, 0.5, 0.5, 0.5) is upright and faces +x.
    qpos = np.zeros((steps, walker.model.nq))
    qpos[:, 0], qpos[:, 2], qpos[:, 3:7] = plan.ankles[..., 0].mean(axis=1), plan.height, turn
    for joint, degrees in plan.joints.items():
        qpos[:, 7 + walker.joint_names.index(joint)] = np.deg2rad(degrees)
    return qpos
