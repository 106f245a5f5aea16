from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from mocapact_cli.core.config import to_dict
from mocapact_cli.core.errors import InvalidInputError, UsageError
from mocapact_cli.core.policies.distilled import DistilledPolicy
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import PRESETS, build_policy, describe, preset, restore

from .conftest import make


def test_descriptions_are_json_and_give_the_policy_back(policy: DistilledPolicy) -> None:
    description = json.loads(json.dumps(describe(policy)))
    again = restore(description, policy.state_dict(), source="test")
    assert again.config == policy.config
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in policy.state_dict().items())
    assert all(value.requires_grad for value in again.parameters())
    assert not again.training


def test_the_presets_are_the_papers() -> None:
    npmp, gpt = preset("npmp"), preset("gpt")
    assert isinstance(npmp, NpmpConfig)
    assert (npmp.embed_size, npmp.encoder_layers, npmp.decoder_layers) == (60, (1024,) * 2, (1024,) * 3)
    assert (npmp.embedding_correlation, npmp.embedding_kl_weight, npmp.seq_steps, npmp.activation) == (
        0,
        0.1,
        30,
        "ELU",
    )
    assert isinstance(gpt, GptConfig)
    assert (gpt.n_layer, gpt.n_head, gpt.n_embd, gpt.block_size) == (8, 8, 768, 32)
    with torch.device("meta"):
        sizes = {name: build_policy(config, device="meta").obs_size for name, config in PRESETS.items()}
    assert sizes == {name: {"mlp-time-index": 206, "gpt": 206}.get(name, 1291) for name in PRESETS}


def test_unknown_models_name_the_nearest() -> None:
    with pytest.raises(UsageError, match="mlp-refernce") as caught:
        preset("mlp-refernce")
    assert "mlp-reference" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "nonsense"}, "nonsense"),
        ({"config": None}, "no model"),
        ({"config": {"layer": [3]}}, "layer"),
        ({"config": {"layers": [1 << 40]}}, "layers"),
        ({"config": {"layers": [8] * 1000}}, "layers"),
        ({"config": {"activation": "Nonsense"}}, "Nonsense"),
        ({"config": {"observables": ["walker/nonsense"]}}, "walker/nonsense"),
        ({"config": {"std_dev": 0.0}}, "standard deviation"),
        ({"config": {"layers": [65536] * 100}}, "does not hold the parameters"),
    ],
)
def test_forged_descriptions_are_refused(change: dict[str, Any], message: str) -> None:
    policy = make("mlp")
    description = describe(policy)
    if isinstance(change.get("config"), dict):
        change = {"config": to_dict(policy.config) | change["config"]}
    with pytest.raises(InvalidInputError, match=message) as caught:
        restore(description | change, policy.state_dict(), source="evil.ckpt")
    assert caught.value.message.startswith("evil.ckpt")
    assert "\n" not in caught.value.message


def test_parameters_that_are_not_the_models_are_refused() -> None:
    policy = make("mlp")
    state = policy.state_dict()
    with pytest.raises(InvalidInputError, match=r"mlp\.0\.weight"):
        restore(describe(policy), {name: value for name, value in state.items() if name != "mlp.0.weight"}, source="x")
    with pytest.raises(InvalidInputError, match="parameters of its model"):
        restore(describe(policy), make("npmp").state_dict(), source="x")
    with pytest.raises(InvalidInputError, match="not finite"):
        restore(describe(policy), state | {"mlp.0.bias": state["mlp.0.bias"] * float("nan")}, source="x")
