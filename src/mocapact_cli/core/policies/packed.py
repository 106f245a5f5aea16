"""Linear layers whose weights are laid out once for the processor, for networks that act on few rows at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_TYPICAL_ROWS = 32


class PackedLinear(nn.Module):
    """A linear layer for inference in oneDNN's own layout of the weights.

    `nn.Linear` lays them out anew at every call, which for a dozen rows takes as long as the product itself. Besides,
    a row's result here does not depend on the number of rows.

    Args:
        linear: The layer, on the processor.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._bias = linear.bias
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), _TYPICAL_ROWS)

    def forward(self, rows: Tensor) -> Tensor:
        """Return (n, out) for (n, in)."""
        result: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return result


def pack_linears(network: nn.Module) -> None:
    """Replace the linear layers of a network that is only going to act; where this PyTorch cannot, leave them."""
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            if isinstance(layer, nn.Linear) and _can_pack(layer):
                setattr(parent, name, PackedLinear(layer))


def _can_pack(layer: nn.Linear) -> bool:
    on_processor = layer.weight.device.type == "cpu" and layer.weight.dtype == torch.float32
    has_both = all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    return on_processor and has_both and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
