"""The walker's geoms as many copies of two meshes, so that a pose is a few small arrays.

A capsule is an open tube with a hemisphere at either end; spheres and ellipsoids are two hemispheres. Nothing lies
inside anything else, so a translucent walker looks hollow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.media.motion_data import carried_geoms
from mocapact_cli.core.quaternions import quat_mul, quat_to_mat

if TYPE_CHECKING:
    from mocapact_cli.core.walker.model import Walker

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

ROUND, RINGS = 20, 6
"""Corners around, and rings from rim to pole of a hemisphere."""
_UPSIDE_DOWN = np.array([0.0, 1.0, 0.0, 0.0])


@dataclass(frozen=True)
class Mesh:
    """A mesh of V vertices (V, 3) and F triangles (F, 3), seen from outside."""

    vertices: FloatArray
    faces: IntArray


@dataclass(frozen=True)
class Copies:
    """N copies of a mesh that bodies carry.

    Attributes:
        mesh: The mesh, of size one.
        body: (N,) which body carries each: the root is 0, then come the tracked ones.
        position: (N, 3) where, in the body's frame, metres.
        quaternion: (N, 4) how it is turned there.
        scale: (N, 3) how large it is along its own axes.
    """

    mesh: Mesh
    body: IntArray
    position: FloatArray
    quaternion: FloatArray
    scale: FloatArray

    def placed(self, bodies: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return positions (N, 3) and quaternions (N, 4) in the world.

        Args:
            bodies: (32, 7) positions and quaternions of the root and the tracked bodies.
        """
        carrier = bodies[self.body]
        turned = np.einsum("nij,nj->ni", quat_to_mat(carrier[:, 3:]), self.position)
        return carrier[:, :3] + turned, quat_mul(carrier[:, 3:], self.quaternion)


def hemisphere() -> Mesh:
    """Return the half of the unit sphere above z = 0."""
    polar = np.linspace(0.5 * np.pi, 0.0, RINGS + 1)
    return _rings(np.sin(polar), np.cos(polar))


def tube() -> Mesh:
    """Return a cylinder of radius one from z = -1 to z = 1, without its ends."""
    return _rings(np.ones(2), np.array([-1.0, 1.0]))


def walker_copies(walker: Walker) -> tuple[Copies, Copies]:
    """Return the hemispheres and the tubes of a walker's geoms."""
    model, caps, tubes = walker.model, _Pile(), _Pile()
    for geom, body in carried_geoms(walker):
        kind, size = model.geom_type[geom], model.geom_size[geom]
        position, turn = model.geom_pos[geom], model.geom_quat[geom]
        half = float(size[1]) if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
        radii = size if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID else np.full(3, size[0])
        axis = quat_to_mat(turn) @ np.array([0.0, 0.0, half])
        caps.add(body, position + axis, turn, radii)
        caps.add(body, position - axis, quat_mul(turn, _UPSIDE_DOWN), radii)
        if half > 0.0:
            tubes.add(body, position, turn, np.array([size[0], size[0], half]))
    return caps.copies(hemisphere()), tubes.copies(tube())


class _Pile:
    """Copies of one mesh, one after the other."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, FloatArray, FloatArray, FloatArray]] = []

    def add(self, body: int, position: FloatArray, quaternion: FloatArray, scale: FloatArray) -> None:
        self._rows.append((body, position, quaternion, scale))

    def copies(self, mesh: Mesh) -> Copies:
        body, *arrays = zip(*self._rows, strict=True)
        return Copies(mesh, np.array(body, dtype=np.intp), *(np.array(part, dtype=np.float64) for part in arrays))


def _rings(radii: FloatArray, heights: FloatArray) -> Mesh:
    """Return the surface through circles about z, from the lowest to the highest."""
    angles = 2.0 * np.pi * np.arange(ROUND) / ROUND
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    vertices = np.concatenate(
        [
            np.column_stack([radius * circle, np.full(ROUND, height)])
            for radius, height in zip(radii, heights, strict=True)
        ]
    )
    corner = np.arange(ROUND)
    following = (corner + 1) % ROUND
    faces = []
    for ring in range(len(radii) - 1):
        low, high = ring * ROUND, (ring + 1) * ROUND
        faces.append(np.column_stack([low + corner, low + following, high + following]))
        faces.append(np.column_stack([low + corner, high + following, high + corner]))
    return Mesh(vertices, np.concatenate(faces))
