"""Saving and restoring the whole state of training by PPO.

A checkpoint is a dictionary of tensors and numbers, so that reading one runs no code.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from mocapact_cli.core.atomic import atomic_write
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, first_line
from mocapact_cli.core.training.ppo.model import observation_statistics
from mocapact_cli.core.training.run_folder import RunFolder

FILE = "last.pt"


@dataclass
class Progression:
    """Numbers that training carries from update to update.

    Attributes:
        timesteps: Environment steps taken.
        next_eval: How many there are when the next evaluation is due.
        seconds: Wall-clock training time so far.
        step_size: Adam's now.
        kl: Divergence of the last update.
    """

    timesteps: int = 0
    next_eval: int = 0
    seconds: float = 0.0
    step_size: float = 0.0
    kl: float = 0.0


P = TypeVar("P", bound=Progression)


def save_checkpoint(folder: Path, model: PPO, env: VecNormalize, progression: Progression) -> None:
    """Write the checkpoint atomically, in place of the one before."""
    state = {
        "policy": model.policy.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in _optimizers(model)],
        "observations": _statistics(observation_statistics(env)),
        "returns": _statistics(env.ret_rms),
        "progression": asdict(progression),
    }
    # In memory first: PyTorch's own writer hides a full disk behind an error of its own.
    content = io.BytesIO()
    torch.save(state, content)
    with atomic_write(folder / FILE, suffix=".pt") as temporary:
        temporary.write_bytes(content.getbuffer())


def load_checkpoint(folder: Path, model: PPO, env: VecNormalize, kind: type[P]) -> P:
    """Restore what `save_checkpoint` wrote.

    Args:
        folder: Where it lies.
        model, env: What is restored.
        kind: The class of the numbers that were saved with it.

    Raises:
        NotFoundError: There is no checkpoint.
        InvalidInputError: It is damaged or of other networks.
    """
    path = folder / FILE
    if not path.is_file():
        raise NotFoundError(f"There is no checkpoint in {folder}.", hint="Start again with --force.")
    try:
        state = torch.load(path, weights_only=True, map_location=model.device)
        model.policy.load_state_dict(state["policy"])
        for optimizer, saved in zip(_optimizers(model), state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        _restore(observation_statistics(env), state["observations"])
        _restore(env.ret_rms, state["returns"])
        progression = kind(**state["progression"])
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InvalidInputError(
            f"{path} cannot be resumed: {first_line(error)}.", hint="Start again with --force."
        ) from error
    model.num_timesteps = progression.timesteps
    return progression


def take_up(folder: RunFolder, model: PPO, env: VecNormalize, progression: Progression) -> bool:
    """Go on from the last checkpoint of a run; return whether there is one.

    A run that was killed before its first has nothing to lose: it begins again.

    Args:
        folder: The run's.
        model: What is restored.
        env: Its environment, with the statistics.
        progression: The numbers that go on.

    Raises:
        InvalidInputError: The checkpoint is damaged or of other networks.
    """
    try:
        saved = load_checkpoint(folder.checkpoints, model, env, type(progression))
    except NotFoundError:
        folder.keep_metrics_until(-1)
        return False
    vars(progression).update(vars(saved))
    folder.keep_metrics_until(saved.timesteps)
    return True


def _optimizers(model: PPO) -> list[torch.optim.Optimizer]:
    own = [model.policy.optimizer, getattr(model.policy, "critic_optimizer", None)]
    return [optimizer for optimizer in own if optimizer is not None]


def _statistics(running: RunningMeanStd) -> dict[str, Any]:
    return {
        "mean": torch.as_tensor(np.asarray(running.mean)),
        "var": torch.as_tensor(np.asarray(running.var)),
        "count": float(running.count),
    }


def _restore(running: RunningMeanStd, state: dict[str, Any]) -> None:
    running.mean, running.var, running.count = state["mean"].numpy(), state["var"].numpy(), state["count"]
