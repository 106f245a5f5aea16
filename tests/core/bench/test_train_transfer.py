from __future__ import annotations

import mujoco
import numpy as np
import pytest

from mocapact_cli.core.bench import train_transfer as bench
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.tasks.go_to_target import GoToTarget
from mocapact_cli.core.training.transfer.config import preset


class Known:
    """A side whose turns are known."""

    def __init__(self, speed: float) -> None:
        self.speed, self.raw, self.closed = speed, [], False

    def turn(self) -> tuple[float, float]:
        self.raw.append(4.0 * self.speed)
        return self.speed, self.speed

    def close(self) -> None:
        self.closed = True


def test_ratios_are_of_training_to_the_original_and_to_physics(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"original": Known(2.0), "paper": Known(20.0), "fast": Known(40.0)}
    made |= {"small": Known(100.0), "exact": Known(50.0)}
    monkeypatch.setattr(bench, "_open_original", lambda threads: (made["original"], None))
    monkeypatch.setattr(bench, "_our_side", lambda name, threads: made[name])
    monkeypatch.setattr(
        bench, "_Small", lambda threads, quick_contacts=True: made["small" if quick_contacts else "exact"]
    )
    measured = bench.measure_transfer_training(1)
    assert (measured["over_original"], measured["fast_over_original"]) == (pytest.approx(10.0), pytest.approx(20.0))
    # Half of what is collected, since learning takes as long.
    assert measured["of_physics"] == pytest.approx(1.0 / 8.0)
    assert measured["of_exact_physics"] == pytest.approx(1.0 / 8.0)
    assert measured["over_exact_physics"] == pytest.approx(1.0 / 4.0)
    assert (measured["raw_mj_step_per_s"], measured["exact_mj_step_per_s"]) == (400.0, 200.0)
    assert measured["original_problem"] is None
    assert all(side.closed for side in made.values())


def test_without_dm_control_our_own_sides_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RunError("no dm_control")

    monkeypatch.setattr(bench, "composer_workers", refuse)
    monkeypatch.setattr(bench, "_our_side", lambda name, threads: Known(100.0))
    monkeypatch.setattr(bench, "_Small", lambda threads, quick_contacts=True: Known(100.0))
    measured = bench.measure_transfer_training(1)
    assert measured["original_problem"] == "no dm_control"
    assert measured["over_original"] is None
    assert measured["steps_per_s"] == pytest.approx(50.0)


@pytest.mark.parametrize("quick_contacts", [True, False])
def test_bare_physics_repeats_what_training_did(monkeypatch: pytest.MonkeyPatch, quick_contacts: bool) -> None:
    monkeypatch.setattr(bench, "_FAST_STEPS", 1024)
    small = bench._Small(1, quick_contacts=quick_contacts)
    small.turn()
    small.close()
    (raw,) = small.raw
    assert raw > 0.0
    assert (small._raw._model.opt.solver == mujoco.mjtSolver.mjSOL_PGS) is quick_contacts
    assert len(small._actions) == len(small._resets) == 1024 // preset("fast").num_envs


@pytest.mark.timeout(120)
def test_dm_controls_environment_shows_what_the_original_trains_on() -> None:
    environment = bench._make(seed=0)
    observation, _ = environment.reset()
    assert list(observation) == list(GoToTarget.observables)
    assert environment.observation_space.contains(observation)
    rng = np.random.default_rng(0)
    for _ in range(60):
        observation, reward, terminated, _, _ = environment.step(rng.uniform(-1.0, 1.0, 56))
        assert reward in {0.0, 1.0}
        if terminated:
            break
    assert terminated
