"""Evaluating policies for tasks: episodes, measures and baselines."""

from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation import transfer
from mocapact_cli.core.evaluation.transfer import (
    TransferEvalConfig,
    TransferSubject,
    check_baselines,
    evaluate_task,
    evaluate_transfer,
    film_transfer,
)
from mocapact_cli.core.interop.transfer_folder import LoadedTransfer
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.transfer import TransferPolicy
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.tasks.go_to_target import GoToTarget, GoToTargetSettings
from mocapact_cli.core.tasks.velocity_control import VelocityControl


def policy(task=GoToTarget, through=True):
    config = NpmpConfig(embed_size=4, encoder_layers=(8,), decoder_layers=(8,))
    low_level = LowLevelPolicy(build_policy(config, seed=0)) if through else None
    size = ObservableLayout(task.observables, (0,), task.own_observables).size
    acting = ExpertPolicy.fresh(task.observables, size, layers=(8,), act_size=4 if through else 56)
    return TransferPolicy(acting, low_level, task.name, own=task.own_observables)


@pytest.fixture(scope="module")
def near():
    """A task in which all are near their targets at first."""
    return GoToTarget(demo("demo_squat"), GoToTargetSettings(max_steps=40, distance_tolerance=20.0))


def subject(task, through=True):
    return TransferSubject(LoadedTransfer(policy(type(task), through), None, task.name, {}), task)


def test_episodes_do_not_depend_on_how_many_run_side_by_side(near):
    one, other = (
        evaluate_task(policy(), near, TransferEvalConfig(5, act_noise=0.05, num_envs=envs, threads=threads))
        for envs, threads in ((5, 2), (2, 1))
    )
    assert [(end.length, end.episode_return) for end in one.ends] == [
        (end.length, end.episode_return) for end in other.ends
    ]


def test_the_document_says_what_came_of_it(near):
    document = evaluate_transfer(subject(near), TransferEvalConfig(6), baselines=["zero", "random"]).to_json()
    assert document["episodes"] == 6
    assert document["return"]["mean"] == document["length"]["mean"] > 5
    assert document["early_termination_rate"] == 1.0
    assert document["task"]["success_rate"] == 1.0
    assert document["task"]["time_to_target_s"] == pytest.approx(0.03)
    assert list(document["baselines"]) == ["zero", "random"]
    assert (document["task_name"], document["start_pose"], document["seed"]) == ("go-to-target", "demo_squat", 0)
    assert {"mujoco", "torch"} <= document["versions"].keys()


def test_baselines_act_in_the_same_episodes_through_the_same_decoder(near):
    result = evaluate_transfer(subject(near), TransferEvalConfig(4), baselines=["zero", "random"])
    own = policy()
    zero = evaluate_task(
        own, near, TransferEvalConfig(4), actions=lambda rows, episodes: np.zeros((len(rows), 4), np.float32)
    )
    assert [end.length for end in result.baselines["zero"].ends] == [end.length for end in zero.ends]
    assert [end.length for end in result.baselines["random"].ends] != [end.length for end in zero.ends]


def test_joints_are_moved_directly_where_there_is_no_low_level_policy():
    task = VelocityControl(demo("demo_squat"))
    document = evaluate_transfer(subject(task, through=False), TransferEvalConfig(3)).to_json()
    assert document["task"].keys() == {"speed_error", "direction_error"}
    assert 0.0 < document["task"]["direction_error"] < 180.0


def test_an_unknown_baseline_names_the_known():
    with pytest.raises(UsageError, match="'pd'"):
        check_baselines(["pd"])
    with pytest.raises(UsageError) as caught:
        check_baselines(["randm"])
    assert "random" in caught.value.hint


@pytest.mark.parametrize(("steps", "fell"), [(3, False), (200, True)])
def test_a_film_says_whether_the_walker_fell(tmp_path, monkeypatch, steps, fell):
    shown = []
    monkeypatch.setattr(transfer, "film_goal", lambda poses, marks, path, captions, progress: shown.extend(captions))
    task = GoToTarget(demo("demo_squat"), GoToTargetSettings(max_steps=steps))
    film_transfer(subject(task), tmp_path / "a.mp4", TransferEvalConfig(), progress=NullProgress())
    assert shown[1] == "go-to-target   0.03 s   return 0.0"
    assert [caption.endswith("fell") for caption in shown] == [False] * (len(shown) - 1) + [fell]
