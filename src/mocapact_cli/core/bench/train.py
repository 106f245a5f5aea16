"""How fast experts are trained: collecting and learning, against Stable-Baselines3 on dm_control's environment."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from mocapact_cli.core.bench.composer_gym import ExpertFeatures, composer_vec_env
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.batch import TrackingBatch, available_threads
from mocapact_cli.core.envs.starts import FailureStarts
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.tasks.tracking import TrackingConfig
from mocapact_cli.core.training.expert.config import ExpertConfig, preset
from mocapact_cli.core.training.expert.model import build_env, build_model, training_batch

CLIP = "demo_walk"
MAX_ROUNDS, MIN_ROUNDS = 5, 3
TIME_LIMIT = 100.0
"""Seconds after which no further round begins."""
_ORIGINAL_STEPS = 160
"""Steps of all workers together that the original collects in a turn."""
_LEARNED_STEPS = 2048
"""Samples of a turn's learning at the paper's settings: four gradient steps an epoch."""
_LEARNED_EPOCHS = 2


def measure_expert_training(
    threads: int | None = None,
    *,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> dict[str, Any]:
    """Measure the sides in turns, several times, and return medians.

    A side's speed is that of whole iterations of PPO, from two measured pieces: seconds a collected step, and seconds a
    gradient step times the gradient steps that its settings make of each collected step. The pieces are shorter than
    an iteration, which at the paper's settings takes the original minutes: the original's turn collects
    160 steps and both sides then learn from 2,048 samples in batches of 512, twice. Policies are fresh: their episodes
    are as short as in a run's beginning. Evaluations, checkpoints and the warm start are left out on every side.

    The sides:
        original: Stable-Baselines3's PPO with the paper's settings on ``SubprocVecEnv`` of dm_control's environment
            with its ghost, one process a thread, behind ``VecNormalize``; as there, the environment shows all 24
            observables of the published experts and the policy picks its own. It learns from flat arrays.
        ours: this package's training with the preset ``paper``, the same network and settings of PPO.
        fast: this package's training with the preset ``fast``.

    Ratios are medians of the ratios within a round, whose turns ran one right after the other.

    Args:
        threads: of our physics and of all learners, and processes of the original; default: all processors.
        progress: told of every round.

    Returns:
        ``steps_per_s``, ``original_steps_per_s``, ``fast_steps_per_s``, ``over_original``, ``fast_over_original``,
        each side's ``*collected_per_s`` and ``*learned_per_s`` (samples a second through all epochs) and how it was
        measured. Where dm_control's environment cannot run, what depends on it is None and ``original_problem`` says
        why.
    """
    threads = threads or available_threads()
    before = torch.get_num_threads()
    original, problem = _open_original(threads)
    ours, fast = _our_side("paper", threads), _our_side("fast", threads)
    sides = {"original_": original, "": ours, "fast_": fast}
    try:
        rounds = _rounds({name: side for name, side in sides.items() if side is not None}, progress)
    finally:
        torch.set_num_threads(before)
        for side in (ours, fast, original):
            if side is not None:
                side.close()
    settings = {"clip": CLIP, "threads": threads, "rounds": len(rounds), "num_envs": preset("paper").num_envs}
    return _summary(rounds) | settings | {"original_problem": problem}


@dataclass
class _Side:
    """One way to train.

    Attributes:
        collector: PPO whose buffer is what a turn collects. collecting_threads: PyTorch's meanwhile.
        learner: PPO that learns in a turn. learning_threads: PyTorch's meanwhile.
        epochs: passes over the samples in a whole iteration.
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
        return _samples(self.collector) / (collected - begun), _samples(self.learner) / learning

    def close(self) -> None:
        """Release threads and processes."""
        for model in {id(model): model for model in (self.collector, self.learner)}.values():
            _env(model).close()

    def _collect(self, model: PPO) -> None:
        model.collect_rollouts(_env(model), self._callbacks[id(model)], model.rollout_buffer, model.n_steps)


def _prepare(model: PPO) -> BaseCallback:
    _, callback = model._setup_learn(1, ConvertCallback(lambda *_: True), reset_num_timesteps=True)
    callback.on_training_start({}, {})
    return callback


def _env(model: PPO) -> VecEnv:
    if model.env is None:
        raise RuntimeError("A model without environments collects nothing.")
    return model.env


def _samples(model: PPO) -> int:
    return model.n_steps * model.n_envs


def _batch(config: ExpertConfig, threads: int) -> TrackingBatch:
    library = open_library()
    starts = FailureStarts(config.first_step_share, config.start_floor)
    config = replace(config, threads=threads)
    return training_batch(library.get(CLIP), library.resolve(CLIP), config, TIME_INDEX, starts)


def _our_side(name: str, threads: int) -> _Side:
    whole = preset(name)
    config = whole
    if whole.steps_per_update > _LEARNED_STEPS * 2:
        config = replace(whole, steps_per_update=_LEARNED_STEPS, n_epochs=_LEARNED_EPOCHS)
    model = build_model(build_env(_batch(config, threads), config), config, lambda _: config.learning_rate)
    # As in training: while the physics runs, PyTorch keeps to one thread.
    return _Side(model, 1, model, threads, whole.n_epochs)


def _open_original(threads: int) -> tuple[_Side | None, str | None]:
    paper = preset("paper")
    try:
        workers = composer_vec_env(CLIP, TrackingConfig(min_steps=paper.min_steps), threads)
    except RunError as error:
        return None, error.message
    collector = _stock_ppo(VecNormalize(workers, gamma=paper.gamma), paper, _ORIGINAL_STEPS // threads)
    # What it learns from comes from our environments, which are faster at filling a buffer.
    env = build_env(_batch(paper, threads), paper)
    learner = _stock_ppo(env, paper, _LEARNED_STEPS // paper.num_envs)
    return _Side(collector, threads, learner, threads, paper.n_epochs), None


def _stock_ppo(env: VecEnv, config: ExpertConfig, n_steps: int) -> PPO:
    """PPO as the original sets it up."""
    dictionary = isinstance(env.observation_space, spaces.Dict)
    return PPO(
        "MultiInputPolicy" if dictionary else "MlpPolicy",
        env,
        learning_rate=config.learning_rate,
        n_steps=n_steps,
        batch_size=min(config.batch_size, n_steps * env.num_envs),
        n_epochs=_LEARNED_EPOCHS,
        clip_range=config.clip_range,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        max_grad_norm=config.max_grad_norm,
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": list(config.layers), "vf": list(config.layers)},
            "activation_fn": torch.nn.Tanh,
            "log_std_init": float(np.log(config.std)),
            **({"features_extractor_class": ExpertFeatures} if dictionary else {}),
        },
    )


Round = dict[str, float]


def _rounds(sides: dict[str, _Side], progress: Progress) -> list[Round]:
    rounds: list[Round] = []
    begun = time.perf_counter()
    with progress.task("Measuring", MAX_ROUNDS + 1, "rounds") as task:
        # The first round only warms up.
        while len(rounds) <= MIN_ROUNDS or (len(rounds) <= MAX_ROUNDS and time.perf_counter() - begun < TIME_LIMIT):
            rounds.append({key: value for name, side in sides.items() for key, value in _turn(name, side).items()})
            task.advance()
    return rounds[1:]


def _turn(name: str, side: _Side) -> Round:
    collected, learned = side.turn()
    return {
        f"{name}steps_per_s": 1.0 / (1.0 / collected + 1.0 / learned),
        f"{name}collected_per_s": collected,
        f"{name}learned_per_s": learned,
    }


def _summary(rounds: list[Round]) -> dict[str, float | None]:
    parts = ("steps_per_s", "collected_per_s", "learned_per_s")
    names = [f"{side}{part}" for side in ("", "original_", "fast_") for part in parts]
    result = {name: _median([measured.get(name) for measured in rounds]) for name in names}
    for ratio, side in (("over_original", "steps_per_s"), ("fast_over_original", "fast_steps_per_s")):
        result[ratio] = _median([_ratio(measured, side) for measured in rounds])
    return result


def _ratio(measured: Round, side: str) -> float | None:
    return measured[side] / measured["original_steps_per_s"] if "original_steps_per_s" in measured else None


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
