"""How long one goes on from prompts."""

from dataclasses import replace

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.completion import (
    CompletionConfig,
    complete,
    default_episodes,
    plan_completions,
)
from mocapact_cli.core.evaluation.completion_views import plot_survival
from mocapact_cli.core.evaluation.prompts import Prompt, recorded_prompt
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.zoo import build_policy

CLIP, SNIPPET = demo("demo_squat"), Snippet("demo_squat", 0, 45)
CONFIG = CompletionConfig(n_eval_episodes=6, prompt_length=10, max_steps=30, threads=1)


@pytest.fixture(scope="module")
def gpt():
    return build_policy(GptConfig(block_size=4, n_layer=1, n_head=1, n_embd=16), seed=1).eval()


@pytest.fixture(scope="module")
def prompt(policy):
    return Prompt(CLIP, SNIPPET, Snippet("demo_squat", 5, 40), {"kind": "expert"}, policy=policy)


@pytest.fixture(scope="module")
def completion(gpt, prompt):
    return complete(gpt, [prompt], CONFIG, baselines={"last-action": None, "prompt": prompt.policy}, filmed=[0])


def test_survival_falls_from_the_prompts_end_at_each_failure(completion):
    document = completion.to_json()
    survival = np.array(document["survival"])
    assert survival[0, 0] == 0.0
    assert survival[-1, 0] == pytest.approx(30 * 0.03)
    assert (np.diff(survival[:, 1]) <= 0).all()
    lived = [row["seconds"] for row in document["completions"]]
    for time in (0.0, 0.1, 0.25, 0.4):
        share = survival[survival[:, 0] <= time + 1e-9][-1, 1]
        assert share == pytest.approx(np.mean([seconds > time + 1e-9 for seconds in lived]))
    assert document["seconds_after_prompt"]["median"] == pytest.approx(np.median(lived))
    lengths = np.array([end.length for end in completion.ends])
    np.testing.assert_allclose(completion.seconds, np.maximum(lengths - 10, 0) * 0.03)


def test_the_document_has_what_others_rely_on(completion):
    document = completion.to_json()
    assert {"norm_return", "norm_length", "mpjpe_mm", "survival", "distance_m", "prompt_length", "seed"} <= set(
        document
    )
    assert document["prompt_length"] == 10
    assert 0 < document["norm_length"]["mean"] <= 1
    assert set(document["baselines"]) == {"last-action", "prompt"}
    assert all(5 <= row["start_step"] <= 30 for row in document["completions"])


def test_episodes_do_not_depend_on_how_many_run_side_by_side(gpt, prompt, completion):
    alone = complete(gpt, [prompt], replace(CONFIG, num_envs=1), measure_motion=False)
    np.testing.assert_array_equal(alone.seconds, completion.seconds)
    np.testing.assert_allclose(alone.distances, completion.distances, atol=1e-4)
    assert len({end.start_step for end in alone.ends}) > 1


def test_samples_begin_alike_and_go_on_differently(gpt, prompt):
    config = replace(CONFIG, samples=True, n_eval_episodes=3, act_noise=0.3)
    result = complete(gpt, [prompt], config, filmed=range(3), measure_motion=False)
    poses = [result.poses[index][0] for index in range(3)]
    np.testing.assert_array_equal(poses[0][:10], poses[1][:10])
    np.testing.assert_array_equal(poses[0][:10], poses[2][:10])
    assert np.abs(poses[0][12] - poses[1][12]).max() > 1e-3


def test_a_recording_comes_out_as_it_was(gpt, recorded):
    found = recorded_prompt(f"{recorded / 'demo_squat.hdf5'}#demo_squat-0-45/2")
    result = complete(gpt, [found], replace(CONFIG, n_eval_episodes=1, prompt_length=5))
    assert result.deviation is not None
    assert result.deviation < 1e-6
    assert result.to_json()["prompt_deviation_rad"] == result.deviation
    assert result.ends[0].start_step == found.recording.start_step


def test_a_recording_of_another_physics_is_noticed(gpt, recorded):
    found = recorded_prompt(f"{recorded / 'demo_squat.hdf5'}#demo_squat-0-45/0")
    other = replace(found, recording=replace(found.recording, actions=-found.recording.actions))
    result = complete(gpt, [other], replace(CONFIG, n_eval_episodes=1, prompt_length=5))
    assert result.deviation > 0.01


def test_prompts_take_turns(gpt, prompt):
    other = replace(
        prompt, clip=demo("demo_reach"), snippet=Snippet("demo_reach", 0, 40), within=Snippet("demo_reach", 0, 20)
    )
    plan = plan_completions([prompt, other], CONFIG)
    assert [episode.start.snippet_index for episode in plan] == [0, 1, 0, 1, 0, 1]
    assert all(episode.start.start_step <= 10 for episode in plan[1::2])
    fixed = plan_completions([prompt], replace(CONFIG, always_init_at_clip_start=True))
    assert {episode.start.start_step for episode in fixed} == {5}
    with pytest.raises(UsageError, match="At least one episode"):
        plan_completions([prompt], replace(CONFIG, n_eval_episodes=0))


def test_one_episode_is_enough_where_all_would_be_alike(prompt):
    fixed = replace(CONFIG, always_init_at_clip_start=True)
    assert default_episodes(prompt, fixed) == 1
    assert default_episodes(prompt, CONFIG) == default_episodes(prompt, replace(fixed, act_noise=0.1)) == 100


def test_survival_is_drawn(completion, tmp_path):
    picture = plot_survival(completion, tmp_path / "survival.png", name="gpt", title="gpt")
    assert picture.stat().st_size > 10_000
