import numpy as np
import pytest
import torch

from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.packed import PackedLinear, pack_linears
from mocapact_cli.core.policies.row_blocks import ROW_BLOCK, pad_rows
from mocapact_cli.core.policies.threads import few_torch_threads
from mocapact_cli.core.sim.observables import TIME_INDEX

LAYERS = [(16, 16), (64, 64), (1024, 1024, 1024)]


def make(layers) -> tuple[ExpertPolicy, ExpertPolicy]:
    plain, packed = (ExpertPolicy.fresh(TIME_INDEX, 206, layers=layers, seed=3) for _ in range(2))
    pack_linears(packed.network)
    return plain, packed


@pytest.mark.parametrize("layers", LAYERS)
def test_a_packed_expert_does_the_same(layers) -> None:
    plain, packed = make(layers)
    rows = np.random.default_rng(0).normal(size=(37, 206)).astype(np.float32)
    np.testing.assert_allclose(plain.mean_actions(rows), packed.mean_actions(rows), atol=1e-5)
    np.testing.assert_allclose(plain.values(rows), packed.values(rows), atol=1e-5)
    if torch.backends.mkldnn.is_available():
        assert sum(isinstance(layer, PackedLinear) for layer in packed.network.modules()) == 2 * len(layers) + 2


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("pack", [False, True])
def test_a_row_does_not_depend_on_the_rows_around_it(layers, pack: bool) -> None:
    policy = make(layers)[pack]
    rows = np.random.default_rng(1).normal(size=(200, 206)).astype(np.float32)

    def act(part: np.ndarray) -> np.ndarray:
        return policy.mean_actions(pad_rows(part))[: len(part)]

    with few_torch_threads(1):
        whole = act(rows)
        for count in (1, ROW_BLOCK, 2 * ROW_BLOCK + 1, 31, 64):
            for first in (0, 7, 100):
                np.testing.assert_array_equal(act(rows[first : first + count]), whole[first : first + count])


def test_where_layers_cannot_be_packed_they_stay(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    _, policy = make((16, 16))
    assert not any(isinstance(layer, PackedLinear) for layer in policy.network.modules())
