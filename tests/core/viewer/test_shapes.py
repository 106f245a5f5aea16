from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mocapact_cli.core.media.motion_data import carried_geoms
from mocapact_cli.core.quaternions import quat_to_mat
from mocapact_cli.core.viewer.shapes import hemisphere, tube, walker_copies
from mocapact_cli.core.walker.kinematics import BodyPoser


@pytest.fixture(scope="module")
def pose(walker) -> np.ndarray:
    """A random pose within the joints' limits."""
    rng = np.random.default_rng(3)
    low, high = walker.joint_range.T
    turn = rng.standard_normal(4)
    return np.concatenate([rng.standard_normal(3), turn / np.linalg.norm(turn), rng.uniform(low, high)])


def points(copies, bodies: np.ndarray) -> np.ndarray:
    """Return (N, V, 3) where the vertices of all copies are in the world."""
    positions, quaternions = copies.placed(bodies)
    scaled = copies.scale[:, None] * copies.mesh.vertices
    return positions[:, None] + np.einsum("nij,nvj->nvi", quat_to_mat(quaternions), scaled)


def distances(model, data, geom: int, there: np.ndarray) -> np.ndarray:
    """Return how far points (V, 3) lie from a geom's surface, metres."""
    local = (there - data.geom_xpos[geom]) @ data.geom_xmat[geom].reshape(3, 3)
    size = model.geom_size[geom]
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
        return (np.linalg.norm(local / size, axis=1) - 1.0) * size.max()
    half = size[1] if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE else 0.0
    local[:, 2] -= np.clip(local[:, 2], -half, half)
    return np.linalg.norm(local, axis=1) - size[0]


def test_every_part_lies_on_the_surface_of_its_geom_in_any_pose(walker, pose) -> None:
    model, data = walker.model, mujoco.MjData(walker.model)
    data.qpos[:] = pose
    mujoco.mj_kinematics(model, data)
    caps, tubes = walker_copies(walker)
    geoms = [geom for geom, _ in carried_geoms(walker)]
    capsules = [geom for geom in geoms if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE]
    bodies = BodyPoser(walker)(pose)
    for owner, there in zip(np.repeat(geoms, 2), points(caps, bodies), strict=True):
        assert np.abs(distances(model, data, owner, there)).max() < 1e-9
    for owner, there in zip(capsules, points(tubes, bodies), strict=True):
        assert np.abs(distances(model, data, owner, there)).max() < 1e-9


def test_the_walker_has_all_its_geoms_and_the_floor_is_none(walker) -> None:
    caps, tubes = walker_copies(walker)
    assert len(caps.body) == 2 * (walker.model.ngeom - 1)
    assert len(tubes.body) == np.count_nonzero(walker.model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE)
    assert set(caps.body) == set(range(32))


@pytest.mark.parametrize("mesh", [hemisphere(), tube()], ids=["hemisphere", "tube"])
def test_triangles_face_outwards(mesh) -> None:
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The axis is inside: of a tube at every height, of a hemisphere at the middle.
    middle = corners.mean(axis=1) * ([1, 1, 0] if mesh.vertices[:, 2].min() < 0 else 1)
    large = np.linalg.norm(normals, axis=1) > 1e-9
    assert (np.einsum("fi,fi->f", normals, middle)[large] > 0).all()
    assert np.count_nonzero(large) > 0.9 * len(large)
