"""Settings of expert training and the presets `paper` and `fast`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mocapact_cli.core.config import check_not_negative, check_positive
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.training.ppo.settings import check_shares, preset_of, resolve_preset


@dataclass(frozen=True)
class ExpertConfig:
    """How an expert is trained; the defaults are the preset `fast`."""

    preset: str = "fast"
    """Name of the preset these settings began as."""
    total_timesteps: int = 20_000_000
    """Environment steps after which training ends at the latest; the expert of a teacher then acts a last time."""
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

    steps_per_update: int = 4096
    """Environment steps collected between updates, over all environments."""
    batch_size: int = 1024
    """Samples a gradient step."""
    n_epochs: int = 5
    """Passes over the collected steps."""
    clip_range: float = 0.5
    """PPO's limit of the probability ratio."""
    gamma: float = 0.99
    """Discount factor; a standing walker falls about two seconds after what made it fall."""
    gae_lambda: float = 0.95
    """Decay of generalized advantage estimation."""
    max_grad_norm: float = 1.0
    """Limit of the gradient's norm."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    learning_rate: float = 1e-4
    """Step size of Adam at the start."""
    lr_decay: float = 1.0
    """The step size is divided by this at one third and at two thirds of all steps."""
    desired_kl: float | None = 0.2
    """Keep the change of the policy in an update near this divergence by adapting the step size; None: fixed."""
    kl_half_life: int | None = 900_000
    """Environment steps in which `desired_kl` halves, down to `final_kl`: large changes find what works, small ones
    what works best; None: it stays."""
    final_kl: float = 0.02
    """`desired_kl` does not fall below this."""
    privileged_critic: bool = True
    """The critic of training also sees the walker beside its reference; the saved expert has one that does not."""
    balance: bool = True
    """Whoever sees the walker beside its reference also sees where its centre of mass is heading."""
    teacher: bool = True
    """What learns by PPO also sees the walker beside its reference; before each evaluation the expert, which does not,
    learns to do what this teacher would."""
    imitation_share: float = 0.1
    """Environment steps that an expert with a teacher takes itself before an evaluation, as a share of `eval_every`;
    `total_timesteps` counts them, and the last ones come on top."""
    critic_learning_rate: float = 5e-4
    """Step size of Adam for a privileged critic; another one learns with the policy, at its step size."""
    quick_contacts: bool = True
    """Take training steps with MuJoCo's faster dual contact solver; evaluations are always exact."""
    overlap: bool | None = None
    """Take the steps of the next update while learning from the last ones, with the policy of one update before; None:
    where the networks are on a GPU."""

    layers: tuple[int, ...] = (256, 256)
    """Hidden layers of policy and value network."""
    activation: Literal["Tanh", "ELU", "ReLU", "SiLU"] = "ELU"
    """Activation of the hidden layers."""
    std: float = 0.1
    """Fixed standard deviation of the actions."""
    first_step_share: float = 0.2
    """Share of training episodes that begin at the snippet's first step instead of at a random one."""
    bootstrap_at_end: bool = True
    """Add the value of the last state where the snippet, not the walker, has come to its end."""
    start_floor: float | None = 0.03
    """Random starts are drawn in proportion to this plus the share of the snippet that episodes from there missed so
    far; None draws all alike."""
    min_steps: int = 10
    """Steps that must remain in the snippet at a training episode's random start."""
    termination_error_threshold: float = 0.3
    """Termination error above which an episode of an evaluation fails; the original's is 0.3."""
    train_error_threshold: float = 0.15
    """Error at which a training episode fails. One that is falling passes it half a second before it lies on the floor:
    the samples between teach nothing, and the fall is charged to what caused it."""

    warm_start: Literal["pd", "none"] | Path = "pd"
    """What to begin as: pd (a copy of the controller that aims at the next reference pose), none, or the folder of an
    expert, ours or published, of any snippet, whose networks and statistics are taken over."""

    eval_every: int = 200_000
    """Environment steps between evaluations."""
    eval_min_steps: int = 10
    """`min_steps` of evaluations."""
    n_rsi_episodes: int = 128
    """Episodes of each evaluation from random steps."""
    rsi_act_noise: float = 0.1
    """Standard deviation of the action noise in them."""
    n_start_episodes: int = 32
    """Episodes of each evaluation from the snippet's start."""
    start_act_noise: float = 0.01
    """Standard deviation of the action noise in them."""
    stop_norm_length: float = 0.98
    """Of models whose normalized length is at least this, the one of the highest return is the best, of others the one
    that lasts longest. Training ends early when it is at least this ..."""
    stop_patience: int = 10
    """... and for so many evaluations the normalized return has not grown ..."""
    stop_min_gain: float = 0.01
    """... by at least this."""

    def __post_init__(self) -> None:
        check_positive(self, _ABOVE_ZERO)
        check_not_negative(self, _NOT_BELOW_ZERO)
        check_shares(self.steps_per_update, self.num_envs)
        if self.teacher and not self.privileged_critic:
            raise UsageError(
                "A teacher needs privileged_critic: both see the walker beside its reference.",
                hint="Set teacher = false as well, or leave privileged_critic true.",
            )

    def desired_kl_after(self, timesteps: int) -> float | None:
        """The divergence that an update should have after so many environment steps; None for any."""
        if self.desired_kl is None or self.kl_half_life is None:
            return self.desired_kl
        halved: float = self.desired_kl * 0.5 ** (timesteps / self.kl_half_life)
        return max(min(self.final_kl, self.desired_kl), halved)


_ABOVE_ZERO = (
    *("total_timesteps", "max_minutes", "num_envs", "threads", "steps_per_update", "batch_size", "n_epochs", "std"),
    *("learning_rate", "critic_learning_rate", "desired_kl", "kl_half_life", "min_steps", "eval_min_steps"),
    "imitation_share",
)
_NOT_BELOW_ZERO = ("seed", "termination_error_threshold", "train_error_threshold")

PRESETS: dict[str, ExpertConfig] = {
    "fast": ExpertConfig(),
    "paper": ExpertConfig(
        preset="paper",
        total_timesteps=150_000_000,
        num_envs=128,
        steps_per_update=8192,
        batch_size=512,
        n_epochs=10,
        clip_range=0.25,
        gamma=0.95,
        learning_rate=1e-5,
        lr_decay=1.73,
        desired_kl=None,
        kl_half_life=None,
        privileged_critic=False,
        balance=False,
        teacher=False,
        quick_contacts=False,
        overlap=False,
        layers=(1024, 1024, 1024),
        activation="Tanh",
        first_step_share=0.0,
        start_floor=None,
        train_error_threshold=0.3,
        bootstrap_at_end=False,
        warm_start="none",
        eval_every=1_000_000,
        eval_min_steps=30,
        n_rsi_episodes=1000,
        n_start_episodes=100,
    ),
}
"""Named settings: `paper` is the published recipe, `fast` is made for small machines."""


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a record has them, completed: what is younger than the record had no part in its run."""
    return {"teacher": False, "balance": False, **settings}


def preset(name: str) -> ExpertConfig:
    """The settings of a preset.

    Raises:
        UsageError: There is none of that name.
    """
    return preset_of(PRESETS, name)


def resolve(name: str | None, file: Path | None, **overrides: Any) -> ExpertConfig:
    """The settings of a preset, changed by a TOML file and then by the given values.

    Args:
        name: The preset; None for the one that the file names, else `fast`.
        file: TOML file of settings.
        overrides: Settings by name; None leaves one as it is.

    Raises:
        UsageError: A setting is unknown or of the wrong type.
    """
    return resolve_preset(PRESETS, name, file, overrides)
