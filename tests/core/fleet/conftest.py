"""Small plans, and records as workers would have left them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mocapact_cli.core.config import to_dict
from mocapact_cli.core.fleet.plan import Job, Plan, write_plan
from mocapact_cli.core.fleet.records import Attempt, Records
from mocapact_cli.core.training.expert.config import ExpertConfig, preset

TINY = replace(
    preset("fast"),
    total_timesteps=128,
    num_envs=8,
    steps_per_update=64,
    batch_size=32,
    n_epochs=1,
    layers=(16,),
    warm_start="none",
    eval_every=64,
    n_rsi_episodes=2,
    n_start_episodes=1,
)


@pytest.fixture
def make_plan(tmp_path: Path):
    """Writes a plan that trains tiny experts of these snippets, and returns its folder."""

    def make(*snippets: str, output: str | None = None, config: ExpertConfig = TINY, **changes: object) -> Path:
        jobs = tuple(Job(f"{snippet}/0", 0, (snippet,)) for snippet in snippets)
        folder = tmp_path / "plan"
        output = output or str(tmp_path / "experts")
        write_plan(folder, Plan("train", output, to_dict(config), jobs, **changes))  # type: ignore[arg-type]
        return folder

    return make


@pytest.fixture
def leave():
    """Writes attempts at a job as if they had been made elsewhere."""

    def write(folder: Path, job: str, *attempts: Attempt) -> None:
        (folder / "records").mkdir(parents=True, exist_ok=True)
        for number, attempt in enumerate(attempts, 1):
            Records(folder).save(replace(attempt, job=job, number=number))

    return write
