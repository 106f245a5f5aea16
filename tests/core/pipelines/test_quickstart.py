"""The stages of the quickstart in order, each made short; tests/cli runs the whole of it as it is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mocapact_cli.core.errors import MissingDependencyError
from mocapact_cli.core.pipelines import quickstart as pipeline
from mocapact_cli.core.pipelines.quickstart import QuickstartConfig, quickstart
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.training.expert import warm_start


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_film(*_: object, **__: object) -> None:
        raise MissingDependencyError("OpenGL is switched off.", hint="Unset MUJOCO_GL.")

    resolve = pipeline.resolve
    few = {"num_envs": 8, "steps_per_update": 64, "batch_size": 32, "n_rsi_episodes": 4, "n_start_episodes": 1}
    monkeypatch.setattr(pipeline, "resolve", lambda *given, **more: replace(resolve(*given, **more), **few))
    monkeypatch.setattr(warm_start, "FIT_STEPS", 10)
    monkeypatch.setattr(warm_start, "STEPS_PER_ENV", 10)
    monkeypatch.setattr(pipeline, "RSI_EPISODES", 10)
    monkeypatch.setattr(pipeline, "film_expert", no_film)


def test_a_recording_is_imported_first_and_no_film_is_no_failure(test_data: Path, tmp_path: Path) -> None:
    for name in ("07_01.amc", "07.asf"):
        shutil.copy(test_data / "mocap" / "cmu" / name, tmp_path)
    out = tmp_path / "out"
    config = QuickstartConfig(clip=str(tmp_path / "07_01.amc"), minutes=0.001, threads=1)
    out.mkdir()
    (out / ".expert.mp4.0a1b2c3d.mp4").write_bytes(b"left by a killed one")
    made = quickstart(config, out, resume=True, progress=NullProgress()).to_json()
    assert not list(out.rglob(".*"))
    assert [stage["name"] for stage in made["stages"]] == ["import", "train", "evaluate", "film", "rollout", "inspect"]
    assert str(made["snippet"]).startswith("CMU_007_01-0-")
    assert (made["expert"]["episodes"], made["expert_from_start"]["episodes"]) == (10, 1)
    assert made["notes"] == ["There is no film: OpenGL is switched off. Unset MUJOCO_GL."]
    assert set(made["artifacts"]) == {"mocap", "expert", "dataset"}
    assert all(path.exists() for path in made["artifacts"].values())
    assert (out / "dataset" / "CMU_007_01.hdf5").is_file()
