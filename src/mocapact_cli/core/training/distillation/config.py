"""Settings of distillation, and presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mocapact_cli.core.config import apply_overrides, load_settings
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.distilled import PolicyConfig
from mocapact_cli.core.policies.zoo import preset as policy_preset

WEIGHTINGS: Mapping[str, dict[str, Any]] = {
    "bc": {},
    "cwr": {"clip_weighted": True, "temperature": 0.2},
    "awr": {"temperature": 8.0},
    "rwr": {"advantage_weights": False, "temperature": 4.0},
}
"""Weighting -> the arguments of `ExpertDataset` that the paper uses for it."""


@dataclass(frozen=True)
class DistillConfig:
    """How a policy is distilled; the defaults are the paper's."""

    model: str = "npmp"
    """Which network: npmp, mlp-reference, mlp-time-index, hierarchical, mcp or gpt."""
    weighting: Literal["bc", "cwr", "awr", "rwr"] = "bc"
    """How samples count: alike, by their snippet's return, by advantage, by value plus advantage."""
    temperature: float | None = None
    """Of the weights; None for the paper's."""
    max_steps: int = 100_000
    """Gradient steps."""
    max_minutes: float | None = None
    """Stop after this wall-clock training time."""
    batch_size: int = 256
    """Samples a gradient step; windows where the model learns from windows."""
    learning_rate: float = 5e-4
    """Step size of Adam."""
    weight_decay: float = 0.0
    """Of AdamW."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of Adam's moments."""
    gradient_clip: float = 1.0
    """Limit of the gradient's norm."""
    clip_len_upsampling: bool = True
    """Repeat the samples of short snippets."""
    return_mean_act: bool = True
    """Learn the experts' mean actions instead of those executed."""
    n_start_rollouts: int = -1
    """At most so many episodes from a snippet's start; -1 for all."""
    n_rsi_rollouts: int = -1
    """At most so many episodes from random steps; -1 for all."""

    eval_every: int = 5000
    """Gradient steps between evaluations, which also save."""
    n_eval_episodes: int = 200
    """Episodes of each evaluation, from random steps; 0 for none."""
    act_noise: float = 0.0
    """Standard deviation of the noise on the actions in them."""
    min_steps: int = 10
    """Random starts of evaluations leave room for at least one step less than this."""
    val_batches: int = 20
    """Batches of the validation set that its loss is taken over."""

    seed: int = 0
    """Of all random choices."""
    threads: int | None = None
    """Threads of learner and physics; None for all cores."""
    device: str = "auto"
    """Where the network is trained: auto (a GPU if there is one), cpu, cuda or cuda:N."""
    precision: Literal["32", "bf16"] = "32"
    """Numbers of the forward pass."""

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "learning_rate", "gradient_clip", "eval_every"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}.", hint="Give a number above zero.")

    def weights(self) -> dict[str, Any]:
        """Return the arguments of `ExpertDataset` that give the weights."""
        chosen = dict(WEIGHTINGS[self.weighting])
        if self.temperature is not None and chosen:
            chosen["temperature"] = self.temperature
        return chosen


_GPT = {"learning_rate": 3e-6, "weight_decay": 0.1, "betas": (0.9, 0.95), "max_steps": 3_000_000}


def resolve(file: Path | None, **overrides: Any) -> tuple[DistillConfig, PolicyConfig]:
    """The settings of training and of the network.

    Args:
        file: TOML file of settings; its table ``policy`` has those of the network.
        overrides: settings of training by name; None leaves one as it is.

    Raises:
        UsageError: a setting is unknown or of the wrong type.
    """
    settings = load_settings(file) if file is not None else {}
    network = settings.pop("policy", {})
    given = settings | {key: value for key, value in overrides.items() if value is not None}
    policy = policy_preset(str(given.get("model", DistillConfig.model)))
    base = replace(DistillConfig(), **_GPT) if given.get("model") == "gpt" else DistillConfig()  # type: ignore[arg-type]
    return apply_overrides(base, given), apply_overrides(policy, network)
