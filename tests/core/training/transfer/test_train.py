"""Training for tasks: what a run leaves, that it can be repeated and resumed, and what is refused before it begins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.errors import InterruptedRunError, NotFoundError, UsageError
from mocapact_cli.core.evaluation.report import read_evaluations
from mocapact_cli.core.evaluation.transfer import TransferEvalConfig, evaluate_task, open_transfer
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.interop.transfer_folder import load_transfer, open_low_level
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy, preset
from mocapact_cli.core.tasks.registry import make_task
from mocapact_cli.core.training.transfer.config import PRESETS, TransferConfig, resolve
from mocapact_cli.core.training.transfer.env import _LEAST_WORK, _worthwhile_parts
from mocapact_cli.core.training.transfer.model import build_env, build_model, decoder_for, snapshot, training_batch
from mocapact_cli.core.training.transfer.monitor import TransferMonitor
from mocapact_cli.core.training.transfer.train import recorded_config, train_transfer

TINY = replace(
    PRESETS["fast"],
    task_settings={"max_steps": 12, "distance_tolerance": 4.0},
    total_timesteps=512,
    num_envs=8,
    threads=1,
    steps_per_update=128,
    batch_size=64,
    n_epochs=2,
    layers=(16,),
    eval_every=256,
    n_eval_episodes=4,
)
"""Four updates, with an evaluation at 0, 256 and 512 steps."""
CURVE = ("train_return", "kl", "step_size", "eval_return", "eval_targets_reached")


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def skills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distilled policy that has learned nothing."""
    config = NpmpConfig(embed_size=4, encoder_layers=(8,), decoder_layers=(8,))
    return write_checkpoint(tmp_path_factory.mktemp("skills") / "skills.ckpt", build_policy(config, seed=0))


@pytest.fixture(scope="module")
def tiny(skills: Path) -> TransferConfig:
    return replace(TINY, low_level_policy=skills)


@pytest.fixture(scope="module")
def whole(tiny: TransferConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    root = tmp_path_factory.mktemp("whole") / "run"
    train_transfer(tiny, root)
    return root


def state(root: Path) -> dict[str, Any]:
    return torch.load(root / "checkpoints/last.pt", weights_only=True)


def curve(root: Path) -> list[list[Any]]:
    """The metrics that do not depend on the clock."""
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [[row["timesteps"], *[row.get(name) for name in CURVE]] for row in rows]


def assert_same_run(one: Path, other: Path) -> None:
    assert curve(one) == curve(other)
    for name, values in state(one)["policy"].items():
        assert torch.equal(values, state(other)["policy"][name]), name


def stop_after(monkeypatch: pytest.MonkeyPatch, timesteps: int, error: type[BaseException] = KeyboardInterrupt) -> None:
    """Fail in the first step after so many samples, as Ctrl-C or a crash would."""
    usual = TransferMonitor._on_step

    def on_step(self: TransferMonitor) -> bool:
        if self.num_timesteps > timesteps:
            raise error
        return usual(self)

    monkeypatch.setattr(TransferMonitor, "_on_step", on_step)


def test_a_run_leaves_the_published_layout(whole: Path, skills: Path) -> None:
    assert {path.name for path in (whole / "eval/model").iterdir()} == {
        "best_model.zip", "normalizer.json", "vecnormalize.pkl", "low_level_policy.ckpt",
    }  # fmt: skip
    assert (whole / "eval/model/low_level_policy.ckpt").read_bytes() == skills.read_bytes()
    history = read_evaluations(whole / "eval/evaluations.npz")
    assert history.timesteps.tolist() == [0, 256, 512]
    assert history.results.shape == (3, 4)
    more = {"config.json", "versions.json", "metrics.jsonl", "tensorboard", "curve.png"}
    assert more <= {path.name for path in whole.iterdir()}


def test_the_best_model_is_that_of_the_best_evaluation_and_scores_the_same(whole: Path) -> None:
    history = read_evaluations(whole / "eval/evaluations.npz")
    means = history.results.mean(axis=1)
    subject = open_transfer(whole)
    assert subject.loaded.hyperparameters["num_timesteps"] == history.timesteps[np.argmax(means)]
    assert subject.task.settings.max_steps == 12
    again = evaluate_task(subject.loaded.policy, subject.task, TransferEvalConfig(4, threads=1))
    np.testing.assert_allclose([end.episode_return for end in again.ends], history.results[np.argmax(means)])


def test_two_runs_with_one_seed_are_equal(tiny: TransferConfig, whole: Path, tmp_path: Path) -> None:
    train_transfer(tiny, tmp_path / "again")
    assert_same_run(whole, tmp_path / "again")


def test_a_crashed_run_goes_on_as_if_nothing_had_happened(
    tiny: TransferConfig, whole: Path, skills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "crashed"
    with monkeypatch.context() as patch:
        stop_after(patch, 300, MemoryError)
        with pytest.raises(MemoryError):
            train_transfer(tiny, root)
    train_transfer(replace(tiny, low_level_policy=None), root, resume=True)
    assert_same_run(whole, root)


def test_ctrl_c_saves_and_the_run_goes_on(
    tiny: TransferConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        stop_after(patch, 200)
        with pytest.raises(InterruptedRunError, match="Stopped after"):
            train_transfer(tiny, root)
    assert state(root)["progression"]["timesteps"] > 200
    result = train_transfer(tiny, root, resume=True)
    assert result.timesteps >= 512


def test_joints_are_moved_directly_without_a_low_level_policy(tmp_path: Path) -> None:
    result = train_transfer(replace(TINY, task="velocity_control", task_settings={}, total_timesteps=128), tmp_path)
    loaded = load_transfer(result.root)
    assert (loaded.task, loaded.policy.low_level, loaded.policy.decoder.size) == ("velocity-control", None, 56)
    assert {"eval_speed_error", "eval_direction_error"} <= result.evaluations[-1].keys()


def test_the_standard_deviation_begins_as_set_and_is_learned(whole: Path, tiny: TransferConfig) -> None:
    learned = state(whole)["policy"]["log_std"].exp()
    assert learned.shape == (4,)
    assert not torch.equal(learned, torch.ones(4))
    np.testing.assert_allclose(learned, tiny.embedding_std, atol=0.2)
    assert (PRESETS["paper"].std, replace(PRESETS["paper"], low_level_policy=Path("x")).std) == (0.5, 2.5)


def test_the_learner_sees_the_task_alone_where_the_decoder_sees_more(tmp_path: Path) -> None:
    config = NpmpConfig(
        embed_size=4, encoder_layers=(8,), decoder_layers=(8,),
        decoder_observables=("walker/joints_pos", "walker/head_height"),
    )  # fmt: skip
    write_checkpoint(tmp_path / "skills.ckpt", build_policy(config, seed=0))
    task = make_task("go-to-target", demo("demo_squat"), TINY.task_settings)
    low_level = open_low_level(tmp_path / "skills.ckpt")
    decoder = decoder_for(task, low_level)
    with training_batch(task, replace(TINY, num_envs=4), decoder) as batch:
        env = build_env(batch, TINY, decoder)
        rows = env.reset()
        assert rows.shape == (4, decoder.seen) == (4, batch.obs_size - 1)
        for _ in range(13):
            rows, _, dones, infos = env.step(np.zeros((4, 4), dtype=np.float32))
        assert dones.any() or rows.shape == (4, decoder.seen)
        model = build_model(env, replace(TINY, low_level_policy=tmp_path), lambda left: 1e-3)
        policy = snapshot(model, env, TINY, task, low_level)
        assert policy.observables[-1] == "walker/head_height"
        expected = model.policy.predict(env.normalize_obs(env.unnormalize_obs(rows)), deterministic=True)[0]
        flat = np.concatenate([env.get_original_obs(), np.zeros((4, 1), np.float32)], axis=1)
        np.testing.assert_allclose(policy.high_level(flat), expected, atol=1e-5)
        assert all(info["terminal_observation"].shape == (decoder.seen,) for info in infos if info)


def test_a_time_limit_is_told_apart_from_a_fall(tiny: TransferConfig, skills: Path) -> None:
    task = make_task("go-to-target", demo("demo_squat"), {"max_steps": 3})
    decoder = decoder_for(task, open_low_level(skills))
    with training_batch(task, replace(tiny, num_envs=2), decoder) as batch:
        env = build_env(batch, tiny, decoder)
        env.reset()
        for _ in range(3):
            _, _, dones, infos = env.step(np.zeros((2, 4), dtype=np.float32))
        assert dones.all()
        assert all(info["TimeLimit.truncated"] for info in infos)


@pytest.mark.parametrize("parts", [1, 3])
def test_decoding_on_several_threads_changes_nothing(skills: Path, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mocapact_cli.core.training.transfer.env._LEAST_ROWS", 4)
    monkeypatch.setattr("mocapact_cli.core.training.transfer.env._LEAST_WORK", 1)
    task = make_task("go-to-target", demo("demo_squat"))
    low_level = open_low_level(skills)
    decoder = decoder_for(task, low_level)
    config = replace(TINY, num_envs=12, steps_per_update=12, threads=parts)
    with training_batch(task, config, decoder) as batch:
        env = build_env(batch, config, decoder)
        env.reset()
        actions = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
        decoded = env.venv._decoded(actions)
        assert len(env.venv._parts) == parts
        np.testing.assert_allclose(decoded, decoder.decode(env.venv._observed, actions), atol=1e-5)
        env.close()


def test_a_small_decoder_is_not_worth_a_thread(skills: Path) -> None:
    task = make_task("go-to-target", demo("demo_squat"))
    decoder = decoder_for(task, open_low_level(skills))
    weights = sum(values.numel() for values in open_low_level(skills).policy.parameters())
    enough = -(-_LEAST_WORK // weights)
    assert [_worthwhile_parts(decoder, rows, 4) for rows in (64, enough, 3 * enough, 9 * enough)] == [1, 1, 3, 4]
    assert _worthwhile_parts(decoder_for(task, None), 9 * enough, 4) == 1


def test_what_cannot_be_is_refused_before_anything_is_written(tiny: TransferConfig, tmp_path: Path) -> None:
    root = tmp_path / "run"
    write_checkpoint(tmp_path / "mlp.ckpt", build_policy(replace(preset("mlp-reference"), layers=(8,)), seed=0))
    cases = [
        (replace(tiny, task="go-to-targt"), UsageError, "go-to-targt"),
        (replace(tiny, task_settings={"max_step": 3}), UsageError, "max_step"),
        (replace(tiny, low_level_policy=tmp_path / "none.ckpt"), NotFoundError, "none"),
        (replace(tiny, low_level_policy=tmp_path / "mlp.ckpt"), UsageError, "no embedding"),
    ]
    for config, error, said in cases:
        with pytest.raises(error, match=said):
            train_transfer(config, root)
        assert not root.exists()


def test_a_run_is_not_overwritten_unasked_and_not_by_its_own_policy(whole: Path, tiny: TransferConfig) -> None:
    with pytest.raises(UsageError, match="already holds a run"):
        train_transfer(tiny, whole)
    own = replace(tiny, low_level_policy=whole / "eval/model/low_level_policy.ckpt")
    with pytest.raises(UsageError, match="own folder"):
        train_transfer(own, whole, force=True)
    assert (whole / "eval/model/low_level_policy.ckpt").is_file()


def test_only_limits_change_in_a_resumed_run(whole: Path, tiny: TransferConfig, tmp_path: Path) -> None:
    assert recorded_config(whole, {"total_timesteps": 9}) == replace(
        tiny, total_timesteps=9, overlap=False, low_level_policy=tiny.low_level_policy
    )
    with pytest.raises(NotFoundError, match="no run to resume"):
        train_transfer(tiny, tmp_path, resume=True)
    (tmp_path / "config.json").write_text('{"kind": "expert"}')
    with pytest.raises(UsageError, match="transfer train"):
        recorded_config(tmp_path, {})


def test_presets_are_the_papers_and_a_files_settings_come_between(tmp_path: Path) -> None:
    paper = PRESETS["paper"]
    assert (paper.total_timesteps, paper.steps_per_update, paper.batch_size) == (100_000_000, 16_384, 1024)
    assert (paper.n_epochs, paper.learning_rate, paper.target_kl, paper.gamma) == (10, 5e-5, 0.3, 0.99)
    assert (paper.layers, paper.max_embed) == ((1024, 1024, 1024), 3.0)
    (tmp_path / "own.toml").write_text("gamma = 0.9\nn_epochs = 2\n[task_settings]\nmax_steps = 7\n")
    own = resolve("paper", tmp_path / "own.toml", n_epochs=3, seed=None)
    assert (own.preset, own.gamma, own.n_epochs, own.task_settings) == ("paper", 0.9, 3, {"max_steps": 7})
    with pytest.raises(UsageError) as caught:
        resolve("papr", None)
    assert "paper" in caught.value.hint
    with pytest.raises(UsageError, match="multiple of num_envs"):
        resolve(None, None, num_envs=100)
