"""Make a task of your own, train a policy for it and evaluate that: the walker is to face a direction that it is told.

A task is one file: settings, a task, a cursor that follows the episodes, and one registration.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mocapact_cli.core.evaluation.transfer import TransferEvalConfig, evaluate_transfer, open_transfer
from mocapact_cli.core.sim.features import Features
from mocapact_cli.core.sim.observables import BASE, Moment
from mocapact_cli.core.tasks.goal import GoalCursor, GoalSettings, GoalTask, Measures
from mocapact_cli.core.tasks.registry import register_task
from mocapact_cli.core.training.transfer.config import resolve
from mocapact_cli.core.training.transfer.train import train_transfer
from mocapact_cli.core.walker.model import Walker

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FaceSettings(GoalSettings):
    """Its numbers, for --config files and Python alike."""

    max_steps: int = 100
    widest_turn: float = 1.5
    """Radians from where the walker faces at first."""


@register_task
class FaceDirection(GoalTask):
    """Facing a direction that is drawn at the beginning of an episode."""

    name = "face-direction"
    summary = "face a direction"
    Settings = FaceSettings
    own_observables: Mapping[str, int] = MappingProxyType({"wanted_direction": 3})
    observables = (*BASE, "wanted_direction")

    def cursor(self, walker: Walker, capacity: int) -> "FaceCursor":
        return FaceCursor(self, walker, capacity)

    def summarize(self, episodes: Sequence[Measures]) -> dict[str, float | None]:
        return {"mean_cosine": float(np.mean([measures["cosine"] for measures in episodes]))}


@dataclass
class FaceCursor(GoalCursor):
    """One row of each table belongs to one episode."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.wanted, self.total, self.steps = self.table(3), self.table(), self.table()

    def draw(self, row: int, qpos: Array) -> None:  # noqa: ARG002 - where it begins does not matter
        turn = self.streams[row].uniform(-1.0, 1.0) * self.task.settings.widest_turn  # type: ignore[attr-defined]
        # The built-in pose looks along x.
        self.wanted[row] = np.cos(turn), np.sin(turn), 0.0

    def update(self, features: Features, count: int) -> None:
        """The direction stays."""

    def rewards(self, features: Features, count: int) -> Array:
        # The root's third axis points forward.
        facing = features.root_xmat[:count].reshape(-1, 3, 3)[..., 2]
        cosine = (facing * self.wanted[:count]).sum(axis=1)
        self.total[:count] += cosine
        self.steps[:count] += 1
        return np.maximum(cosine, 0.0)

    def own(self, moment: Moment, count: int) -> Mapping[str, Array]:
        return {"wanted_direction": np.matmul(self.wanted[:count, None], moment.rotation)[:, 0]}

    def measures(self, env: int) -> dict[str, float]:
        return {"cosine": float(self.total[env] / self.steps[env])}


def main(steps: int, skills: Path | None) -> None:
    small = {"num_envs": 32, "n_eval_episodes": 8, "steps_per_update": 1024, "eval_every": 1_000_000}
    config = resolve("fast", None, task="face-direction", total_timesteps=steps, low_level_policy=skills, **small)
    run = train_transfer(config, Path("face-direction"), force=True)
    result = evaluate_transfer(open_transfer(run.root), TransferEvalConfig(8), baselines=["zero"])
    own, zero = result.scores()["task"], result.baselines["zero"].scores()["task"]
    print(f"{run.timesteps} steps: cosine {own['mean_cosine']:.2f}, with zeros {zero['mean_cosine']:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
