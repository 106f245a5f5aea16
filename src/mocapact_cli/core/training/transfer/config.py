"""Settings of training for tasks and the presets `paper` and `fast`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mocapact_cli.core.config import check_not_negative, check_positive
from mocapact_cli.core.policies.low_level import MAX_EMBED
from mocapact_cli.core.training.ppo.settings import check_shares, preset_of, resolve_preset


@dataclass(frozen=True)
class TransferConfig:
    """How a policy for a task is trained; the defaults are the preset `fast`."""

    preset: str = "fast"
    """Name of the preset these settings began as."""
    task: str = "go-to-target"
    """What is to be done: go-to-target, velocity-control or a task of your own."""
    task_settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the task that differ from the original's, such as max_steps."""
    low_level_policy: Path | None = None
    """A distilled policy with an embedding, ours or published: actions are embeddings that its decoder turns into
    motion; None: actions are the joints' own."""
    max_embed: float = MAX_EMBED
    """Limit of an embedding's columns."""

    total_timesteps: int = 20_000_000
    """Environment steps after which training ends at the latest."""
    max_minutes: float | None = None
    """Minutes to train at most; None for no limit."""
    num_envs: int = 128
    """Environments simulated side by side."""
    threads: int | None = None
    """Threads of physics and learner; None for all cores."""
    seed: int = 0
    """Seed of every random choice."""
    device: str = "auto"
    """Where networks run: auto (a GPU if there is one), cpu, cuda or cuda:N."""

    steps_per_update: int = 8192
    """Environment steps collected between updates, over all environments."""
    batch_size: int = 1024
    """Samples a gradient step."""
    n_epochs: int = 5
    """Passes over the collected steps."""
    clip_range: float = 0.3
    """PPO's limit of the probability ratio."""
    target_kl: float | None = None
    """An update ends before its epochs are over when the policy's divergence passes one and a half times this; None for
    no such limit."""
    gamma: float = 0.99
    """Discount factor."""
    gae_lambda: float = 0.95
    """Decay of generalized advantage estimation."""
    max_grad_norm: float = 1.0
    """Limit of the gradient's norm."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    learning_rate: float = 3e-4
    """Step size of Adam at the start."""
    lr_decay: float = 1.0
    """The step size is divided by this at one third and at two thirds of all steps."""
    desired_kl: float | None = 0.02
    """Keep the change of the policy in an update near this divergence by adapting the step size; None: fixed."""
    quick_contacts: bool = True
    """Take training steps with MuJoCo's faster dual contact solver; evaluations are always exact."""
    overlap: bool | None = None
    """Take the steps of the next update while learning from the last ones, with the policy of one update before; None:
    where the networks are on a GPU."""

    layers: tuple[int, ...] = (256, 256)
    """Hidden layers of policy and value network."""
    activation: Literal["Tanh", "ELU", "ReLU", "SiLU"] = "ELU"
    """Activation of the hidden layers."""
    embedding_std: float = 1.0
    """Standard deviation of the actions at first where they are embeddings: that of the prior."""
    joint_std: float = 0.2
    """Standard deviation of the actions at first where they are the joints'."""
    learn_std: bool = True
    """Whether the standard deviation is learned, too."""
    bootstrap_at_end: bool = True
    """Add the value of the last state where an episode's time, not the walker, has come to its end."""

    eval_every: int = 200_000
    """Environment steps between evaluations."""
    n_eval_episodes: int = 64
    """Episodes of each evaluation, without noise."""

    def __post_init__(self) -> None:
        check_positive(self, _ABOVE_ZERO)
        check_not_negative(self, ("seed",))
        check_shares(self.steps_per_update, self.num_envs)

    @property
    def std(self) -> float:
        """Standard deviation of the actions at first."""
        return self.joint_std if self.low_level_policy is None else self.embedding_std

    def desired_kl_after(self, timesteps: int) -> float | None:  # noqa: ARG002
        """The divergence that an update should have; None for any."""
        return self.desired_kl


_ABOVE_ZERO = (
    *("total_timesteps", "max_minutes", "threads", "num_envs", "steps_per_update", "batch_size", "n_epochs"),
    *("n_eval_episodes", "eval_every"),
    *("embedding_std", "joint_std", "learning_rate", "desired_kl", "target_kl", "max_embed"),
)

PRESETS: dict[str, TransferConfig] = {
    "fast": TransferConfig(),
    "paper": TransferConfig(
        preset="paper",
        total_timesteps=100_000_000,
        steps_per_update=16_384,
        n_epochs=10,
        clip_range=0.2,
        target_kl=0.3,
        learning_rate=5e-5,
        desired_kl=None,
        quick_contacts=False,
        overlap=False,
        layers=(1024, 1024, 1024),
        activation="Tanh",
        embedding_std=2.5,
        joint_std=0.5,
        eval_every=1_000_000,
        n_eval_episodes=100,
    ),
}
"""Named settings: `paper` is the published recipe, `fast` is made for small machines."""


def preset(name: str) -> TransferConfig:
    """The settings of a preset.

    Raises:
        UsageError: There is none of that name.
    """
    return preset_of(PRESETS, name)


def resolve(name: str | None, file: Path | None, **overrides: Any) -> TransferConfig:
    """The settings of a preset, changed by a TOML file and then by the given values.

    Args:
        name: The preset; None for the one that the file names, else `fast`.
        file: TOML file of settings.
        overrides: Settings by name; None leaves one as it is.

    Raises:
        UsageError: A setting is unknown or of the wrong type.
    """
    return resolve_preset(PRESETS, name, file, overrides)
