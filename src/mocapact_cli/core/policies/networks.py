"""Perceptrons: the building block of every policy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torch import nn

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.formatting import shortened, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

ACTIVATIONS: dict[str, type[nn.Module]] = {
    cls.__name__: cls for cls in (nn.Tanh, nn.ReLU, nn.ELU, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.Sigmoid, nn.Mish)
}
"""Activations that policies are built with, by class name."""
MAX_WIDTH = 1 << 16
MAX_LAYERS = 128


def activation_name(name: str) -> str:
    """Return `name` if there is such an activation.

    Raises:
        InvalidInputError: There is not.
    """
    if name not in ACTIVATIONS:
        raise InvalidInputError(f"The activation {shown(name)} is unknown.", hint=f"Known: {', '.join(ACTIVATIONS)}.")
    return name


def check_widths(**widths: int | Sequence[int]) -> None:
    """Raise an `InvalidInputError` that names the first of the given widths, or lists of widths, that is absurd."""
    for name, given in widths.items():
        values = [given] if isinstance(given, int) else list(given)
        if len(values) > MAX_LAYERS or not all(1 <= value <= MAX_WIDTH for value in values):
            said = shortened(str(given))
            raise InvalidInputError(f"A network with {name} = {said} is not built.", hint=f"Up to {MAX_WIDTH} fit.")


def mlp(
    inputs: int,
    widths: Sequence[int],
    outputs: int,
    activation: str,
    *,
    layer_norm: bool = False,
    squash: bool = False,
) -> nn.Sequential:
    """Build a perceptron: hidden layers of the given widths, then a linear output.

    Args:
        inputs: Columns of the input.
        widths: Widths of the hidden layers.
        outputs: Columns of the output.
        activation: One of `ACTIVATIONS`.
        layer_norm: Whether each hidden layer normalizes what its activation gets.
        squash: Whether the output goes through tanh.
    """
    layers = hidden_layers([inputs, *widths], activation, layer_norm=layer_norm)
    layers.append(nn.Linear(widths[-1] if widths else inputs, outputs))
    return nn.Sequential(*layers, *([nn.Tanh()] if squash else []))


def hidden_layers(sizes: Sequence[int], activation: str, *, layer_norm: bool = False) -> list[nn.Module]:
    """Return linear layers from each size to the next, each followed by its activation."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        norm = [nn.LayerNorm(outputs)] if layer_norm else []
        layers += [nn.Linear(inputs, outputs), *norm, ACTIVATIONS[activation_name(activation)]()]
    return layers
