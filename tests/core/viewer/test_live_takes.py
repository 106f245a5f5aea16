"""What is seen live is what an evaluation runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.evaluation.evaluate import EvalConfig, evaluate
from mocapact_cli.core.evaluation.transfer import TransferEvalConfig, evaluate_transfer
from mocapact_cli.core.interop.expert_folder import load_expert
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.rollouts.trajectory import record_episode
from mocapact_cli.core.viewer.live_sources import Acting, CompletionSource, Repertoire, TaskSource
from mocapact_cli.core.viewer.opening import open_source
from mocapact_cli.core.viewer.sources import Request

NAME = "demo_squat-5-45"


@pytest.fixture(scope="module")
def source(experts: Path):
    return open_source(str(experts))


def whole(source, request: Request, push_at: int = 0):
    """Return a take after its last frame."""
    take = source.take(request)
    while take.extend():
        if take.frames == push_at:
            take.push(np.array([0.0, 1.5, 0.0]))
    take.close()
    return take


@pytest.mark.parametrize(("noise", "seed"), [(0.0, 0), (0.1, 3)])
def test_an_expert_does_what_it_does_in_an_evaluation_to_the_last_bit(experts: Path, source, noise, seed) -> None:
    take = whole(source, Request(NAME, act_noise=noise, seed=seed))
    config = EvalConfig(1, always_init_at_clip_start=True, act_noise=noise, seed=seed, min_steps=1)
    pair = (demo("demo_squat"), Snippet.parse(NAME))
    (end,) = evaluate(load_expert(experts / NAME).policy, [pair], config).ends
    rewards = take.curve("reward")[1 : take.frames]
    assert take.end == end
    assert (len(rewards), float(np.sum(rewards))) == (end.length, pytest.approx(end.episode_return, abs=1e-12))
    assert take.capacity == 41
    assert ("failed" in take.outcome) == end.early_termination


def test_poses_and_reference_are_those_of_a_film(experts: Path, source) -> None:
    take = whole(source, Request(NAME, start_step=9))
    seen = record_episode(load_expert(experts / NAME).policy, demo("demo_squat"), Snippet.parse(NAME), start_step=9)
    assert take.first_step == 9
    np.testing.assert_array_equal(take.poses[:-1], seen.qpos)
    np.testing.assert_array_equal(take.ghosts[:-1], seen.reference_qpos)
    np.testing.assert_array_equal(take.curve("reward")[1 : take.frames], seen.rewards)


def test_the_error_and_the_channels_are_those_of_the_reward(source) -> None:
    take = whole(source, Request(NAME))
    frames = slice(1, take.frames)
    channels = sum(take.curve(name)[frames] for name in take.charts[2].curves)
    np.testing.assert_allclose(channels, take.curve("reward")[frames], atol=1e-12)
    error = source.acting.threshold * (1.0 - 2.0 * take.curve("termination")[frames])
    np.testing.assert_allclose(take.curve("error")[frames], error, atol=1e-12)


def test_noise_is_drawn_by_the_seed(source) -> None:
    one, same, other = (whole(source, Request(NAME, act_noise=0.2, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.poses, same.poses)
    assert not np.array_equal(one.poses[5], other.poses[5])


def test_a_push_changes_what_follows_and_nothing_before(source) -> None:
    still, pushed = whole(source, Request(NAME)), whole(source, Request(NAME), push_at=4)
    np.testing.assert_array_equal(still.poses[:4], pushed.poses[:4])
    moved = (pushed.poses[5] - still.poses[5])[:3]
    assert moved[1] > 0.02
    assert abs(moved[0]) < 0.5 * moved[1]
    pushed.push(np.ones(3))
    assert not pushed.grows


def test_starts_are_kept_within_the_snippet(source) -> None:
    assert source.starts(NAME) == range(5, 45)
    for wanted, found in ((0, 5), (17, 17), (999, 44)):
        take = source.take(Request(NAME, start_step=wanted))
        assert take.first_step == found
        assert take.capacity == 45 - found + 1
        take.close()


@pytest.fixture(scope="module")
def gpt():
    """A GPT that has learned nothing."""
    return build_policy(GptConfig(block_size=4, n_layer=1, n_head=1, n_embd=16), seed=1).eval()


def test_a_gpt_goes_on_after_its_prompt(gpt) -> None:
    acting = Acting(prompt_length=6, max_steps=4)
    source = CompletionSource(Repertoire("a", open_library(), ["demo_squat-5-20"]), gpt, acting)
    take = whole(source, Request("demo_squat-5-20", act_noise=0.3, seed=1))
    calm = whole(source, Request("demo_squat-5-20"))
    assert (take.prompt, take.capacity) == (6, 15 + 4 + 1)
    assert source.starts("demo_squat-5-20") == range(5, 15)
    np.testing.assert_array_equal(take.poses[:7], calm.poses[:7])
    assert not np.array_equal(take.poses[8], calm.poses[8])
    np.testing.assert_array_equal(calm.ghosts[-1], calm.ghosts[15])
    assert calm.frames == calm.capacity


def test_a_policy_for_a_task_does_what_its_evaluation_says(test_data: Path) -> None:
    source = open_source(str(test_data / "published" / "transfer" / "go_to_target"))
    assert isinstance(source, TaskSource)
    take = whole(source, Request(source.motions[0], seed=5))
    (end,) = evaluate_transfer(source._subject, TransferEvalConfig(1, seed=5)).ends
    assert take.end == end
    assert take.first_step is None
    assert {mark.kind for marks in take.marks for mark in marks} == {"spot", "arrow"}
    assert len(take.marks) == take.frames
    assert take.ghosts == [None] * take.frames
