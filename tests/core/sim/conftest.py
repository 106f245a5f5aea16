import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.sim.features import STATE, Features
from mocapact_cli.core.sim.references import ReferenceBank
from mocapact_cli.core.walker.model import get_walker


@pytest.fixture(scope="session")
def clips():
    library = open_library()
    return {name: library.get(name) for name in ("demo_walk", "demo_squat")}


@pytest.fixture(scope="session")
def bank(clips):
    return ReferenceBank([(clip, open_library().resolve(name)) for name, clip in clips.items()])


@pytest.fixture
def features_at(clips):
    """Features of the walker in poses of the walking clip."""

    def make(steps):
        import mujoco

        walker, clip = get_walker(), clips["demo_walk"]
        features = Features(walker, len(steps))
        for row, step in enumerate(steps):
            data = mujoco.MjData(walker.model)
            data.qpos[:], data.qvel[:] = clip.qpos()[step], clip.qvel()[step]
            mujoco.mj_forward(walker.model, data)
            mujoco.mj_subtreeVel(walker.model, data)
            mujoco.mj_getState(walker.model, data, features.state_row(row), STATE)
            for destination, source in features.copies(data, row):
                np.copyto(destination, source)
        return features

    return make
