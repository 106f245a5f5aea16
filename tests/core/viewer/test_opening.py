"""Whatever a user names is recognized, or the message says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.errors import InvalidInputError, MocapactError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import RSI_MODEL
from mocapact_cli.core.viewer.live_sources import Acting
from mocapact_cli.core.viewer.opening import Wish, open_source
from mocapact_cli.core.viewer.recorded_sources import WHOLE
from mocapact_cli.core.viewer.sources import Request


@pytest.fixture
def mocap(tmp_path: Path) -> Path:
    folder = tmp_path / "mocap"
    folder.mkdir()
    write_clips(folder / "two.h5", [demo("demo_reach"), demo("demo_squat")])
    return folder / "two.h5"


def test_a_clip_and_a_snippet_are_known_by_name() -> None:
    clip, piece = open_source("demo_walk"), open_source("demo_walk-10-60")
    assert (clip.kind, clip.motions, clip.first) == ("clips", ("demo_walk",), Request("demo_walk", 0))
    assert piece.parts("demo_walk") == (WHOLE, "steps 10 to 60")
    assert piece.take(piece.first).title == "demo_walk-10-60"


def test_a_mocap_file_and_its_folder_hold_clips(mocap: Path) -> None:
    for target in (mocap, mocap.parent):
        source = open_source(str(target), Wish(snippets=("demo_squat",)))
        assert (source.kind, source.motions) == ("clips", ("demo_reach", "demo_squat"))
        assert source.take(source.first).title == f"demo_squat-0-{demo('demo_squat').last_step}"


def test_a_recording_is_imported_on_the_fly(test_data: Path) -> None:
    recording = min((test_data / "mocap").rglob("*.amc"), key=lambda path: path.stat().st_size)
    source = open_source(str(recording))
    assert source.kind == "clips"
    assert source.name == source.motions[0] == "CMU_141_01"
    assert source.take(source.first).frames > 10


def test_rollouts_are_opened_by_file_and_by_folder(recorded: Path) -> None:
    everything = open_source(str(recorded))
    assert (everything.kind, everything.motions) == ("rollouts", ("demo_reach-0-40", "demo_squat-5-45"))
    one = open_source(str(recorded / "demo_squat.hdf5"), Wish(episode=1))
    assert (one.motions, one.first.part) == (("demo_squat-5-45",), 1)
    first, second = one.parts("demo_squat-5-45")
    assert first.startswith("0: start, norm. return ")
    assert second.startswith("1: random, norm. return ")
    one.close()
    everything.close()


def test_experts_are_opened_by_folder_and_by_model(experts: Path) -> None:
    both = open_source(str(experts), Wish(snippets=("demo_squat-5-45",), acting=Acting(act_noise=0.1, seed=4)))
    assert (both.kind, both.live, both.motions) == ("expert", True, ("demo_reach-0-40", "demo_squat-5-45"))
    assert both.first == Request("demo_squat-5-45", 0, None, 0.1, 4)
    one = open_source(str(experts / "demo_reach-0-40" / RSI_MODEL / "best_model.zip"))
    assert one.motions == ("demo_reach-0-40",)


def test_of_several_experts_of_one_snippet_the_folder_says_which(experts: Path, tmp_path: Path) -> None:
    for seed in ("0", "1"):
        shutil.copytree(experts / "demo_reach-0-40", tmp_path / "demo_reach-0-40" / seed)
    source = open_source(str(tmp_path))
    assert source.motions == ("demo_reach-0-40 (0)", "demo_reach-0-40 (1)")
    assert source.take(source.first).first_step == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *((f"multi_clip/{model}", "policy") for model in ("npmp_rwr", "mcp", "mlp_reference", "mlp_time_index")),
        ("motion_completion/gpt", "completion"),
        ("transfer/go_to_target_no_low_level", "task"),
        ("experts_py38", "expert"),
        ("dataset_cameras", "rollouts"),
    ],
)
def test_published_ones_are_shown_too(test_data: Path, name: str, kind: str) -> None:
    wish = Wish(mocap=(test_data / "published" / "cmu_test_2020.h5",), acting=Acting(prompt_length=4))
    source = open_source(str(test_data / "published" / name), wish)
    assert source.kind == kind
    take = source.take(source.first)
    assert take.frames == (take.capacity if kind == "rollouts" else 2)
    take.close()
    source.close()


def test_a_policy_tracks_what_is_asked_for_else_all_clips_at_hand(test_data: Path) -> None:
    policy = str(test_data / "published" / "multi_clip" / "npmp_rwr")
    assert open_source(policy).motions == ("demo_reach", "demo_squat", "demo_step", "demo_walk")
    source = open_source(policy, Wish(snippets=("demo_walk-10-60", "demo_squat")))
    assert source.motions == ("demo_walk-10-60", "demo_squat")
    take = source.take(source.first)
    assert (take.title, take.first_step, take.capacity) == ("demo_walk-10-60", 10, 50 - 5 + 1)
    take.close()


def test_experts_prompt_a_gpt(test_data: Path) -> None:
    published = test_data / "published"
    wish = Wish(mocap=(published / "cmu_test_2020.h5",), experts=published / "experts", acting=Acting(prompt_length=3))
    source = open_source(str(published / "motion_completion" / "gpt"), wish)
    assert source.motions == ("CMU_901_01-0-82", "CMU_902_01-0-89")
    take, alone = source.take(source.first), open_source(str(published / "experts"), wish).take(source.first)
    for _ in range(3):
        take.extend()
        alone.extend()
    assert [bool((one == other).all()) for one, other in zip(take.poses, alone.poses, strict=True)] == [True] * 4 + [
        False
    ]
    with pytest.raises(UsageError, match="tracks by itself"):
        open_source(str(published / "multi_clip" / "mcp"), wish)


@pytest.mark.parametrize(
    ("target", "wish", "error", "said"),
    [
        ("demo_wlak", Wish(), NotFoundError, "Did you mean demo_walk"),
        ("no/such/place", Wish(), NotFoundError, "Check the path"),
        ("nothing.hdf5", Wish(), NotFoundError, "Check the path"),
        ("demo_walk-5-9999", Wish(), InvalidInputError, "ends at step"),
        ("{experts}", Wish(snippets=("demo_reach",)), NotFoundError, "demo_reach-0-40"),
        ("{recorded}", Wish(snippets=("nowhere",)), NotFoundError, "There are demo_reach-0-40, demo_squat-5-45."),
        ("{recorded}", Wish(episode=9), NotFoundError, "Choose one of those"),
        ("{empty}", Wish(), InvalidInputError, "mocap and rollout HDF5 files"),
        ("{text}", Wish(), InvalidInputError, "mocap and rollout HDF5 files"),
    ],
)
def test_what_cannot_be_shown_ends_in_the_next_step(
    target: str, wish: Wish, error: type[MocapactError], said: str, experts: Path, recorded: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    places = {"experts": experts, "recorded": recorded, "empty": tmp_path / "empty", "text": tmp_path / "notes.txt"}
    with pytest.raises(error) as caught:
        open_source(target.format(**places), wish)
    assert said in f"{caught.value.message} {caught.value.hint}"
