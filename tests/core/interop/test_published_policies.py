"""Published multi-clip policies against the original's own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.loader import Batch, BatchLoader
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.interop.policies import load_policy
from mocapact_cli.core.interop.published_policies import convert
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.policies.embedding import EmbeddingPolicy
from mocapact_cli.core.policies.gpt import GptPolicy
from mocapact_cli.core.policies.low_level import LowLevelPolicy

FOLDERS = {
    "mlp_reference": "multi_clip/mlp_reference",
    "mlp_time_index": "multi_clip/mlp_time_index",
    "npmp_rwr": "multi_clip/npmp_rwr",
    "mcp": "multi_clip/mcp",
    "gpt": "motion_completion/gpt",
}
EMBEDDING = ("npmp_rwr", "mcp")
TOLERANCE = 1e-5
RESTART = 10
"""Step at which environment 1 of the closed loop starts a new episode."""

Reference = Mapping[str, np.ndarray]


@pytest.fixture(scope="module")
def published(test_data: Path) -> Path:
    return test_data / "published"


@pytest.fixture(scope="module")
def observations(published: Path) -> Reference:
    return np.load(published / "reference" / "policy_observations.npz")


def opened(published: Path, name: str) -> tuple[Any, Reference]:
    return load_policy(published / FOLDERS[name]), np.load(published / "reference" / f"policy_{name}.npz")


def group(arrays: Reference, prefix: str, rows: slice | int = slice(None)) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): arrays[key][rows] for key in arrays if key.startswith(prefix)}


@pytest.mark.parametrize("name", FOLDERS)
def test_statistics_and_parameters_are_the_originals(published: Path, name: str) -> None:
    policy, reference = opened(published, name)
    for view, names in policy.features.views.items():
        part = f"extractor/{view if name in EMBEDDING else 'all'}"
        assert tuple(reference[f"{part}/keys"]) == names
        for kind in ("mean", "std"):
            ours = policy.features._of(view, getattr(policy.features, kind))
            np.testing.assert_array_equal(ours, reference[f"{part}/{kind}"])
    ours = {key: str(tuple(value.shape)) for key, value in policy.state_dict().items() if "features" not in key}
    keys, shapes = reference["state_dict_keys"].tolist(), reference["state_dict_shapes"].tolist()
    theirs = {key: shape for key, shape in zip(keys, shapes, strict=True) if not key.endswith("attn.mask")}
    assert ours == theirs


@pytest.mark.parametrize("name", ["mlp_reference", "mlp_time_index"])
def test_perceptrons_act_as_the_original(published: Path, observations: Reference, name: str) -> None:
    policy, reference = opened(published, name)
    actions, state = policy.predict(group(observations, "obs/"))
    assert state is None
    np.testing.assert_allclose(actions, reference["action"], atol=TOLERANCE)
    features = torch.from_numpy(reference["features"])
    np.testing.assert_allclose(policy.mlp(features).detach(), reference["raw_output"], atol=TOLERANCE)


@pytest.mark.parametrize("name", EMBEDDING)
def test_embedding_policies_act_as_the_original(published: Path, observations: Reference, name: str) -> None:
    policy, reference = opened(published, name)
    assert isinstance(policy, EmbeddingPolicy)
    seen, embeddings = group(observations, "obs/"), reference["embed0"]
    for state, suffix in ((embeddings, ""), (None, "_state_none")):
        actions, following = policy.predict(seen, state)
        np.testing.assert_allclose(actions, reference["action" + suffix], atol=TOLERANCE)
        np.testing.assert_allclose(following, reference["next_state" + suffix], atol=TOLERANCE)
    action, following = policy.predict(group(observations, "obs/", 0), embeddings[:1])
    np.testing.assert_allclose(action, reference["action_single"], atol=TOLERANCE)
    np.testing.assert_allclose(following, reference["next_state_single"], atol=TOLERANCE)


@pytest.mark.parametrize("name", EMBEDDING)
def test_encoders_and_decoders_are_the_originals(published: Path, observations: Reference, name: str) -> None:
    policy, reference = opened(published, name)
    seen, embeddings = group(observations, "obs/"), reference["embed0"]
    means, stds = policy.encode(seen, embeddings)
    np.testing.assert_allclose(means, reference["encoder_mean"], atol=TOLERANCE)
    np.testing.assert_allclose(stds, reference["encoder_std"], atol=TOLERANCE)
    tensors = {key: torch.from_numpy(value) for key, value in seen.items()}
    for view in ("ref_encoder", "decoder"):
        np.testing.assert_allclose(policy.features(view, tensors), reference[f"features_{view}"], atol=TOLERANCE)
    with torch.no_grad():
        actions, std = policy.decode(torch.from_numpy(reference["features_decoder"]), torch.from_numpy(embeddings))
    np.testing.assert_allclose(actions, reference["decoder_mean_at_embed0"], atol=TOLERANCE)
    np.testing.assert_allclose(std, reference["decoder_std_at_embed0"], atol=TOLERANCE)
    if "low_level_policy_at_embed0" in reference:
        expected = np.clip(reference["low_level_policy_at_embed0"], -1.0, 1.0)
        np.testing.assert_allclose(policy.low_level(seen, embeddings), expected, atol=TOLERANCE)


def closed_loop(policy: DistilledPolicy, observations: Reference) -> tuple[np.ndarray, list[Any]]:
    state, actions, states = None, [], []
    for step in range(len(observations["seq_obs/walker/joints_pos"])):
        if step == RESTART:
            state = policy.reset_state(state, np.array([False, True, False, False]))
        acted, state = policy.predict(group(observations, "seq_obs/", step), state)
        actions.append(acted)
        states.append(state)
    return np.stack(actions), states


@pytest.mark.parametrize("name", EMBEDDING)
def test_embeddings_go_on_from_step_to_step(published: Path, observations: Reference, name: str) -> None:
    policy, reference = opened(published, name)
    actions, states = closed_loop(policy, observations)
    np.testing.assert_allclose(actions, reference["seq_actions"], atol=TOLERANCE)
    np.testing.assert_allclose(np.stack(states), reference["seq_states"], atol=TOLERANCE)


def test_the_gpts_context_goes_on_from_step_to_step(published: Path, observations: Reference) -> None:
    policy, reference = opened(published, "gpt")
    actions, states = closed_loop(policy, observations)
    np.testing.assert_allclose(actions, reference["seq_actions"], atol=TOLERANCE)
    np.testing.assert_array_equal([state.fill for state in states], reference["seq_idx"])
    np.testing.assert_allclose(states[3].context, reference["seq_contexts_t3"], atol=TOLERANCE)
    np.testing.assert_allclose(states[-1].context, reference["seq_contexts_last"], atol=TOLERANCE)


def test_the_gpt_acts_as_the_original_whatever_its_context_holds(published: Path, observations: Reference) -> None:
    policy, reference = opened(published, "gpt")
    assert isinstance(policy, GptPolicy)
    actions, state = policy.predict(group(observations, "obs/"))
    np.testing.assert_allclose(actions, reference["action"], atol=TOLERANCE)
    np.testing.assert_allclose(state.context, reference["next_state_context"], atol=TOLERANCE)
    given = reference["given_context"], reference["given_idx"]
    assert {0, 16} <= set(given[1].tolist())
    actions, state = policy.predict(group(observations, "obs/", slice(8)), given)
    np.testing.assert_allclose(actions, reference["given_action"], atol=TOLERANCE)
    np.testing.assert_allclose(state.context, reference["given_next_context"], atol=TOLERANCE)
    np.testing.assert_array_equal(state.fill, reference["given_next_idx"])
    with torch.no_grad():
        outputs = policy.gpt(torch.from_numpy(given[0]))
    np.testing.assert_allclose(outputs, reference["gpt_out_of_given_context"], atol=TOLERANCE)


def training_batch(published: Path, policy: DistilledPolicy, reference: Reference) -> Batch:
    """The batch of the original's numbers: RWR with temperature 4, no upsampling."""
    dataset = ExpertDataset(
        sorted((published / "dataset").glob("*.hdf5")),
        policy.observables,
        min_seq_steps=policy.window,
        max_seq_steps=policy.window,
        advantage_weights=False,
        temperature=4.0,
        in_memory=True,
    )
    return BatchLoader(dataset, 8, shuffle=False).gather(reference["train_batch_idx"])


def gradient_norms(policy: DistilledPolicy) -> list[float]:
    return [float(value.grad.norm()) for value in policy.parameters() if value.grad is not None]


def grad_name(reference: Reference) -> str:
    return next(name for name in reference if name.startswith("grad_norm"))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("mlp_reference", "training_step_loss"),
        ("mlp_time_index", "training_step_loss"),
        ("gpt", "training_step_loss_eval_mode"),
    ],
)
def test_losses_and_gradients_are_the_originals(published: Path, name: str, key: str) -> None:
    policy, reference = opened(published, name)
    loss, _ = policy.loss(training_batch(published, policy, reference))
    loss.backward()
    assert loss.item() == pytest.approx(float(reference[key]), rel=1e-5)
    np.testing.assert_allclose(gradient_norms(policy), reference[grad_name(reference)], rtol=1e-3, atol=1e-5)


def original_noise(policy: EmbeddingPolicy, size: int) -> torch.Tensor:
    """What the original draws with both seeds at 4: NumPy's for the first embedding, PyTorch's step by step."""
    first = np.random.RandomState(4).randn(size, policy.embed_size).astype(np.float32)
    generator = torch.Generator().manual_seed(4)
    shape = (size, policy.embed_size)
    steps = [torch.normal(torch.zeros(shape), torch.ones(shape), generator=generator) for _ in range(policy.window)]
    return torch.stack([torch.from_numpy(first), *steps])


@pytest.mark.parametrize("name", EMBEDDING)
def test_losses_and_gradients_of_embedding_policies_are_the_originals(published: Path, name: str) -> None:
    policy, reference = opened(published, name)
    loss, metrics = policy.loss(training_batch(published, policy, reference), original_noise(policy, 8))
    loss.backward()
    if name == "mcp":
        assert loss.item() == pytest.approx(float(reference["training_step_loss_seed4"]), rel=1e-5)
    else:
        keys = ("loss", "weighted_log_prob_loss", "kl_div", "mse", "embed_delta", "embed_delta_std", "embed_mean")
        expected = reference["run_batch_seed4"] * [1, -1, 1, 1, 1, 1, 1, 1]
        found = [float(metrics[key]) for key in (*keys, "embed_std")]
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(gradient_norms(policy), reference[grad_name(reference)], rtol=1e-3, atol=1e-6)


def test_the_gpts_optimizer_groups_are_the_originals(published: Path) -> None:
    policy, reference = opened(published, "gpt")
    sizes = [len(part["params"]) for part in policy.parameter_groups()]
    np.testing.assert_array_equal(sizes, reference["optim_group_sizes"])


@pytest.mark.parametrize("place", ["eval/train_rsi/best_model.ckpt", "eval/validation/best.ckpt", "model/last.ckpt"])
def test_every_checkpoint_of_a_run_is_opened(published: Path, place: str) -> None:
    policy = load_policy(published / "multi_clip" / "npmp_rwr" / place)
    assert policy.config.embed_size == 20


def test_low_level_policies_of_transfer_are_opened(published: Path) -> None:
    policy = load_policy(published / "transfer" / "go_to_target" / "0" / "eval" / "model" / "low_level_policy.ckpt")
    low_level = LowLevelPolicy(policy)
    reference = np.load(published / "reference" / "transfer_go_to_target.npz")
    seen = {name.removeprefix("obs/"): reference[name] for name in reference.files if name.startswith("obs/")}
    actions = low_level.act(seen, reference["high_level_action"])
    np.testing.assert_allclose(actions, reference["action"], atol=TOLERANCE)
    assert low_level.max_embed == reference["action_space_high"].max()


def test_parameters_of_no_known_model_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no model that is known"):
        convert({}, {"something.weight": torch.zeros(1)})
