"""What is evaluated along the way."""

import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError
from mocapact_cli.core.training.distillation.config import EVAL_MODES, DistillConfig
from mocapact_cli.core.training.distillation.data import divide
from mocapact_cli.core.training.distillation.evaluations import evenly_spread, find_subjects, plan_evaluations
from mocapact_cli.core.training.distillation.monitor import VAL_LOSS, Standing, said


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, ["0"]), (3, ["0", "3", "6"]), (10, None), (99, None)])
def test_snippets_are_spread_evenly(count, expected):
    names = [str(number) for number in range(10)]
    assert evenly_spread(names, count) == (names if expected is None else expected)


def test_what_the_evaluations_need_is_found(rollouts):
    data = divide(rollouts, hold_out="demo_reach")
    found = find_subjects(data, DistillConfig(n_eval_episodes=5), "demo_squat-3-30,demo_reach", None)
    assert {kind: [str(snippet) for _, snippet in pairs] for kind, pairs in found.items()} == {
        "train": ["demo_squat-0-40"],
        "val": ["demo_reach-0-40"],
        "clips": [str(found["clips"][0][1]), "demo_squat-3-30"],
    }
    assert found["clips"][0][1].clip_id == "demo_reach"
    only = find_subjects(data, DistillConfig(eval_modes=("val_start",)), None, None)
    assert list(only) == ["val"]
    with pytest.raises(NotFoundError, match="CMU_001_01") as raised:
        find_subjects(data, DistillConfig(), "CMU_001_01-0-40", None)
    assert "--mocap" in raised.value.hint


def test_evaluations_are_planned_as_far_as_there_is_something_for_them(rollouts):
    subjects = find_subjects(divide(rollouts), DistillConfig(), None, None)
    planned = plan_evaluations(subjects, DistillConfig(act_noise=0.2, seed=5), (1, 5))
    assert [part.mode for part in planned] == [mode for mode in EVAL_MODES if mode.startswith("train")]
    assert [part.config.always_init_at_clip_start for part in planned] == [False, True]
    assert {(part.config.n_eval_episodes, part.config.act_noise, part.config.seed) for part in planned} == {
        (1000, 0.2, 5)
    }
    assert plan_evaluations(subjects, DistillConfig(n_eval_episodes=0), (1, 5)) == []
    with pytest.raises(InvalidInputError, match="too short"):
        plan_evaluations(subjects, DistillConfig(min_steps=60), (1, 5))


def test_the_best_is_the_highest_score_or_the_least_loss():
    standing = Standing()
    assert [standing.improves("train_rsi", value) for value in (0.2, 0.1, 0.3, 0.3)] == [True, False, True, False]
    assert [standing.improves(VAL_LOSS, value) for value in (2.0, 3.0, 1.0)] == [True, False, True]
    assert standing.best == {"train_rsi": 0.3, VAL_LOSS: 1.0}


def test_an_evaluation_is_told_in_words():
    row = {"val_loss": 12.3456, "train_rsi_norm_return": 0.51234, "train_rsi_norm_length": 0.9}
    assert said(row) == "validation loss 12.35; normalized return (length) train rsi 0.512 (0.900)"
    assert said({"val_loss": 12.0}) == "validation loss 12"
