from __future__ import annotations

import contextlib
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mocapact_cli.core.errors import InterruptedRunError, NotFoundError, RunError, UsageError
from mocapact_cli.core.evaluation.report import read_evaluations
from mocapact_cli.core.interop.expert_folder import load_expert
from mocapact_cli.core.training.expert import monitor as monitoring
from mocapact_cli.core.training.expert import train as training
from mocapact_cli.core.training.expert.monitor import ExpertMonitor

CURVE = ("train_norm_return", "kl", "step_size", "rsi_norm_return", "start_norm_length")


def state(root: Path) -> dict[str, Any]:
    return torch.load(root / "checkpoints/last.pt", weights_only=True)


def curve(root: Path) -> list[list[Any]]:
    """The metrics that do not depend on the clock."""
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [[row["timesteps"], *[row.get(name) for name in CURVE]] for row in rows]


def assert_equal_states(one: Any, other: Any) -> None:
    """To the last bit, but for the seconds."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"seconds"}:
            assert_equal_states(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_equal_states(mine, theirs)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def stop_after(monkeypatch: pytest.MonkeyPatch, timesteps: int, error: type[BaseException] = KeyboardInterrupt) -> None:
    """Fail in the first step after so many samples, as Ctrl-C or a crash would."""
    usual = ExpertMonitor._on_step

    def on_step(self: ExpertMonitor) -> bool:
        if self.num_timesteps > timesteps:
            raise error
        return usual(self)

    monkeypatch.setattr(ExpertMonitor, "_on_step", on_step)


@pytest.fixture(scope="module")
def whole(trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    root: Path = tmp_path_factory.mktemp("whole") / "run"
    trainer(root)
    return root


def test_a_run_leaves_the_published_layout(whole: Path) -> None:
    for kind in ("eval_rsi", "eval_start"):
        history = read_evaluations(whole / kind / "evaluations.npz")
        assert history.timesteps.tolist() == [0, 256, 512]
        assert {path.name for path in (whole / kind / "model").iterdir()} == {
            "best_model.zip",
            "normalizer.json",
            "vecnormalize.pkl",
        }
    assert {"config.json", "versions.json", "metrics.jsonl", "tensorboard", "clip_info.json"} <= {
        path.name for path in whole.iterdir()
    }
    expert = load_expert(whole)
    assert str(expert.location.snippet) == "demo_reach-0-30"
    np.testing.assert_allclose(expert.policy.std, 0.1, rtol=1e-6)


@pytest.mark.parametrize(
    ("evaluations", "kept"),
    [
        ([(0.5, 0.3), (0.6, 0.2), (0.6, 0.1)], 256),
        ([(0.5, 0.3), (0.5, 0.4), (0.4, 0.9)], 256),
        ([(0.97, 0.3), (0.98, 0.2), (1.0, 0.5)], 512),
        ([(0.97, 0.9), (0.98, 0.2), (1.0, 0.1)], 256),
    ],
)
def test_the_best_model_lasts_and_then_does_well(
    trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluations: list[tuple[float, float]], kept: int
) -> None:
    given = iter(evaluations)
    usual = monitoring.evaluate

    def evaluated(policy: Any, snippets: Any, config: Any) -> Any:
        result = usual(policy, snippets, config)
        if config.always_init_at_clip_start:
            return result
        length, norm_return = next(given)
        return SimpleNamespace(ends=result.ends, norm_length=length, norm_return=norm_return)

    monkeypatch.setattr(monitoring, "evaluate", evaluated)
    result = trainer(tmp_path / "run")
    assert load_expert(tmp_path / "run").hyperparameters["num_timesteps"] == kept
    assert result.best_rsi == evaluations[kept // 256][1]


def test_two_runs_with_one_seed_are_equal(trainer, whole: Path, tmp_path: Path) -> None:
    trainer(tmp_path / "again")
    assert_equal_states(state(whole), state(tmp_path / "again"))
    assert curve(whole) == curve(tmp_path / "again")


def test_an_expert_with_a_teacher_takes_its_share_of_the_steps(trainer, tmp_path: Path) -> None:
    result = trainer(tmp_path / "run", teacher=True, imitation_share=0.25)
    # Updates of 128: after 256 steps of the teacher 64 of the pupil, then no whole update fits twice.
    assert [row["timesteps"] for row in result.evaluations] == [0, 256 + 64, 576 + 64]
    ended = state(tmp_path / "run")
    assert ended["progression"]["taught"] == ended["progression"]["timesteps"] == result.timesteps == 640
    pupil = {name: value for name, value in ended["policy"].items() if name.startswith("pupil.")}
    expert = load_expert(tmp_path / "run/eval_start").policy.network.state_dict()
    assert pupil["pupil.1.weight"].shape == expert["action_net.weight"].shape
    assert ended["policy"]["mlp_extractor.policy_net.0.weight"].shape[1] > pupil["pupil.0.0.weight"].shape[1]


def test_the_common_samples_of_a_short_and_a_long_run_are_equal(trainer, tmp_path: Path) -> None:
    usual = {"threads": 2, "total_timesteps": 256}
    trainer(tmp_path / "short", **usual)
    trainer(tmp_path / "long", **usual | {"total_timesteps": 384})
    common = curve(tmp_path / "short")
    assert curve(tmp_path / "long")[: len(common)] == common
    # What the longer run had learned at the end of the shorter one, continued.
    trainer(tmp_path / "short", resume=True, **usual | {"total_timesteps": 384})
    assert_equal_states(state(tmp_path / "short"), state(tmp_path / "long"))


def test_another_seed_is_another_run(trainer, whole: Path, tmp_path: Path) -> None:
    trainer(tmp_path / "other", seed=1)
    assert not torch.equal(
        state(whole)["policy"]["action_net.weight"], state(tmp_path / "other")["policy"]["action_net.weight"]
    )


@pytest.mark.parametrize(("warm_start", "teacher"), [("none", False), ("pd", False), ("pd", True)])
def test_a_crashed_run_goes_on_as_if_nothing_had_happened(
    trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_start: str, teacher: bool
) -> None:
    asked = {"warm_start": warm_start, "teacher": teacher}
    # An expert with a teacher has taken a tenth more, in eight environments equally many.
    begun = 256 + 32 * teacher
    monkeypatch.setattr("mocapact_cli.core.training.expert.warm_start.FIT_STEPS", 5)
    monkeypatch.setattr("mocapact_cli.core.training.expert.warm_start.STEPS_PER_ENV", 10)
    trainer(tmp_path / "whole", **asked)
    with monkeypatch.context() as patch:
        stop_after(patch, 400, MemoryError)
        with pytest.raises(MemoryError):
            trainer(tmp_path / "crashed", **asked)
    assert state(tmp_path / "crashed")["progression"]["timesteps"] == begun
    trainer(tmp_path / "crashed", resume=True, **asked)
    assert_equal_states(state(tmp_path / "whole"), state(tmp_path / "crashed"))
    assert curve(tmp_path / "whole") == curve(tmp_path / "crashed")
    histories = [read_evaluations(tmp_path / name / "eval_rsi/evaluations.npz") for name in ("whole", "crashed")]
    np.testing.assert_array_equal(histories[0].results, histories[1].results)


def test_a_crash_in_the_middle_of_an_evaluation_changes_nothing(
    trainer, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = ExpertMonitor._judge_gain

    def judge(self: ExpertMonitor, rsi: Any) -> None:
        if self.num_timesteps == 256:
            raise MemoryError
        usual(self, rsi)

    with monkeypatch.context() as patch:
        patch.setattr(ExpertMonitor, "_judge_gain", judge)
        with pytest.raises(MemoryError):
            trainer(tmp_path / "run")
    trainer(tmp_path / "run", resume=True)
    assert_equal_states(state(whole), state(tmp_path / "run"))
    assert curve(whole) == curve(tmp_path / "run")
    assert read_evaluations(tmp_path / "run/eval_rsi/evaluations.npz").timesteps.tolist() == [0, 256, 512]


def test_a_finished_run_can_be_prolonged(trainer, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    trainer(tmp_path / "run", resume=True, total_timesteps=768)
    trainer(tmp_path / "long", total_timesteps=768)
    assert_equal_states(state(tmp_path / "long"), state(tmp_path / "run"))


def test_a_finished_run_has_nothing_left_to_do(trainer, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    result = trainer(tmp_path / "run", resume=True)
    assert curve(tmp_path / "run") == curve(whole)
    assert (result.timesteps, len(result.evaluations)) == (512, 3)


def test_ctrl_c_saves_and_the_run_goes_on(trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 300)
        with pytest.raises(InterruptedRunError, match="all is saved"):
            trainer(tmp_path / "run")
    assert state(tmp_path / "run")["progression"]["timesteps"] == 304
    result = trainer(tmp_path / "run", resume=True)
    assert result.timesteps >= 512
    assert result.evaluations[-1]["timesteps"] == result.timesteps


@pytest.fixture
def heeds_ctrl_c():
    """Python's own answer to Ctrl-C, whatever the runner of the tests has set."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("heeds_ctrl_c")
@pytest.mark.parametrize("overlap", [False, True])
def test_ctrl_c_is_not_lost_where_a_library_swallows_it(
    trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlap: bool
) -> None:
    def swallowing(_: Path) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(monitoring, "draw_curve", swallowing)
    with pytest.raises(InterruptedRunError, match="all is saved"):
        trainer(tmp_path / "run", overlap=overlap)
    assert state(tmp_path / "run")["progression"]["timesteps"] < 512
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_is_deaf_to_ctrl_c_stays_so(trainer, tmp_path: Path) -> None:
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        trainer(tmp_path / "run", total_timesteps=128)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, usual)


def test_ctrl_c_during_the_imitation_begins_it_again(trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, "imitate", interrupted)
        with pytest.raises(InterruptedRunError):
            trainer(tmp_path / "run", warm_start="pd")
    assert not (tmp_path / "run/checkpoints").exists()
    copied = []
    monkeypatch.setattr(training, "imitate", lambda *_: copied.append(True))
    trainer(tmp_path / "run", warm_start="pd", resume=True, total_timesteps=128)
    assert copied == [True]


def test_a_run_is_never_replaced_unasked(trainer, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "run")
    with pytest.raises(UsageError, match="already holds a run"):
        trainer(tmp_path / "run")
    assert_equal_states(state(whole), state(tmp_path / "run"))
    trainer(tmp_path / "run", force=True, total_timesteps=128)
    assert state(tmp_path / "run")["progression"]["timesteps"] == 128


def test_a_run_that_can_be_resumed_has_all_that_it_began_with(
    trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        assert (tmp_path / "run/clip_info.json").is_file()
        raise MemoryError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(training.RunFolder, "write_record", killed)
        with pytest.raises(MemoryError):
            trainer(tmp_path / "run")
    assert trainer(tmp_path / "run").timesteps == 512


def test_there_must_be_something_to_resume(trainer, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no run to resume"):
        trainer(tmp_path / "nothing", resume=True)
    assert not (tmp_path / "nothing").exists()


def test_a_resumed_run_keeps_its_settings_but_for_its_limits(trainer, whole: Path, tmp_path: Path) -> None:
    limits = {"total_timesteps": 99, "max_minutes": 3.0}
    config = training.recorded_config(whole, trainer.snippet, limits)
    # What the device decides was decided when the run began.
    decided = {"overlap": torch.cuda.is_available()}
    assert config == replace(trainer.config, **limits, **decided)
    with pytest.raises(UsageError, match="holds a run on demo_reach-0-30"):
        training.recorded_config(whole, type(trainer.snippet)("demo_reach", 0, 31), {})


def test_a_run_from_before_there_were_teachers_goes_on(trainer, tmp_path: Path) -> None:
    trainer(tmp_path / "run", teacher=False, balance=False)
    record = json.loads((tmp_path / "run/config.json").read_text())
    for younger in ("teacher", "imitation_share", "balance"):
        del record["training"][younger]
    (tmp_path / "run/config.json").write_text(json.dumps(record))
    assert trainer(tmp_path / "run", resume=True, total_timesteps=640).timesteps == 640


def test_time_only_ends_a_run(trainer, whole: Path, tmp_path: Path) -> None:
    result = trainer(tmp_path / "short", max_minutes=1e-6)
    assert result.stopped_because == "1e-06 minutes were over"
    assert curve(tmp_path / "short") == curve(whole)[:1]
    assert result.model.is_dir()


@pytest.mark.parametrize("where", ["parameters", "rewards"])
def test_a_learner_that_diverges_stops_and_the_best_model_is_kept(
    trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    usual = ExpertMonitor._on_rollout_end

    def poison(self: ExpertMonitor) -> None:
        usual(self)
        if self.num_timesteps > 256 and where == "parameters":
            self.model.policy.action_net.weight.data[0, 0] = float("nan")
        elif self.num_timesteps > 256:
            self.model.rollout_buffer.rewards[:] = float("nan")

    monkeypatch.setattr(ExpertMonitor, "_on_rollout_end", poison)
    with pytest.raises(RunError, match="diverged after 384 steps; the best model") as caught:
        trainer(tmp_path / "run")
    assert "learning_rate" in caught.value.hint
    assert torch.isfinite(state(tmp_path / "run")["policy"]["action_net.weight"]).all()
    assert load_expert(tmp_path / "run").policy is not None


@pytest.mark.parametrize("privileged_critic", [True, False])
def test_weights_that_run_away_but_stay_finite_are_divergence_too(
    trainer, tmp_path: Path, privileged_critic: bool
) -> None:
    absurd = {"learning_rate": 1e3, "desired_kl": None, "privileged_critic": privileged_critic}
    with pytest.raises(RunError, match="diverged after 128 steps"):
        trainer(tmp_path / "run", **absurd)
    assert load_expert(tmp_path / "run").policy is not None


def test_a_curve_is_drawn_at_each_evaluation(trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    usual = monitoring.draw_curve

    def draw(root: Path) -> Path:
        path = usual(root)
        drawn.append(path.read_bytes())
        return path

    monkeypatch.setattr(monitoring, "draw_curve", draw)
    result = trainer(tmp_path / "run")
    assert len(set(drawn)) == 3
    assert result.curve is not None
    assert result.curve.read_bytes() == drawn[-1]


def test_a_failing_picture_ends_nothing(trainer, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: Path) -> Path:
        raise ValueError("no font")

    monkeypatch.setattr(monitoring, "draw_curve", fail)
    result = trainer(tmp_path / "run")
    assert result.curve is None
    assert curve(tmp_path / "run") == curve(whole)


def test_training_ends_when_the_return_no_longer_grows(trainer, tmp_path: Path) -> None:
    result = trainer(tmp_path / "run", stop_norm_length=0.0, stop_min_gain=10.0, stop_patience=2)
    assert result.stopped_because == "the normalized return no longer grew"
    assert [row["timesteps"] for row in result.evaluations] == [0, 256]
