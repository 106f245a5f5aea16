from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.mocap_h5 import MocapFile
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.evaluate import EvalConfig, evaluate, evaluate_baseline, plan_evaluation
from mocapact_cli.core.evaluation.report import read_evaluations
from mocapact_cli.core.interop.expert_folder import load_expert

CONFIG = EvalConfig(n_eval_episodes=12, seed=3, num_envs=5)


def test_the_document_has_the_keys_that_other_tools_rely_on(pairs, policy) -> None:
    document = json.loads(json.dumps(evaluate(policy, pairs, CONFIG, measure_motion=True).to_json()))
    assert document["episodes"] == 12
    assert sum(row["episodes"] for row in document["snippets"]) == 12
    for row in (document, *document["snippets"]):
        for key in ("norm_return", "norm_length", "return", "length"):
            assert set(row[key]) == {"mean", "std"}
        assert row["mpjpe_mm"]["root_relative"]["mean"] > 0
        assert 0 <= row["early_termination_rate"] <= 1
    assert document["seed"] == 3
    assert "mujoco" in document["versions"]


def test_episodes_depend_on_the_seed_alone(pairs, policy) -> None:
    def run(**changes: int) -> list[tuple[int, int, float]]:
        ends = evaluate(policy, pairs, dataclasses.replace(CONFIG, **changes)).ends
        return [(end.snippet_index, end.start_step, end.episode_return) for end in ends]

    expected = run()
    assert run(num_envs=12, threads=1) == expected
    assert run(seed=4) != expected


def test_measuring_changes_nothing_else_and_is_left_out_where_nobody_asks(pairs, policy) -> None:
    plain = evaluate(policy, pairs[:1], CONFIG)
    measured = evaluate(policy, pairs[:1], CONFIG, measure_motion=True, measure_rewards=True)
    assert measured.ends == plain.ends
    assert "mpjpe_mm" not in plain.to_json()
    assert plain.rewards is None
    assert set(plain.to_json()) < set(measured.to_json())
    with pytest.raises(UsageError, match="one snippet"):
        evaluate(policy, pairs, CONFIG, measure_rewards=True)


def test_a_baseline_runs_the_policys_episodes(pairs, policy) -> None:
    def starts(ends: list) -> list[tuple[int, int]]:
        return [(end.snippet_index, end.start_step) for end in ends]

    ends = evaluate(policy, pairs, CONFIG).ends
    result = evaluate_baseline("pd", pairs, CONFIG, policy.ref_steps)
    assert starts(result.ends) == starts(ends)
    again = evaluate_baseline("pd", pairs, dataclasses.replace(CONFIG, num_envs=2), policy.ref_steps)
    assert again.scores() == result.scores()
    assert result.scores()["mpjpe_mm"]["procrustes"]["mean"] > 0


@pytest.mark.parametrize(("episodes", "counts"), [(6, {3}), (7, {3, 4}), (2, {1}), (1, {1})])
def test_every_snippet_has_as_many_episodes_as_every_other(pairs, episodes: int, counts: set[int]) -> None:
    config = dataclasses.replace(CONFIG, n_eval_episodes=episodes)
    found = Counter(plan.start.snippet_index for plan in plan_evaluation(pairs, config, (0,)))
    assert sum(found.values()) == episodes
    assert set(found.values()) == counts
    # Which snippets have one more is drawn.
    seeds = [plan_evaluation(pairs, EvalConfig(n_eval_episodes=1, seed=seed), (0,)) for seed in range(12)]
    assert {plan.start.snippet_index for (plan,) in seeds} == {0, 1}


def test_all_starts_of_a_snippet_are_drawn_and_no_others(pairs) -> None:
    clip, snippet = pairs[0]
    config = dataclasses.replace(CONFIG, n_eval_episodes=1000)
    starts = {plan.start.start_step for plan in plan_evaluation([(clip, snippet)], config, (0,))}
    # 40 steps, of which an episode has at least nine.
    assert starts == set(range(31))


def test_starts_are_random_or_the_first_step(pairs) -> None:
    random = {plan.start.start_step for plan in plan_evaluation(pairs, CONFIG, (0,))}
    first = plan_evaluation(pairs, dataclasses.replace(CONFIG, always_init_at_clip_start=True), (0,))
    assert len(random) > 3
    assert {plan.start.start_step for plan in first} == {0}
    with pytest.raises(UsageError):
        plan_evaluation(pairs, EvalConfig(n_eval_episodes=0), (0,))


@pytest.mark.parametrize("name", ["CMU_901_01-0-82", "CMU_902_01-0-89"])
def test_published_experts_reach_their_published_scores(test_data: Path, name: str) -> None:
    published = test_data / "published"
    expert = load_expert(published / "experts" / name)
    clip = MocapFile(published / "cmu_test_2020.h5").get(expert.location.snippet.clip_id)
    config = EvalConfig(n_eval_episodes=8, always_init_at_clip_start=True, act_noise=0.01)
    found = evaluate(expert.policy, [(clip, expert.location.snippet)], config)
    expected = read_evaluations(expert.location.root / "eval_start/evaluations.npz")
    assert found.norm_return == pytest.approx(float(np.mean(expected.results_norm[-1])), abs=5e-3)
    assert found.norm_length == pytest.approx(float(np.mean(expected.ep_lengths_norm[-1])), abs=0.03)
