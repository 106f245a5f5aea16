from __future__ import annotations

import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.fleet.local import LocalEngine
from mocapact_cli.core.fleet.machine import cores_here
from mocapact_cli.core.fleet.plan import read_plan


def room(folder, jobs: int | None = None) -> int:
    return LocalEngine(folder, read_plan(folder), jobs).room()


def test_there_is_room_for_as_many_jobs_as_there_are_cores(make_plan) -> None:
    folder, cores = make_plan("demo_reach-0-30"), len(cores_here())
    assert room(folder) == cores
    assert room(folder, 1) == 1
    with pytest.raises(UsageError, match="too many for this machine") as caught:
        room(folder, cores + 1)
    assert "--jobs" in caught.value.hint


def test_jobs_of_all_cores_run_one_by_one(make_plan) -> None:
    assert room(make_plan("demo_reach-0-30", threads_per_job=len(cores_here()))) == 1


def test_a_job_that_is_too_large_for_the_machine_is_refused(make_plan) -> None:
    with pytest.raises(UsageError, match="too many for this machine"):
        room(make_plan("demo_reach-0-30", threads_per_job=len(cores_here()) + 1))


@pytest.mark.parametrize(
    ("visible", "share", "places"),
    [("0,1", 0.5, 4), ("0,1", 1.0, 2), ("0,1,2,3", 2.0, 2), ("3", 0.25, 4), ("", 1.0, 0)],
)
def test_gpus_are_shared_or_taken_together(
    make_plan, monkeypatch: pytest.MonkeyPatch, visible: str, share: float, places: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    folder = make_plan("demo_reach-0-30", gpus_per_job=share)
    if places:
        assert room(folder) == min(places, len(cores_here()))
    else:
        with pytest.raises(UsageError, match="room for 0"):
            room(folder)
