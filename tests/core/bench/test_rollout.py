from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.bench import pd_experts
from mocapact_cli.core.bench import rollout as bench
from mocapact_cli.core.bench.raw_physics import RawPhysics
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, ObservableLayout
from mocapact_cli.core.walker.model import get_walker

SNIPPETS = (Snippet("demo_squat", 0, 40), Snippet("demo_reach", 0, 30))
CONFIG = RolloutConfig(n_start_rollouts=2, n_rsi_rollouts=2, min_steps=10, threads=2, num_envs=3)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory):
    root: Path = tmp_path_factory.mktemp("bench")
    library = open_library()
    experts = pd_experts.write_pd_experts(root / "experts", library, SNIPPETS, (64, 64))
    return bench._Side(experts, bench._HeldClips(library), root / "dataset", CONFIG)


def test_experts_of_the_benchmark_last(side) -> None:
    lengths = [end.length for end in side._record(bench._Schedule())]
    assert len(lengths) == 8
    assert np.mean(lengths) > 12


def test_bare_physics_does_the_same_steps(side, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, made = [], []

    class Kept(RawPhysics):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            made.append(self)

    class Schedule(bench._Schedule):
        """Notes where each environment has come to after the last step of all."""

        def on_tick(self, tick) -> None:
            super().on_tick(tick)
            ended.append(tick.result)

    monkeypatch.setattr(bench, "RawPhysics", Kept)
    schedule = Schedule()
    lengths = [end.length for end in side._record(schedule)]
    assert int((schedule.episodes >= 0).sum()) == sum(lengths)
    assert side._replay(schedule) > 0
    walker = get_walker()
    heights = {
        env: result.final_observations[place] for result in ended[-1:] for place, env in enumerate(result.done_envs)
    }

    columns = ObservableLayout(ALL_PROPRIOS, CONFIG.ref_steps).slices["walker/joints_pos"]
    assert heights
    for env, row in heights.items():
        joints = made[0].data[env].qpos[7:][walker.actuator_joint]
        np.testing.assert_allclose(joints, row[columns], atol=1e-5)


def test_medians_and_settings_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "MIN_ROUNDS", 1)
    monkeypatch.setattr(bench, "TIME_LIMIT", 0.0)
    monkeypatch.setattr(bench, "SIZES", {"": (16,), "_published": (24, 8)})
    measured = bench.measure_rollout(2, 1, config=CONFIG, snippets=SNIPPETS[:1])
    assert measured["of_raw"] == pytest.approx(measured["steps_per_s"] / measured["raw_mj_step_per_s"])
    assert measured["of_raw_published"] > 0.0
    assert (measured["expert"], measured["expert_published"]) == ("16", "24x8")
    assert (measured["num_envs"], measured["threads"], measured["episodes"], measured["snippets"]) == (2, 1, 4, 1)
