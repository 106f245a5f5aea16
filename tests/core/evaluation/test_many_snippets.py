from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.envs.batch import EpisodeEnd
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation import many_snippets
from mocapact_cli.core.evaluation.evaluate import EvalConfig, Evaluation
from mocapact_cli.core.evaluation.many_snippets import (
    SnippetsReport,
    check_request,
    default_episodes,
    evaluate_snippets,
    film_snippets,
    spread_choice,
)
from mocapact_cli.core.evaluation.metrics import ScoredEpisode
from mocapact_cli.core.evaluation.report import read_evaluations
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.safe.archives import read_npz

FEW = EvalConfig(n_eval_episodes=6, act_noise=0.0, num_envs=3, threads=1)


@pytest.fixture(scope="module")
def npmp():
    return build_policy(NpmpConfig(embed_size=8, encoder_layers=(16,), decoder_layers=(16,)), seed=0).eval()


def episode(snippet: int, length: int, norm_length: float, *, diverged: bool = False) -> ScoredEpisode:
    early = norm_length < 1.0
    return ScoredEpisode(EpisodeEnd(0, snippet, 10, length, 5.0, norm_length, 0.5 * norm_length, early, diverged))


@pytest.fixture
def report() -> SnippetsReport:
    episodes = (
        episode(0, 20, 1.0),
        *(episode(1, length, length / 40) for length in (10, 20, 32)),
        episode(1, 40, 1.0),
        episode(2, 39, 0.97, diverged=True),
    )
    return SnippetsReport(Evaluation(episodes, ("good-0-50", "bad-0-50", "close-0-50"), seed=0), threshold=0.98)


def test_failing_snippets_are_named_worst_first_with_the_reason(report) -> None:
    assert [row["snippet"] for row in report.worst_first] == ["bad-0-50", "close-0-50", "good-0-50"]
    bad, close = report.failing
    assert bad == {
        "snippet": "bad-0-50",
        "reason": "The normalized length, 0.637, is below 0.98. 3 of 4 episodes ended early, the middle one at 0.90 s "
        "of the clip.",
    }
    assert "1 of 1 episode ended early, at 1.47 s of the clip. 1 simulation diverged." in close["reason"]
    assert dataclasses.replace(report, threshold=0.9).failing == [
        {"snippet": "bad-0-50", "reason": bad["reason"].replace("0.98", "0.9")}
    ]
    assert [row["snippet"] for row in report.to_json()["snippets"]] == ["good-0-50", "bad-0-50", "close-0-50"]


def test_a_film_shows_the_worst_the_best_and_those_between(report) -> None:
    pairs = [(None, Snippet.parse(name)) for name in report.result.snippets]
    assert [str(snippet) for _, snippet in spread_choice(pairs, 9, report)] == ["bad-0-50", "close-0-50", "good-0-50"]
    assert [str(snippet) for _, snippet in spread_choice(pairs, 2, report)] == ["bad-0-50", "good-0-50"]
    assert [str(snippet) for _, snippet in spread_choice(pairs, 1, report)] == ["bad-0-50"]
    assert spread_choice(pairs, 3) == pairs


def test_every_snippet_is_judged_and_nothing_is_run_twice_alike() -> None:
    fixed = EvalConfig(act_noise=0.0, always_init_at_clip_start=True)
    assert default_episodes(7, EvalConfig()) == 1000
    assert default_episodes(2589, EvalConfig()) == 2589
    assert default_episodes(7, fixed) == 7
    for alive in ({"act_noise": 0.1}, {"stochastic": True}, {"always_init_at_clip_start": False}):
        assert default_episodes(7, dataclasses.replace(fixed, **alive)) == 1000


def test_numbers_of_every_episode_and_a_picture_are_kept(npmp, pairs, tmp_path: Path) -> None:
    save, plot = tmp_path / "a.npz", tmp_path / "a.png"
    found = evaluate_snippets(npmp, pairs, FEW, baselines=["pd"], save=save, plot=plot)
    document = found.to_json()
    assert [row["episodes"] for row in document["snippets"]] == [3, 3]
    assert [row["snippet"] for row in document["baselines"]["pd"]["snippets"]] == list(found.result.snippets)
    arrays, history = read_npz(save), read_evaluations(save)
    assert history.timesteps.tolist() == [0]
    assert arrays["snippets"].tolist() == list(found.result.snippets)
    for index, row in enumerate(document["snippets"]):
        own = arrays["snippet"] == index
        assert history.results_norm[0][own].mean() == pytest.approx(row["norm_return"]["mean"])
        assert arrays["mpjpe_global_mm"][own].mean() == pytest.approx(row["mpjpe_mm"]["global"]["mean"])
        assert arrays["early_termination"][own].mean() == row["early_termination_rate"]
    assert {"start_step", "diverged", "foot_skate_m_s"} <= set(arrays)
    assert plot.stat().st_size > 10_000
    assert not any(math.isnan(row["norm_length"]["mean"]) for row in found.worst_first)


def test_what_cannot_be_done_is_said_before(npmp, policy) -> None:
    check_request(npmp, dataclasses.replace(FEW, stochastic=True), ["pd"])
    with pytest.raises(UsageError, match="pid"):
        check_request(npmp, FEW, ["pid"])
    with pytest.raises(UsageError, match=r"\(expert\) has no embedding"):
        check_request(policy, dataclasses.replace(FEW, stochastic=True), [])


def test_tiles_say_how_each_episode_ended(npmp, tmp_path: Path, monkeypatch) -> None:
    shown = []
    monkeypatch.setattr(many_snippets, "film_walkers", lambda tiles, path, progress: shown.extend(tiles) or path)
    whole = Snippet("demo_squat", 0, 12)
    pairs = [(demo("demo_squat"), whole), (demo("demo_squat"), Snippet("demo_squat", 0, 60))]
    film_snippets(npmp, pairs, tmp_path / "a.mp4", FEW, progress=NullProgress())
    assert [tile.label for tile in shown] == ["demo_squat-0-12", "demo_squat-0-60"]
    assert shown[0].ending == "complete, 0.21 s"
    assert shown[1].ending.startswith("ended early at 0.")
    assert [tile.failed for tile in shown] == [False, True]
    assert [len(tile.rewards) for tile in shown] == [len(tile.qpos) for tile in shown]
    # References look five steps ahead.
    assert len(shown[0].qpos) == 12 - 5
    np.testing.assert_array_equal(shown[1].reference_qpos[0], demo("demo_squat").qpos()[0])
