from __future__ import annotations

from pathlib import Path

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.fleet.planning import evaluation_jobs, rollout_jobs, training_jobs
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy

OBSERVABLES = ("walker/joints_pos",)


@pytest.fixture
def expert(tmp_path: Path):
    def write(name: str, seed: str = "0") -> Path:
        root = tmp_path / "experts" / name / seed
        write_clip_info(root, Snippet.parse(name), OBSERVABLES)
        write_model(root / RSI_MODEL, ExpertPolicy.fresh(OBSERVABLES, 56, layers=(4,)))
        return root

    return write


def test_clips_snippets_and_lists_become_jobs(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("demo_squat  # all of it\ndemo_reach-0-30\n")
    jobs, mocap = training_jobs(["demo_reach-0-30,demo_walk", str(tmp_path / "list.txt")], seeds=(0, 3))
    assert [job.id for job in jobs[:2]] == ["demo_reach-0-30/0", "demo_reach-0-30/3"]
    assert len(jobs) == 6
    assert {job.snippets for job in jobs} >= {("demo_reach-0-30",)}
    assert mocap == ()


def test_a_mocap_file_stands_for_all_its_clips(tmp_path: Path) -> None:
    write_clips(tmp_path / "own.h5", [demo("demo_squat")])
    jobs, mocap = training_jobs([str(tmp_path / "own.h5")])
    assert len(jobs) == 1
    assert jobs[0].id.startswith("demo_squat-0-")
    assert mocap == (str(tmp_path / "own.h5"),)


@pytest.mark.parametrize(
    ("chosen", "error", "says"),
    [
        (["all"], NotFoundError, "836 of the 836 clips"),
        (["demo_sqat"], NotFoundError, "demo_sqat"),
        (["demo_squat-0-9999"], InvalidInputError, "not inside its clip"),
        (["missing.h5"], NotFoundError, "missing.h5"),
        (["lists/missing.txt"], NotFoundError, "missing.txt"),
        ([","], UsageError, "names no clips"),
    ],
)
def test_what_is_not_at_hand_is_said(chosen: list[str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        training_jobs(chosen)


def test_experts_of_a_clip_are_rolled_out_together(expert, tmp_path: Path) -> None:
    roots = [expert("demo_reach-20-50"), expert("demo_reach-0-30"), expert("demo_squat-0-30")]
    first, second = rollout_jobs([str(tmp_path)], seed=5)
    assert (first.id, first.seed, first.snippets) == ("demo_reach", 5, ("demo_reach-0-30", "demo_reach-20-50"))
    assert first.experts == (str(roots[1]), str(roots[0]))
    assert second.id == "demo_squat"
    assert [job.id for job in evaluation_jobs([str(tmp_path)], seed=0)] == [
        "demo_reach-0-30/0",
        "demo_reach-20-50/0",
        "demo_squat-0-30/0",
    ]


def test_two_experts_of_a_snippet_are_evaluated_but_not_rolled_out(expert, tmp_path: Path) -> None:
    expert("demo_reach-0-30", "0")
    expert("demo_reach-0-30", "1")
    with pytest.raises(UsageError, match="two experts"):
        rollout_jobs([str(tmp_path)], seed=0)
    assert [job.id for job in evaluation_jobs([str(tmp_path)], 0)] == ["demo_reach-0-30/0", "demo_reach-0-30/1"]


def test_experts_at_an_address_are_known_by_their_names(expert, tmp_path: Path) -> None:
    expert("demo_reach-0-30")
    address = f"file://{tmp_path}/experts"
    (job,) = rollout_jobs([address], seed=0)
    assert job.experts == (f"{address}/demo_reach-0-30/0",)
    (job,) = evaluation_jobs([f"{address}/demo_reach-0-30/0"], seed=0)
    assert (job.id, job.experts) == ("demo_reach-0-30/0", (f"{address}/demo_reach-0-30/0",))
    with pytest.raises(NotFoundError, match="no expert"):
        rollout_jobs([f"file://{tmp_path}/nothing"], seed=0)


def test_a_recording_is_to_be_imported_first(tmp_path: Path) -> None:
    (tmp_path / "07_01.amc").write_text("#!OML:ASF")
    with pytest.raises(UsageError, match="is a recording") as caught:
        training_jobs([str(tmp_path / "07_01.amc")])
    assert "mocapact clips import" in caught.value.hint
