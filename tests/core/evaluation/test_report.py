from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.envs.batch import EpisodeEnd
from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.evaluation.report import EvaluationHistory, read_evaluations

ENDS = [EpisodeEnd(0, 0, 0, 20 + index, 12.5 + index, 0.5, 0.25, True, diverged=False) for index in range(3)]


def test_history_grows_and_is_cut_back_for_a_run_that_resumes() -> None:
    history = EvaluationHistory.of(100, ENDS).extended(200, ENDS[::-1])
    assert history.timesteps.tolist() == [100, 200]
    assert history.ep_lengths.tolist() == [[20, 21, 22], [22, 21, 20]]
    assert history.until(150).timesteps.tolist() == [100]
    assert history.until(99).results.shape == (0, 3)


def test_files_have_the_published_keys_and_types(tmp_path: Path) -> None:
    EvaluationHistory.of(100, ENDS).save(tmp_path / "evaluations.npz")
    with np.load(tmp_path / "evaluations.npz") as arrays:
        assert {name: str(arrays[name].dtype) for name in arrays.files} == {
            "timesteps": "int64", "results": "float32", "ep_lengths": "int32", "results_norm": "float64",
            "ep_lengths_norm": "float64",
        }  # fmt: skip
        assert arrays["results"].shape == (1, 3)
    assert read_evaluations(tmp_path / "evaluations.npz").results_norm.tolist() == [[0.25] * 3]


def test_published_files_are_read(test_data: Path) -> None:
    history = read_evaluations(test_data / "published/experts/CMU_902_01-0-89/0/eval_rsi/evaluations.npz")
    assert history.timesteps.tolist() == [2048, 4096]
    assert history.results.shape == (2, 6)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", timesteps=np.arange(3))
    with pytest.raises(InvalidInputError, match="results"):
        read_evaluations(tmp_path / "other.npz")
    arrays = {name: np.zeros((2, 3)) for name in ("results", "ep_lengths", "results_norm", "ep_lengths_norm")}
    np.savez(tmp_path / "uneven.npz", timesteps=np.arange(3), **arrays)
    with pytest.raises(InvalidInputError, match="one length"):
        read_evaluations(tmp_path / "uneven.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:-30])
    with pytest.raises(InvalidInputError, match="damaged"):
        read_evaluations(tmp_path / "cut.npz")
    with pytest.raises(NotFoundError):
        read_evaluations(tmp_path / "missing.npz")
