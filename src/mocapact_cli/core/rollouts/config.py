"""What a recording of experts consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mocapact_cli.core.config import to_dict
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.tasks.tracking import TrackingConfig


@dataclass(frozen=True)
class RolloutConfig:
    """What is recorded; every field but the last three decides the data."""

    n_start_rollouts: int = 10
    """Episodes of each snippet from its first step."""
    n_rsi_rollouts: int = 10
    """Episodes of each snippet from random steps."""
    act_noise: float = 0.1
    """Standard deviation of the noise on the expert's mean action."""
    ref_steps: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Steps ahead at which the recorded reference observables look."""
    min_steps: int = 30
    """Random starts leave room for at least one step less than this."""
    termination_error_threshold: float = 0.3
    """Error at which an episode fails."""
    log_cameras: bool = False
    """Record the images of the walker's cameras too."""
    seed: int = 0
    """Of starts and noise."""
    num_envs: int | None = None
    """Environments side by side; chosen by machine and work if not given."""
    threads: int | None = None
    """Threads of the physics; all cores if not given."""
    device: str = "cpu"
    """Where the experts' networks run."""

    def __post_init__(self) -> None:
        if min(self.n_start_rollouts, self.n_rsi_rollouts) < 0 or self.n_start_rollouts + self.n_rsi_rollouts < 1:
            raise UsageError("At least one rollout a snippet is needed, from its start or from random steps.")
        object.__setattr__(self, "ref_steps", tuple(sorted(self.ref_steps)))

    @property
    def episodes_each(self) -> int:
        """Episodes of each snippet."""
        return self.n_start_rollouts + self.n_rsi_rollouts

    def record(self) -> dict[str, Any]:
        """Return the settings that decide the data."""
        machine = ("num_envs", "threads", "device")
        return {name: value for name, value in to_dict(self).items() if name not in machine}

    def task(self) -> TrackingConfig:
        """Return the settings of the task; the noise is added here, not there."""
        return TrackingConfig(
            ref_steps=self.ref_steps,
            min_steps=self.min_steps,
            termination_error_threshold=self.termination_error_threshold,
        )
