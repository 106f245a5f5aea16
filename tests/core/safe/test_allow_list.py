from __future__ import annotations

import re
from pathlib import Path

from mocapact_cli.core.policies.networks import ACTIVATIONS
from mocapact_cli.core.safe import allow_list, stand_ins
from mocapact_cli.core.safe.allow_list import ALLOWED

WRITTEN_HERE = {
    # NumPy 2 calls its modules otherwise, and mocapact names what both have.
    *("numpy._core.multiarray._reconstruct", "numpy._core.multiarray.scalar", "numpy._core.numeric._frombuffer"),
    *("numpy.frombuffer", "numpy.array", "builtins.bytearray"),
    # Arrays without elements, in the protocol that PyTorch writes.
    "__builtin__.bytes",
    # Stable-Baselines3 2 and Gymnasium.
    *("gymnasium.spaces.box.Box", "stable_baselines3.common.policies.ActorCriticPolicy"),
    *("stable_baselines3.common.buffers.RolloutBuffer", "stable_baselines3.common.utils.FloatSchedule"),
    "stable_baselines3.common.utils.ConstantSchedule",
    # Networks with other activations than Tanh, and tensors of other types than float32.
    *(f"torch.nn.modules.activation.{name}" for name in ACTIVATIONS if name != "Tanh"),
    *(f"torch.{name}" for name in allow_list.STORAGES if name != "FloatStorage"),
}
"""Names that no published file has, with the reason why they are read."""


def _published(test_data: Path) -> set[str]:
    """Every name in the listing: it stands in braces with how often it occurs."""
    listing = (test_data / "published/pickle_globals.txt").read_text()
    braces = re.findall(r"\{([^{}]*)\}", listing)
    return {name for part in braces for name in re.findall(r"'([\w.]+)': \d+", part)}


def test_the_list_is_that_of_the_published_files_and_of_what_is_written_here(test_data: Path) -> None:
    published = _published(test_data)
    assert len(published) == 26
    assert published <= ALLOWED
    assert ALLOWED - published == WRITTEN_HERE


def test_whatever_is_named_is_inert() -> None:
    tables = (allow_list.METRICS, allow_list.VECNORMALIZE, allow_list.CHECKPOINT, allow_list.MODEL, allow_list.TENSORS)
    for name, found in {name: found for table in tables for name, found in table.items()}.items():
        own = getattr(found, "__module__", "") == stand_ins.__name__
        assert own or found in allow_list.STORAGES.values(), name
