from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import NotFoundError, UsageError
from mocapact_cli.core.evaluation import expert as evaluation
from mocapact_cli.core.evaluation.evaluate import EvalConfig
from mocapact_cli.core.evaluation.report import read_evaluations
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

SNIPPET = Snippet("demo_reach", 0, 40)
FEW = EvalConfig(n_eval_episodes=6, num_envs=3, threads=1)


@pytest.fixture
def write_expert(tmp_path: Path):
    def write(snippet: Snippet = SNIPPET, **info: object) -> Path:
        root = tmp_path / str(snippet)
        policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16,))
        write_model(root / RSI_MODEL, policy, {"num_timesteps": 123})
        write_clip_info(root, snippet, TIME_INDEX, **info)
        return root

    return write


def test_an_evaluation_is_kept_under_the_published_keys(write_expert, tmp_path: Path) -> None:
    subject = evaluation.open_expert(write_expert())
    assert subject.snippet == SNIPPET
    result = evaluation.evaluate_expert(subject, FEW, save=tmp_path / "eval.npz")
    history = read_evaluations(tmp_path / "eval.npz")
    assert history.timesteps.tolist() == [123]
    np.testing.assert_allclose(history.results_norm.mean(), result.norm_return)
    np.testing.assert_array_equal(history.ep_lengths[0], [end.length for end in result.ends])


def test_baselines_stand_beside_the_expert(write_expert) -> None:
    subject = evaluation.open_expert(write_expert())
    document = evaluation.evaluate_expert(subject, FEW, baselines=["pd", "zero", "pd"]).to_json()
    assert list(document["baselines"]) == ["pd", "zero"]
    assert set(document["baselines"]["pd"]) == set(document) - {"baselines", "versions", "seed"}
    with pytest.raises(UsageError, match="pid"):
        evaluation.evaluate_expert(subject, FEW, baselines=["pid"])


def test_an_evaluation_is_drawn(write_expert, tmp_path: Path) -> None:
    subject = evaluation.open_expert(write_expert())
    result = evaluation.evaluate_expert(subject, FEW, plot=tmp_path / "eval.png")
    assert 10_000 < (tmp_path / "eval.png").stat().st_size < 300_000
    with pytest.raises(UsageError, match="picture"):
        evaluation.evaluate_expert(subject, FEW, plot=tmp_path / "eval.mp4")
    with pytest.raises(UsageError, match="rewards"):
        evaluation.plot_evaluation(dataclasses.replace(result, rewards=None), SNIPPET, tmp_path / "again.png")


def test_the_clip_is_found_where_the_run_found_it(write_expert, tmp_path: Path) -> None:
    reach = open_library().get("demo_reach")
    renamed = type(reach)(**{**{name: getattr(reach, name) for name in reach.__dataclass_fields__}, "id": "own"})
    write_clips(tmp_path / "own.h5", [renamed])
    snippet = Snippet("own", 0, 40)
    with pytest.raises(NotFoundError, match="own"):
        evaluation.open_expert(write_expert(snippet))
    assert evaluation.open_expert(write_expert(snippet), [tmp_path / "own.h5"]).clip.id == "own"
    recorded = write_expert(snippet, mocap=[str(tmp_path / "own.h5")])
    assert evaluation.open_expert(recorded).clip.id == "own"


def test_a_film_begins_at_the_snippets_start_and_names_the_reward(
    write_expert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, object] = {}

    def film(qpos: object, ghost: object, path: Path, *, captions: list[str], progress: object) -> Path:
        shown.update(qpos=qpos, ghost=ghost, captions=captions)
        return path

    monkeypatch.setattr(evaluation, "film_episode", film)
    subject = evaluation.open_expert(write_expert())
    evaluation.film_expert(subject, tmp_path / "film.mp4", FEW, progress=NullProgress())
    np.testing.assert_array_equal(shown["ghost"][0], subject.clip.qpos()[0])
    assert len(shown["captions"]) == len(shown["qpos"])
    assert shown["captions"][2].startswith("demo_reach-0-40   0.06 s   reward ")
    steps = len(shown["captions"])
    assert shown["captions"][-1] == f"demo_reach-0-40   ended early at {0.03 * steps:.2f} s"
