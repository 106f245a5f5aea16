import numpy as np
import pytest

from mocapact_cli.core.bench import env as bench
from mocapact_cli.core.bench.composer_env import composer_environment
from mocapact_cli.core.bench.composer_pool import ComposerPool, Workload
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.tasks.tracking import TrackingConfig


@pytest.fixture(scope="module")
def side():
    side = bench._OurSide(bench.CLIP, bench.SHORT, TIME_INDEX, 6, 2)
    yield side
    side.close()


def test_bare_physics_replays_exactly_what_our_side_did(side):
    ended = 0
    for _ in range(3):
        turn = side.turn()
        assert side.replay(turn) > 0
        ended += sum(map(len, turn.resets))
        got = np.array([data.qpos for data in side.raw.data])
        np.testing.assert_allclose(got, side.batch.poses()[0], atol=1e-9)
    assert ended > 20


def test_long_episodes_run_to_the_clips_end():
    side = bench._OurSide(bench.LONG_CLIP, bench.LONG, TIME_INDEX, 2, 1, follow=True)
    turn = side.turn()
    assert turn.episode_steps == open_library().num_steps(bench.LONG_CLIP) - 1 == 200
    side.close()


def test_medians_and_what_could_not_be_measured():
    samples = {"of_raw": [0.5, 0.9, 0.6], "over_dm_control": [10.0, 20.0], "dm_control_per_s": [3.0]}
    medians = bench._medians(samples)
    assert medians["of_raw"] == 0.6
    assert medians["over_dm_control"] == 15.0
    assert medians["over_original"] is None
    assert medians["original_long_per_s"] is None


def test_processes_step_dm_controls_environment():
    workloads = {
        "short": Workload("demo_step", TrackingConfig()),
        "ghost": Workload("demo_step", TrackingConfig(), ghost=True),
    }
    with ComposerPool(workloads, processes=1) as pool:
        assert pool.rate("short", 0.05) > 1.0
        assert pool.rate("ghost", 0.05) > 1.0


def test_a_process_that_fails_says_why():
    with pytest.raises(RunError, match="no_such_clip"):
        ComposerPool({"short": Workload("no_such_clip", TrackingConfig())}, processes=1)


def test_without_dm_control_the_rest_is_still_measured(monkeypatch):
    def refuse(workloads, processes):
        raise RunError("dm_control's environment cannot run here: no module")

    monkeypatch.setattr(bench, "ComposerPool", refuse)
    monkeypatch.setattr(bench, "MIN_ROUNDS", 1)
    monkeypatch.setattr(bench, "TIME_LIMIT", 0.0)
    monkeypatch.setattr(bench, "_SHORT_STEPS", 50)
    monkeypatch.setattr(bench, "_LONG_ENVS", 1)
    measured = bench.measure_env(2, 1)
    assert measured["of_raw"] > 0
    assert measured["over_dm_control"] is None
    assert "no module" in measured["dm_control_problem"]


def test_the_ghost_doubles_the_degrees_of_freedom():
    library = open_library()
    snippets = [(library.get("demo_step"), library.resolve("demo_step"))]
    sizes = []
    for ghost in (False, True):
        environment = composer_environment(snippets, TrackingConfig(), ghost=ghost)
        sizes.append(environment.physics.model.nv)
        environment.close()
    assert sizes == [62, 124]
