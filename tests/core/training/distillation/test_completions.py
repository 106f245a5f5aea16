"""Completions along the way of a training, from recorded rollouts."""

from dataclasses import replace

import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.zoo import build_policy, preset
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.training.distillation.completions import plan_completions
from mocapact_cli.core.training.distillation.config import COMPLETION_MODES, DistillConfig
from mocapact_cli.core.training.distillation.data import divide
from mocapact_cli.core.training.distillation.evaluations import find_subjects
from mocapact_cli.core.training.distillation.monitor import said
from mocapact_cli.core.training.distillation.train import distill

SNIPPETS = (Snippet("demo_reach", 0, 40), Snippet("demo_squat", 0, 45))
GPT = GptConfig(block_size=4, n_layer=1, n_head=1, n_embd=8)
CONFIG = DistillConfig(
    model="gpt",
    max_steps=4,
    batch_size=8,
    eval_every=2,
    n_eval_episodes=6,
    eval_modes=COMPLETION_MODES,
    completion_steps=5,
    threads=1,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("recorded")
    expert = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(8,))
    for snippet in SNIPPETS:
        write_model(root / "experts" / str(snippet) / RSI_MODEL, expert)
        write_clip_info(root / "experts" / str(snippet), snippet, TIME_INDEX, ref_steps=[0])
    config = RolloutConfig(n_start_rollouts=2, n_rsi_rollouts=2, min_steps=10, num_envs=4)
    record_rollouts(find_experts(root / "experts"), open_library(), root / "dataset", config)
    return root / "dataset"


def test_a_gpt_goes_on_from_what_it_learns_from_and_from_what_is_held_out(dataset, tmp_path):
    data = divide([dataset], hold_out="demo_reach")
    subjects = find_subjects(data, CONFIG, None, None)
    result = distill(data, CONFIG, GPT, tmp_path / "run", subjects=subjects)
    assert [row["step"] for row in result.evaluations] == [2, 4]
    for row in result.evaluations:
        for mode in COMPLETION_MODES:
            assert row[f"{mode}_seconds"] >= 0
            assert 0 <= row[f"{mode}_survival"] <= 1
    assert (tmp_path / "run/eval/val_completion/best_model.ckpt").is_file()
    assert result.best == tmp_path / "run/model/best.ckpt"
    more = replace(CONFIG, max_steps=6)
    again = distill(data, more, GPT, tmp_path / "run", subjects=subjects, resume=True)
    assert [row["step"] for row in again.evaluations] == [2, 4, 6]


def test_prompts_are_of_all_snippets_in_turn(dataset):
    data = divide([dataset])
    subjects = find_subjects(data, CONFIG, None, None)
    (planned,) = plan_completions(subjects, data, CONFIG, build_policy(GPT))
    assert len(planned.prompts) == 6
    assert [str(prompt.snippet) for prompt in planned.prompts[:2]] == [str(snippet) for snippet in SNIPPETS]
    assert all(len(prompt.starts(4)) == 1 for prompt in planned.prompts)
    assert planned.config.prompt_length == 4
    assert plan_completions(subjects, data, replace(CONFIG, n_eval_episodes=0), build_policy(GPT)) == []


def test_what_cannot_go_on_is_refused(dataset):
    data = divide([dataset])
    subjects = find_subjects(data, CONFIG, None, None)
    with pytest.raises(UsageError, match="ends with the clip"):
        plan_completions(subjects, data, CONFIG, build_policy(preset("mlp-time-index")))
    with pytest.raises(UsageError, match="40 steps of a prompt"):
        plan_completions(subjects, data, CONFIG, build_policy(replace(GPT, block_size=40)))


def test_completions_are_told_in_words():
    assert said({"val_loss": 1.0, "train_completion_seconds": 2.345}) == "validation loss 1; train completion 2.35 s"
