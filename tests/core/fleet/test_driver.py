"""The driver's decisions, with an engine that does in this process what the test says."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mocapact_cli.core.errors import InterruptedRunError, RunError, UsageError
from mocapact_cli.core.fleet.driver import Share, drive, help_out
from mocapact_cli.core.fleet.engine import Ended
from mocapact_cli.core.fleet.plan import read_plan
from mocapact_cli.core.fleet.records import Attempt, Records, TakenError

FAILED = {"state": "failed", "error": {"message": "no", "retry": True}}
FINISHED = {"state": "finished", "result": {"cards": []}}


class Engine:
    """Does one job at a time, as `outcome(job, number)` says: changes of its attempt, or an exception."""

    def __init__(self, folder: Path, outcome: Callable[[str, int], dict], slots: int = 1) -> None:
        self.records, self.outcome, self.slots = Records(folder), outcome, slots
        self.begun: list[tuple[str, int]] = []
        self.most = 0
        self.stopped = False
        self._open: dict[str, int] = {}

    def room(self) -> int:
        return self.slots - len(self._open)

    def start(self, job_id: str, seen: int) -> None:
        self._open[job_id] = seen
        self.begun.append((job_id, seen + 1))
        self.most = max(self.most, len(self._open))

    def running(self) -> set[str]:
        return set(self._open)

    def ended(self, timeout: float) -> list[Ended]:
        if not self._open:
            return []
        job, seen = self._open.popitem()
        try:
            attempt = replace(self.records.claim(job, seen), **self.outcome(job, seen + 1))
        except TakenError:
            return [Ended(job)]
        except OSError as error:
            return [Ended(job, problem=error)]
        self.records.save(attempt)
        return [Ended(job, attempt)]

    def stop(self) -> None:
        self.stopped = True

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


SNIPPETS = ("demo_reach-0-30", "demo_squat-0-30", "demo_walk-0-30")
JOBS = [f"{snippet}/0" for snippet in SNIPPETS]


def test_all_is_done_once_with_as_many_at_once_as_there_is_room_for(make_plan) -> None:
    folder = make_plan(*SNIPPETS)
    engine = Engine(folder, lambda job, number: FINISHED, slots=2)
    status = drive(folder, engine)
    assert status.counts()["done"] == 3
    assert engine.begun == [(job, 1) for job in JOBS]
    assert engine.most == 2
    assert engine.stopped


def test_a_failing_job_is_tried_again_and_the_rest_goes_on(make_plan) -> None:
    folder = make_plan(*SNIPPETS, max_retries=2)
    engine = Engine(folder, lambda job, number: FAILED if job == JOBS[1] else FINISHED)
    status = drive(folder, engine)
    assert [job.state for job in status.jobs] == ["done", "failed", "done"]
    assert [number for job, number in engine.begun if job == JOBS[1]] == [1, 2, 3]


def test_what_helps_on_the_second_try_is_done(make_plan) -> None:
    folder = make_plan(*SNIPPETS, max_retries=1)
    status = drive(folder, Engine(folder, lambda job, number: FAILED if number == 1 else FINISHED))
    assert status.counts()["done"] == 3


def test_failed_jobs_are_left_alone_until_they_are_asked_for(make_plan) -> None:
    folder = make_plan(*SNIPPETS, max_retries=0)
    drive(folder, Engine(folder, lambda job, number: FAILED))
    again = Engine(folder, lambda job, number: FINISHED)
    assert drive(folder, again).counts()["failed"] == 3
    assert again.begun == []
    assert drive(folder, again, retry_failed=True).counts()["failed"] == 0


def test_a_full_disk_ends_the_fleet_and_says_how_to_go_on(make_plan) -> None:
    folder = make_plan(*SNIPPETS)
    full = {"state": "failed", "error": {"message": "No space left: /x", "disk_full": True, "retry": True}}
    engine = Engine(folder, lambda job, number: full)
    with pytest.raises(RunError, match="The disk is full: No space left: /x") as caught:
        drive(folder, engine)
    assert f"fleet run {folder}" in caught.value.hint
    assert engine.stopped
    assert len(engine.begun) == 1


def test_what_an_engine_cannot_do_ends_the_fleet(make_plan) -> None:
    folder = make_plan(*SNIPPETS)

    def broken(job: str, number: int) -> dict:
        raise PermissionError(13, "Permission denied", "records")

    with pytest.raises(PermissionError):
        drive(folder, Engine(folder, broken))


def test_a_second_driver_is_refused_and_a_worker_is_not(make_plan) -> None:
    folder = make_plan(*SNIPPETS)
    seen: list[str] = []

    def meanwhile(job: str, number: int) -> dict:
        with pytest.raises(UsageError, match="is being driven by process") as caught:
            drive(folder, Engine(folder, lambda job, number: FINISHED))
        seen.append(caught.value.hint)
        others = Engine(folder, lambda job, number: FINISHED)
        help_out(folder, others, Share())
        # The worker leaves alone what is being done here.
        assert job not in [name for name, _ in others.begun]
        return FINISHED

    status = drive(folder, Engine(folder, meanwhile))
    assert status.counts()["done"] == 3
    assert len(seen) == 1
    assert "fleet status" in seen[0]


def test_one_waits_for_what_others_do(make_plan, leave) -> None:
    folder = make_plan(*SNIPPETS)
    leave(folder, JOBS[0], Attempt("", 0, machine="another"))
    looks: list[int] = []

    def watch(status) -> None:
        looks.append(status.counts()["running"])
        if len(looks) == 6:
            leave(folder, JOBS[0], Attempt("", 0, "finished"))

    class Waiting(Engine):
        def ended(self, timeout: float) -> list[Ended]:
            return super().ended(0.0)

    model = Path(read_plan(folder).output) / JOBS[0] / "eval_rsi/model/best_model.zip"
    model.parent.mkdir(parents=True)
    model.touch()
    status = drive(folder, Waiting(folder, lambda job, number: FINISHED), watch=watch)
    assert status.counts()["done"] == 3
    assert looks[4] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_jobs_save_themselves(make_plan, number: signal.Signals) -> None:
    folder = make_plan(*SNIPPETS)

    def interrupted(job: str, attempt: int) -> dict:
        if job == JOBS[1]:
            signal.raise_signal(number)
        return FINISHED

    engine = Engine(folder, interrupted)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InterruptedRunError, match="1 of 3 jobs done"):
        drive(folder, engine)
    assert engine.stopped
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_worker_begins_with_its_share_and_then_helps(make_plan) -> None:
    folder = make_plan(*SNIPPETS)
    engine = Engine(folder, lambda job, number: FINISHED)
    help_out(folder, engine, Share(2, 3))
    assert [job for job, _ in engine.begun] == [JOBS[1], JOBS[0], JOBS[2]]


@pytest.mark.parametrize("text", ["", "1", "0/4", "5/4", "a/b", "-1/4", "1/0", "1/4/2"])
def test_what_is_no_share_is_said(text: str) -> None:
    with pytest.raises(UsageError):
        Share.parse(text)


def test_shares_cover_all_jobs_once(make_plan) -> None:
    plan = read_plan(make_plan(*SNIPPETS))
    parts = [Share.parse(f"{index}/2").of(plan) for index in (1, 2)]
    assert set().union(*parts) == set(JOBS)
    assert not parts[0] & parts[1]
