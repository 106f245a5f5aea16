"""Equal to what the original code computed with the packages of its time.

Resets agree to float32's last digits. Steps drift apart with another version of MuJoCo, by about 1e-6 a second of
motion; the bounds leave room for the chaos of contacts, not for another definition of anything.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig, TrackingTask

AHEAD = (1, 2, 3, 4, 5)
NEVER_FAILS = 1e9


@dataclass(frozen=True)
class Case:
    name: str
    snippet: str
    ref_steps: tuple[int, ...] = (0,)
    threshold: float = 0.3
    start: int = 0


CASES = [
    Case("A_refsteps1-5_noterm", "CMU_901_01-0-82", AHEAD, NEVER_FAILS),
    Case("B_clip_expert_env", "CMU_901_01-0-82"),
    Case("C_all_proprios_noterm", "CMU_901_01-0-82", AHEAD, NEVER_FAILS),
    Case("D_act_noise_rsi", "CMU_901_01-0-82", start=16),
    Case("F_full_snippet_902", "CMU_902_01-0-89", threshold=NEVER_FAILS),
]


@pytest.fixture(scope="module")
def reference(test_data):
    with np.load(test_data / "published" / "reference" / "env_mujoco2.3.1.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def mocap(test_data):
    return MocapFile(test_data / "published" / "cmu_test_2020.h5")


def open_batch(case, reference, mocap):
    snippet = Snippet.parse(case.snippet)
    return TrackingBatch(
        [(mocap.get(snippet.clip_id), snippet)],
        num_envs=1,
        observables=[str(name) for name in reference[f"{case.name}/obs_keys"]],
        config=TrackingConfig(ref_steps=case.ref_steps, termination_error_threshold=case.threshold),
        starts=EpisodeQueue([Start(0, case.start)] * 2),
    )


def assert_observed(batch, flat, reference, case, step, tolerance):
    for name, value in batch.layout.split(flat).items():
        expected = np.ravel(reference[f"{case.name}/obs/{name}"][step])
        scale = max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance * scale, err_msg=f"{name} at {step}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_episode_of_the_original(case, reference, mocap):
    rewards, done = reference[f"{case.name}/reward"], reference[f"{case.name}/done"]
    with open_batch(case, reference, mocap) as batch:
        assert_observed(batch, batch.reset()[0], reference, case, 0, 1e-6)
        for step, reward in enumerate(rewards):
            # What reached the actuators, noise included, in the walker's half where a ghost was simulated too.
            result = batch.step(reference[f"{case.name}/ctrl"][step + 1][None, :56])
            tolerance = 1e-5 if step < 10 else 1e-4
            assert result.rewards[0] == pytest.approx(reward, abs=tolerance)
            ended = len(result.done_envs) > 0
            assert ended == done[step]
            if ended:
                assert result.terminated[0] == (reference[f"{case.name}/discount"][step] == 0.0)
            flat = result.final_observations[0] if ended else result.observations[0]
            assert_observed(batch, flat, reference, case, step + 1, tolerance)


def test_the_starts_of_the_original_are_possible_ones(reference, mocap):
    names = ["CMU_901_01-60-139", "CMU_902_01-0-89"]
    snippets = [(mocap.get(snippet.clip_id), snippet) for snippet in map(Snippet.parse, names)]
    task = TrackingTask(snippets, TrackingConfig(ref_steps=AHEAD))
    possible, _ = task.possible_starts()
    rows = reference["E_resets_seed3/start_last_clip_step"]
    for qpos, (start, last, index, step) in zip(reference["E_resets_seed3/qpos"], rows, strict=True):
        snippet = snippets[int(index)][1]
        assert Start(int(index), snippet.start_step + int(step)) in possible
        row = task.bank.first_row[int(index)] + int(step)
        np.testing.assert_allclose(task.bank.qpos[row], qpos, rtol=0, atol=1e-12)
        length = snippet.end_step - snippet.start_step
        assert start == pytest.approx(step / length)
        assert last == pytest.approx(task.last_step[int(index)] / length)
