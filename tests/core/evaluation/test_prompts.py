"""What prompts come from, and what is said where they cannot."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.reader import RolloutFile
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.evaluation.prompts import (
    PromptRequest,
    check_completer,
    check_sight,
    expert_prompt,
    policy_prompt,
    recorded_prompt,
)
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.sim.observables import TIME_INDEX


@pytest.fixture(scope="module")
def experts(policy, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("experts")
    for snippet in (Snippet("demo_squat", 0, 40), Snippet("demo_squat", 10, 35), Snippet("demo_squat", 45, 58)):
        write_model(root / str(snippet) / RSI_MODEL, policy)
        write_clip_info(root / str(snippet), snippet, TIME_INDEX, ref_steps=[0])
    return root


def test_the_smallest_snippet_that_covers_the_wanted_one_is_tracked(experts):
    prompt = expert_prompt(experts, "demo_squat-12-32")
    assert str(prompt.snippet) == "demo_squat-10-35"
    assert (str(prompt.within), prompt.source["kind"]) == ("demo_squat-12-32", "expert")
    assert list(prompt.starts(18)) == [12, 13, 14]
    assert list(prompt.starts(20)) == [12]
    assert str(expert_prompt(experts, "demo_squat-0-30").snippet) == "demo_squat-0-40"


def test_a_prompt_that_is_longer_than_its_snippet_is_refused(experts):
    with pytest.raises(UsageError, match="21 steps is longer than demo_squat-12-32, which has 20"):
        expert_prompt(experts, "demo_squat-12-32").starts(21)


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [
        ("demo_squat-30-48", "demo_squat-0-40"),
        ("demo_squat-41-60", "demo_squat-45-58"),
        ("demo_squat", "demo_squat-0-40"),
        ("demo_reach-0-20", "demo_squat-0-40"),
        ("demo_sqat", "demo_squat-0-40"),
    ],
)
def test_where_no_expert_covers_a_snippet_the_nearest_is_named(experts, wanted, nearest):
    with pytest.raises(NotFoundError, match="covers demo_") as raised:
        expert_prompt(experts, wanted)
    assert f"--clip-snippet {nearest}" in raised.value.hint


def test_a_recording_begins_where_its_episode_did_and_is_no_longer(recorded):
    path = recorded / "demo_squat.hdf5"
    with RolloutFile(path) as file:
        episodes = list(file["demo_squat-0-45"])
        lengths, actions = [episode.length for episode in episodes], [episode.actions for episode in episodes]
    for number in range(4):
        prompt = recorded_prompt(f"{path}#demo_squat-0-45/{number}")
        assert prompt.recording is not None
        np.testing.assert_array_equal(prompt.recording.actions, actions[number])
        begin = prompt.recording.start_step
        assert list(prompt.starts(lengths[number])) == [begin]
        assert begin == 0 or number >= 2
        with pytest.raises(UsageError, match="longer than its recorded episode"):
            prompt.starts(lengths[number] + 1)


@pytest.mark.parametrize(
    "spec", ["a.hdf5", "a.hdf5#demo_squat-0-45", "#demo_squat-0-45/0", "a.hdf5#/0", "a.hdf5#demo_squat-0-45/-1"]
)
def test_other_spellings_of_a_recording_are_refused(spec):
    with pytest.raises(UsageError, match="does not name a recorded episode") as raised:
        PromptRequest(recording=spec)
    assert "FILE.hdf5#SNIPPET/EPISODE" in raised.value.hint


def test_what_a_recording_lacks_is_said(recorded, tmp_path):
    path = recorded / "demo_squat.hdf5"
    with pytest.raises(NotFoundError, match="episodes 0 to 3"):
        recorded_prompt(f"{path}#demo_squat-0-45/4")
    with pytest.raises(NotFoundError, match="demo_squat-0-44"):
        recorded_prompt(f"{path}#demo_squat-0-44/0")
    with pytest.raises(NotFoundError, match="nothing"):
        recorded_prompt(f"{tmp_path / 'nothing.hdf5'}#demo_squat-0-45/0")
    import h5py

    shutil.copy(path, tmp_path / "silent.hdf5")
    with h5py.File(tmp_path / "silent.hdf5", "r+") as file:
        del file["observable_indices/walker/time_in_clip"]
    with pytest.raises(InvalidInputError, match="at which step"):
        recorded_prompt(f"{tmp_path / 'silent.hdf5'}#demo_squat-0-45/3")


def test_a_policy_for_many_clips_prompts_and_an_expert_does_so_by_another_option(experts, tmp_path):
    write_checkpoint(tmp_path / "mlp.ckpt", build_policy(MlpConfig(layers=(8,)), seed=0))
    prompt = policy_prompt(tmp_path / "mlp.ckpt", "demo_reach-3-30")
    assert str(prompt.snippet) == str(prompt.within) == "demo_reach-3-30"
    with pytest.raises(UsageError, match="is an expert") as raised:
        policy_prompt(experts / "demo_squat-0-40", "demo_squat")
    assert "--experts" in raised.value.hint


def test_only_who_sees_the_body_alone_completes(policy):
    check_completer(build_policy(GptConfig(n_layer=1, n_embd=8, n_head=1)), "gpt")
    for other, seen in ((policy, "time_in_clip"), (build_policy(MlpConfig(layers=(8,))), "reference_rel_bodies")):
        with pytest.raises(UsageError, match=seen) as raised:
            check_completer(other, "it")
        assert "--baseline" in raised.value.hint


def test_what_the_environment_does_not_give_is_named(policy):
    from mocapact_cli.core.policies.expert import ExpertPolicy

    stranger = ExpertPolicy.fresh(("walker/joints_pos", "walker/prev_action"), 112, layers=(8,))
    with pytest.raises(UsageError, match="walker/prev_action, which the environment does not give"):
        check_sight(stranger, "it")
    with pytest.raises(UsageError, match="it sees 57 columns"):
        check_sight(ExpertPolicy.fresh(("walker/joints_pos",), 57, layers=(8,)), "it")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"clip_snippet": "demo_squat"}, "no prompt"),
        ({"clip_snippet": "demo_squat", "experts": Path(), "policy": Path()}, "several prompts"),
        ({"experts": Path()}, "what to begin with"),
        ({"clip_snippet": "demo_reach", "recording": "a.hdf5#demo_squat-0-45/0"}, "no episode of demo_reach"),
    ],
)
def test_a_request_is_for_one_prompt(given, said):
    with pytest.raises(UsageError, match=said):
        PromptRequest(**given)
