"""Ways to train that are measured side by side: what each collects and learns in a turn, and medians of rounds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecEnv

from mocapact_cli.core.bench.rounds import rounds_in_time
from mocapact_cli.core.progress import Progress
from mocapact_cli.core.training.ppo.settings import PpoSettings

MAX_ROUNDS, MIN_ROUNDS = 5, 3
TIME_LIMIT = 100.0
"""Seconds after which no further round begins."""
LEARNED_STEPS = 2048
"""Samples of a turn's learning at the paper's settings: a few gradient steps an epoch."""
LEARNED_EPOCHS = 2
"""Passes over them in a turn."""


@dataclass
class Side:
    """One way to train.

    Attributes:
        collector: PPO whose buffer is what a turn collects.
        collecting_threads: PyTorch's meanwhile.
        learner: PPO that learns in a turn.
        learning_threads: PyTorch's meanwhile.
        epochs: Passes over the samples in a whole iteration.
    """

    collector: PPO
    collecting_threads: int
    learner: PPO
    learning_threads: int
    epochs: int

    def __post_init__(self) -> None:
        self._callbacks = {id(model): _prepare(model) for model in (self.collector, self.learner)}
        if self.learner is not self.collector:
            self._collect(self.learner)

    def turn(self) -> tuple[float, float]:
        """Collected steps a second, and samples a second that pass through all epochs of learning."""
        torch.set_num_threads(self.collecting_threads)
        begun = time.perf_counter()
        self._collect(self.collector)
        collected = time.perf_counter()
        torch.set_num_threads(self.learning_threads)
        self.learner.train()
        learning = (time.perf_counter() - collected) * self.epochs / self.learner.n_epochs
        return samples_of(self.collector) / (collected - begun), samples_of(self.learner) / learning

    def close(self) -> None:
        """Release threads and processes."""
        for model in {id(model): model for model in (self.collector, self.learner)}.values():
            env_of(model).close()

    def _collect(self, model: PPO) -> None:
        model.collect_rollouts(env_of(model), self._callbacks[id(model)], model.rollout_buffer, model.n_steps)


def _prepare(model: PPO) -> BaseCallback:
    _, callback = model._setup_learn(1, ConvertCallback(lambda *_: True), reset_num_timesteps=True)
    callback.on_training_start({}, {})
    return callback


def env_of(model: PPO) -> VecEnv:
    """The environments of a model.

    Raises:
        RuntimeError: It has none.
    """
    if model.env is None:
        raise RuntimeError("A model without environments collects nothing.")
    return model.env


def samples_of(model: PPO) -> int:
    """Environment steps between updates."""
    return model.n_steps * model.n_envs


def stock_ppo(
    env: VecEnv,
    config: PpoSettings,
    n_steps: int,
    std: float,
    *,
    learning_rate: float,
    features: type[BaseFeaturesExtractor] | None = None,
) -> PPO:
    """PPO as the original sets it up.

    Args:
        env: The environments.
        config: The paper's settings.
        n_steps: That each environment takes in a turn.
        std: Standard deviation of the actions at first.
        learning_rate: Step size of Adam.
        features: What the policy picks of a dictionary of observations; default: all.
    """
    dictionary = isinstance(env.observation_space, spaces.Dict)
    return PPO(
        "MultiInputPolicy" if dictionary else "MlpPolicy",
        env,
        learning_rate=learning_rate,
        n_steps=n_steps,
        batch_size=min(config.batch_size, n_steps * env.num_envs),
        n_epochs=LEARNED_EPOCHS,
        clip_range=config.clip_range,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        max_grad_norm=config.max_grad_norm,
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": list(config.layers), "vf": list(config.layers)},
            "activation_fn": torch.nn.Tanh,
            "log_std_init": float(np.log(std)),
            **({"features_extractor_class": features} if dictionary and features else {}),
        },
    )


Round = dict[str, float]
"""Speeds of all sides in turns that ran one right after the other, by name."""


class Turning(Protocol):
    """Something that takes turns."""

    def turn(self) -> tuple[float, float]:
        """Collected steps a second, and samples a second that pass through all epochs of learning."""


def measure_rounds(sides: Mapping[str, Turning], progress: Progress) -> list[Round]:
    """Let all sides take turns, several times; the first round, which only warms up, is left out.

    Args:
        sides: What is measured, by the prefix of its speeds' names.
        progress: Told of every round.
    """
    numbers = rounds_in_time(progress, least=MIN_ROUNDS, most=MAX_ROUNDS, seconds=TIME_LIMIT)
    rounds = [
        {key: value for name, side in sides.items() for key, value in take_turn(name, side).items()} for _ in numbers
    ]
    return rounds[1:]


def take_turn(name: str, side: Turning) -> Round:
    """Let a side take a turn; its speed is that of collecting and then learning."""
    collected, learned = side.turn()
    return {
        f"{name}steps_per_s": 1.0 / (1.0 / collected + 1.0 / learned),
        f"{name}collected_per_s": collected,
        f"{name}learned_per_s": learned,
    }


def summarize_rounds(rounds: list[Round], sides: Sequence[str] = ("", "original_", "fast_")) -> dict[str, float | None]:
    """Medians of all speeds, and of the ratios within a round; None where the original was not measured."""
    parts = ("steps_per_s", "collected_per_s", "learned_per_s")
    names = [f"{side}{part}" for side in sides for part in parts]
    result = {name: _median([measured.get(name) for measured in rounds]) for name in names}
    for ratio, side in (("over_original", "steps_per_s"), ("fast_over_original", "fast_steps_per_s")):
        result[ratio] = _median([_ratio(measured, side) for measured in rounds])
    return result


def _ratio(measured: Round, side: str) -> float | None:
    return measured[side] / measured["original_steps_per_s"] if "original_steps_per_s" in measured else None


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
