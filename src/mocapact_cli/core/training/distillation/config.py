"""Settings of distillation, and the paper's recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from mocapact_cli.core.config import apply_overrides, check_not_negative, check_positive, load_settings
from mocapact_cli.core.errors import UsageError, check_known
from mocapact_cli.core.policies.distilled import PolicyConfig
from mocapact_cli.core.policies.zoo import preset as policy_preset

WEIGHTINGS: Mapping[str, dict[str, Any]] = {
    "bc": {},
    "cwr": {"clip_weighted": True, "temperature": 0.2},
    "awr": {"temperature": 8.0},
    "rwr": {"advantage_weights": False, "temperature": 4.0},
}
"""Weighting -> the arguments of `ExpertDataset` that the paper uses for it."""
EVAL_MODES = ("train_rsi", "train_start", "val_rsi", "val_start", "clips_rsi", "clips_start")
"""Evaluations in simulation: on which snippets (those learned from, those held out, extra ones), from which starts."""
COMPLETION_MODES = ("train_completion", "val_completion")
"""Evaluations of a policy that goes on from recorded rollouts: those learned from, those held out."""


@dataclass(frozen=True)
class DistillConfig:
    """How a policy is distilled; the defaults are the paper's."""

    preset: str | None = None
    """Name of the recipe that these settings began as; None for none."""
    model: str = "npmp"
    """Which network: npmp, mlp-reference, mlp-time-index, hierarchical, mcp or gpt."""
    split: str | None = None
    """Which clips are learned from: train (validates with the validation clips of the same dataset), locomotion,
    validation or all; None for all, but train for the downloaded dataset."""
    weighting: Literal["bc", "cwr", "awr", "rwr"] = "bc"
    """How samples count: bc (alike), cwr (by their snippet's return), awr (by advantage) or rwr (by value, too)."""
    temperature: float | None = None
    """Temperature of the weights; None for the paper's."""
    max_steps: int = 100_000
    """Gradient steps to take at most."""
    max_minutes: float | None = None
    """Minutes to train at most; None for no limit."""
    batch_size: int = 256
    """Samples a gradient step, of all processes together; windows where the model learns from windows."""
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
    skip_last_steps: int = 0
    """Steps before each episode's end that are not learned from: experts know that nothing comes after it."""

    eval_every: int = 10_000
    """Gradient steps between evaluations, which also save."""
    eval_modes: tuple[str, ...] = EVAL_MODES
    """Which evaluations are made, as far as there is something for them; the best policy is chosen by the first."""
    n_eval_episodes: int = 1000
    """Episodes of each evaluation, divided over at most as many snippets; 0 for none, which needs no reference
    motion."""
    act_noise: float = 0.0
    """Standard deviation of the noise on the actions in them."""
    min_steps: int = 10
    """Random starts of evaluations leave room for at least one step less than this."""
    completion_steps: int = 100
    """Control steps beyond a clip's end that a completion lasts at most."""
    val_batches: int = 20
    """Batches of the validation set that its loss is taken over."""
    save_every_minutes: float = 10.0
    """Wall-clock time between checkpoints, beside those of evaluations."""

    seed: int = 0
    """Seed of every random choice."""
    threads: int | None = None
    """Threads of physics and learner; None for all cores."""
    device: str = "auto"
    """Where networks run: auto (a GPU if there is one), cpu, cuda or cuda:N."""
    devices: int = 1
    """Processes on this machine that learn together, each with a GPU of its own; -1 for as many as there are GPUs."""
    num_nodes: int = 1
    """Machines that learn together, with as many processes each; start the same command on each."""
    strategy: Literal["auto", "ddp"] = "auto"
    """How processes learn together: auto leaves a single one alone and joins several as ddp does."""
    precision: Literal["32", "bf16", "fp16"] = "32"
    """Numbers of the forward pass; parameters always have single precision."""
    compile: bool | Literal["auto"] = "auto"
    """Whether the loss is compiled, which takes minutes; auto: on a GPU."""

    def __post_init__(self) -> None:
        check_positive(self, _POSITIVE)
        check_not_negative(self, ("seed", "temperature", "n_eval_episodes"))
        if self.devices < 1 and self.devices != -1:
            raise UsageError(f"devices is {self.devices}.", hint="Give their number, or -1 for all GPUs.")
        modes = (*EVAL_MODES, *COMPLETION_MODES)
        for mode in self.eval_modes:
            check_known(mode, modes, "evaluation")

    def weights(self) -> dict[str, Any]:
        """Return the arguments of `ExpertDataset` that give the weights."""
        chosen = dict(WEIGHTINGS[self.weighting])
        if self.temperature is not None and chosen:
            chosen["temperature"] = self.temperature
        return chosen


_POSITIVE = (
    "max_steps",
    "max_minutes",
    "threads",
    "batch_size",
    "learning_rate",
    "gradient_clip",
    "eval_every",
    "completion_steps",
    "val_batches",
    "save_every_minutes",
    "num_nodes",
)
# A GPT does not see what it is to track, so going on from a prompt says more about it than tracking.
_OF_MODEL: Mapping[str, dict[str, Any]] = {
    "gpt": {
        "learning_rate": 3e-6,
        "weight_decay": 0.1,
        "betas": (0.9, 0.95),
        "max_steps": 3_000_000,
        "eval_every": 50_000,
        "eval_modes": COMPLETION_MODES,
        "n_eval_episodes": 100,
    }
}
"""Model -> settings of its training in the paper that differ from the defaults."""


@dataclass(frozen=True)
class Recipe:
    """Settings that belong together, such as those of a training of the paper.

    Attributes:
        model: Name of the network.
        split: Which clips it learns from.
        training: Its settings.
        policy: Those of the network.
    """

    model: str
    split: str
    training: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)


_FAST_GPT: Mapping[str, Any] = {
    "learning_rate": 5e-4,
    "max_steps": 6000,
    "batch_size": 64,
    "eval_every": 1000,
    "n_eval_episodes": 50,
    "skip_last_steps": 10,
}
_SMALL_GPT: Mapping[str, Any] = {
    "block_size": 16,
    "n_layer": 3,
    "n_head": 4,
    "n_embd": 192,
    "embd_pdrop": 0.0,
    "resid_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "obs_noise": 0.1,
}
RECIPES: Mapping[str, Recipe] = {
    "all": Recipe("npmp", "train", {"weighting": "rwr"}, {"embed_size": 60}),
    "locomotion": Recipe("npmp", "locomotion", {"weighting": "rwr"}, {"embed_size": 20}),
    "completion": Recipe("gpt", "train"),
    "completion-fast": Recipe("gpt", "all", _FAST_GPT, _SMALL_GPT),
}
"""Preset -> a training of the paper: policies for all clips and for locomotion, and the GPT of motion completion; and
the recipe of a small GPT that a few clips and a processor are enough for."""


@dataclass(frozen=True)
class Settings:
    """What a training is asked to be.

    Attributes:
        training: Of the training.
        policy: Of the network.
    """

    training: DistillConfig
    policy: PolicyConfig


def resolve(file: Path | None, *, preset: str | None = None, resumed: str | None = None, **overrides: Any) -> Settings:
    """Return the settings: of the model, then the preset, then the file, then the overrides.

    Args:
        file: TOML file of settings; its table `policy` has those of the network.
        preset: One of `RECIPES`; None for the one that the file names, if it does.
        resumed: Model of the run that goes on, if one does.
        overrides: Settings of training by name; None leaves one as it is.

    Raises:
        UsageError: A setting or the preset is unknown, or a value is of the wrong type.
    """
    settings = load_settings(file) if file is not None else {}
    network = settings.pop("policy", {})
    if not isinstance(network, dict):
        raise UsageError(f"policy is {network!r} in {file}.", hint="Settings of the network are a table, [policy].")
    given = settings | {key: value for key, value in {**overrides, "preset": preset}.items() if value is not None}
    recipe = _recipe(str(given["preset"])) if "preset" in given else None
    fallback = recipe.model if recipe else resumed or DistillConfig.model
    model = str(given.setdefault("model", fallback))
    policy, base = policy_preset(model), replace(DistillConfig(), **_OF_MODEL.get(model, {}))
    if recipe is not None:
        # Another model than the recipe's may lack what the recipe says of its own.
        known = {entry.name for entry in fields(policy)}
        base = apply_overrides(base, {**recipe.training, "split": recipe.split})
        policy = apply_overrides(policy, {name: value for name, value in recipe.policy.items() if name in known})
    return Settings(apply_overrides(base, given), apply_overrides(policy, network))


def _recipe(name: str) -> Recipe:
    check_known(name, RECIPES, "preset")
    return RECIPES[name]
