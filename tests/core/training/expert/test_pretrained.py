from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.config import from_dict
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import load_expert, write_clip_info, write_model
from mocapact_cli.core.policies.expert import ExpertPolicy, Normalizer
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.pretrained import adopt_networks, reordered
from mocapact_cli.core.training.expert.train import train_expert

SIZE = ObservableLayout(TIME_INDEX, (0,)).size


def random_policy(observables=TIME_INDEX, *, layers=(24, 12), activation="SiLU", **statistics: float) -> ExpertPolicy:
    """An expert of arbitrary weights and statistics."""
    size, rng = ObservableLayout(observables, (0,)).size, np.random.default_rng(1)
    fresh = ExpertPolicy.fresh(observables, size, layers=layers, activation=activation, seed=4)
    normalizer = Normalizer(
        mean=rng.normal(size=size),
        var=rng.uniform(0.5, 2.0, size),
        **{"count": 5000.0, "return_mean": 3.0, "return_var": 7.0, "return_count": 4000.0} | statistics,
    )
    return ExpertPolicy(fresh.network, normalizer, observables)


def save(root: Path, policy: ExpertPolicy) -> Path:
    write_clip_info(root, Snippet("CMU_016_22", 0, 82), policy.observables, ref_steps=[0])
    write_model(root / "eval_rsi/model", policy)
    return root


def trained_weights(root: Path) -> dict[str, torch.Tensor]:
    return torch.load(root / "checkpoints/last.pt", weights_only=True)["policy"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return save(tmp_path / "source/0", random_policy())


@pytest.fixture
def go_on(trainer, tmp_path: Path):
    """Trains from an expert, with the networks of the preset unless told otherwise."""

    def train(root: Path, warm_start: Path, *, chosen=(), force: bool = False, resume: bool = False, **changes: object):
        usual = ExpertConfig()
        config = replace(
            trainer.config, layers=usual.layers, warm_start=warm_start, total_timesteps=128, eval_every=128
        )
        config = replace(config, **changes)
        run = {"chosen": chosen, "force": force, "resume": resume}
        return train_expert(trainer.clip, trainer.snippet, config, root, **run)

    return train


@pytest.mark.parametrize("teacher", [False, True])
def test_the_first_evaluated_model_is_the_source(go_on, source: Path, tmp_path: Path, teacher: bool) -> None:
    go_on(tmp_path / "run", source, max_minutes=1e-6, teacher=teacher)
    begun, theirs = load_expert(tmp_path / "run/eval_start"), load_expert(source)
    assert begun.hyperparameters["num_timesteps"] == 0
    assert begun.policy.network.actor_widths == [24, 12]
    assert begun.policy.network.activation == "SiLU"
    for name, value in theirs.policy.network.state_dict().items():
        assert torch.equal(begun.policy.network.state_dict()[name], value), name
    mine, other = vars(begun.policy.normalizer), vars(theirs.policy.normalizer)
    for name in ("mean", "var", "count", "return_mean", "return_var", "return_count"):
        np.testing.assert_array_equal(mine[name], other[name])


def test_it_learns_on_from_there(go_on, source: Path, tmp_path: Path) -> None:
    result = go_on(tmp_path / "run", source)
    before, after = load_expert(source).policy.network.state_dict(), trained_weights(tmp_path / "run")
    shared = {name: value.shape[-1] if value.ndim else None for name, value in before.items()}
    moved = {name: float((after[name][..., : shared[name]] - value).abs().max()) for name, value in before.items()}
    assert moved["log_std"] == 0.0
    assert 0.0 < moved["mlp_extractor.policy_net.0.weight"] < 0.05
    # The critic of training begins as the source's, and without a mind for what it sees besides.
    assert 0.0 < moved["mlp_extractor.value_net.0.weight"] < 0.05
    assert 0.0 < float(after["mlp_extractor.value_net.0.weight"][:, SIZE:].abs().max()) < 0.05
    assert [row["timesteps"] for row in result.evaluations] == [0, 128]


def test_a_teacher_learns_on_from_there_and_its_pupil_follows(go_on, source: Path, tmp_path: Path) -> None:
    go_on(tmp_path / "run", source, teacher=True)
    before, after = load_expert(source).policy.network.state_dict(), trained_weights(tmp_path / "run")
    for name, first in (("mlp_extractor.policy_net.0.weight", "pupil.0.0.weight"), ("action_net.bias", "pupil.1.bias")):
        columns = slice(SIZE) if before[name].ndim > 1 else slice(None)
        for learned in (after[name], after[first]):
            assert 0.0 < float((learned[..., columns] - before[name]).abs().max()) < 0.2
    assert 0.0 < float(after["mlp_extractor.policy_net.0.weight"][:, SIZE:].abs().max()) < 0.05


def test_the_run_records_its_networks_and_needs_its_source_no_more(go_on, source: Path, tmp_path: Path) -> None:
    go_on(tmp_path / "run", source)
    recorded = from_dict(ExpertConfig, json.loads((tmp_path / "run/config.json").read_text())["training"])
    assert (recorded.layers, recorded.activation, recorded.warm_start) == ((24, 12), "SiLU", source)
    go_on(tmp_path / "whole", source, total_timesteps=256)
    shutil.rmtree(source)
    go_on(tmp_path / "run", source, resume=True, total_timesteps=256)
    for name, value in trained_weights(tmp_path / "whole").items():
        assert torch.equal(trained_weights(tmp_path / "run")[name], value), name


def test_the_standard_deviation_is_the_settings(go_on, source: Path, tmp_path: Path) -> None:
    go_on(tmp_path / "run", source, std=0.05)
    np.testing.assert_allclose(trained_weights(tmp_path / "run")["log_std"].exp(), 0.05, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "layers", "activation"),
    [("CMU_901_01-0-82", (1024, 1024, 1024), "Tanh"), ("CMU_902_01-0-89", (64, 64), "Tanh")],
)
def test_published_experts_go_on(go_on, test_data: Path, tmp_path: Path, name: str, layers, activation: str) -> None:
    source = test_data / "published/experts" / name
    go_on(tmp_path / "run", source, total_timesteps=1, max_minutes=1e-6)
    recorded = json.loads((tmp_path / "run/config.json").read_text())["training"]
    assert (tuple(recorded["layers"]), recorded["activation"]) == (layers, activation)
    begun, theirs = load_expert(tmp_path / "run/eval_start").policy, load_expert(source).policy
    observations = np.random.default_rng(0).standard_normal((5, SIZE)).astype(np.float32)
    np.testing.assert_allclose(begun.predict(observations)[0], theirs.predict(observations)[0], atol=1e-6)
    np.testing.assert_allclose(begun.values(observations), theirs.values(observations), rtol=1e-5)


@pytest.mark.parametrize("layers", [(24, 12), ()])
def test_observables_in_another_order_find_their_columns(layers: tuple[int, ...]) -> None:
    shuffled = tuple(np.random.default_rng(3).permutation(TIME_INDEX).tolist())
    theirs = random_policy(shuffled, layers=layers)
    mine = reordered(theirs, TIME_INDEX)
    flat = np.random.default_rng(0).standard_normal((6, SIZE)).astype(np.float32)
    named = ObservableLayout(TIME_INDEX, (0,)).split(flat)
    assert mine.observables == TIME_INDEX
    np.testing.assert_allclose(mine.predict(flat)[0], theirs.predict(named)[0], atol=1e-5)
    np.testing.assert_allclose(mine.values(flat), theirs.values(named), rtol=1e-4, atol=1e-5)


def test_networks_and_observables_must_belong_together() -> None:
    cut = ExpertPolicy.fresh(TIME_INDEX, SIZE - 1, layers=(8,))
    with pytest.raises(InvalidInputError, match=f"see {SIZE - 1} columns, but its observables have {SIZE}"):
        reordered(cut, TIME_INDEX)


def adopt(source: Path, tmp_path: Path, chosen=(), **changes: object) -> ExpertConfig:
    config = replace(ExpertConfig(), warm_start=source, **changes)
    return adopt_networks(config, TIME_INDEX, tmp_path / "run", chosen)


def test_settings_that_nobody_chose_give_way(source: Path, tmp_path: Path) -> None:
    adopted = adopt(source, tmp_path, gamma=0.9)
    assert adopted == replace(
        ExpertConfig(), warm_start=source, layers=(24, 12), activation="SiLU", gamma=0.9
    )  # fmt: skip
    assert adopt(source, tmp_path, chosen=["layers"], layers=(24, 12)).activation == "SiLU"


@pytest.mark.parametrize(
    ("chosen", "changes", "says"),
    [
        (["layers"], {}, ["layers (256, 256) here, (24, 12) there"]),
        ([], {"layers": (64,)}, ["layers (64) here, (24, 12) there"]),
        (["layers", "activation"], {}, ["layers (256, 256) here", "activation ELU here, SiLU there"]),
    ],
)
def test_other_sizes_are_named(source: Path, tmp_path: Path, chosen, changes, says: list[str]) -> None:
    with pytest.raises(UsageError, match="does not fit") as caught:
        adopt(source, tmp_path, chosen, **changes)
    assert str(source) in caught.value.message
    assert all(text in caught.value.message for text in says)


def test_other_observables_and_limits_are_named(tmp_path: Path) -> None:
    seen = ("walker/body_height", *TIME_INDEX[1:])
    other = save(tmp_path / "other", random_policy(seen, clip_obs=5.0))
    with pytest.raises(UsageError) as caught:
        adopt(other, tmp_path)
    for text in (f"{TIME_INDEX[0]} only here", "walker/body_height only there", "clip_obs 10 here, 5 there"):
        assert text in caught.value.message


def test_policy_and_values_must_be_of_one_size(tmp_path: Path) -> None:
    from mocapact_cli.core.policies.expert import ExpertNetwork

    policy = random_policy()
    uneven = ExpertPolicy(ExpertNetwork(SIZE, 56, [8], [16]), policy.normalizer, TIME_INDEX)
    with pytest.raises(UsageError, match=r"layers \(8\) of its policy, \(16\) of its values"):
        adopt(save(tmp_path / "uneven", uneven), tmp_path)


def test_there_must_be_such_an_expert(go_on, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no warm start 'lqr'") as caught:
        go_on(tmp_path / "run", Path("lqr"))
    assert "pd, none or" in caught.value.hint
    assert not (tmp_path / "run").exists()


def test_a_damaged_expert_is_said_before_anything_is_replaced(go_on, source: Path, tmp_path: Path) -> None:
    go_on(tmp_path / "run", source)
    model = source / "eval_rsi/model/best_model.zip"
    model.write_bytes(model.read_bytes()[:-200])
    with pytest.raises(InvalidInputError):
        go_on(tmp_path / "run", source, force=True)
    assert (tmp_path / "run/checkpoints/last.pt").exists()


def test_force_does_not_delete_the_expert_to_begin_as(go_on, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lies in the run's own folder"):
        go_on(source, source, force=True)
    assert load_expert(source).policy.obs_size == SIZE
