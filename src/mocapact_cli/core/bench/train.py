"""How fast experts are trained: collecting and learning, against Stable-Baselines3 on dm_control's environment."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from mocapact_cli.core.bench.composer_gym import ExpertFeatures, composer_workers, tracking_gym
from mocapact_cli.core.bench.sides import (
    LEARNED_EPOCHS,
    LEARNED_STEPS,
    Side,
    measure_rounds,
    stock_ppo,
    summarize_rounds,
)
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import FailureStarts
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.policies.threads import torch_threads
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.tasks.tracking import TrackingConfig
from mocapact_cli.core.training.expert.config import ExpertConfig, preset
from mocapact_cli.core.training.expert.model import build_env, build_model, training_batch

CLIP = "demo_walk"
_ORIGINAL_STEPS = 160
"""Steps of all workers together that the original collects in a turn."""


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
    are as short as in a run's beginning. Evaluations, what an expert learns from its teacher before them, checkpoints
    and the warm start are left out on every side.

    The sides:
        original: Stable-Baselines3's PPO with the paper's settings on `SubprocVecEnv` of dm_control's environment
            with its ghost, one process a thread, behind `VecNormalize`; as there, the environment shows all 24
            observables of the published experts and the policy picks its own. It learns from flat arrays.
        ours: this package's training with the preset `paper`, the same network and settings of PPO.
        fast: this package's training with the preset `fast`.

    Ratios are medians of the ratios within a round, whose turns ran one right after the other.

    Args:
        threads: Of our physics and of all learners, and processes of the original; default: all processors.
        progress: Told of every round.

    Returns:
        `steps_per_s`, `original_steps_per_s`, `fast_steps_per_s`, `over_original`, `fast_over_original`,
        each side's `*collected_per_s` and `*learned_per_s` (samples a second through all epochs) and how it was
        measured. Where dm_control's environment cannot run, what depends on it is None and `original_problem` says
        why.
    """
    threads = threads or available_threads()
    original, problem = _open_original(threads)
    ours, fast = _our_side("paper", threads), _our_side("fast", threads)
    sides = {"original_": original, "": ours, "fast_": fast}
    try:
        with torch_threads():
            rounds = measure_rounds({name: side for name, side in sides.items() if side is not None}, progress)
    finally:
        for side in (ours, fast, original):
            if side is not None:
                side.close()
    settings = {"clip": CLIP, "threads": threads, "rounds": len(rounds), "num_envs": preset("paper").num_envs}
    return summarize_rounds(rounds) | settings | {"original_problem": problem}


def _batch(config: ExpertConfig, threads: int) -> TrackingBatch:
    library = open_library()
    starts = FailureStarts(config.first_step_share, config.start_floor)
    config = replace(config, threads=threads)
    return training_batch(library.get(CLIP), library.resolve(CLIP), config, TIME_INDEX, starts)


def _our_side(name: str, threads: int) -> Side:
    whole = preset(name)
    config = whole
    if whole.steps_per_update > LEARNED_STEPS * 2:
        config = replace(whole, steps_per_update=LEARNED_STEPS, n_epochs=LEARNED_EPOCHS)
    model = build_model(build_env(_batch(config, threads), config), config, lambda _: config.learning_rate)
    # As in training: while the physics runs, PyTorch keeps to one thread.
    return Side(model, 1, model, threads, whole.n_epochs)


def _open_original(threads: int) -> tuple[Side | None, str | None]:
    paper = preset("paper")
    task = TrackingConfig(min_steps=paper.min_steps)
    try:
        workers = composer_workers([partial(tracking_gym, CLIP, task, seed) for seed in range(threads)])
    except RunError as error:
        return None, error.message
    collector = _stock_ppo(VecNormalize(workers, gamma=paper.gamma), paper, _ORIGINAL_STEPS // threads)
    # What it learns from comes from our environments, which are faster at filling a buffer.
    env = build_env(_batch(paper, threads), paper)
    learner = _stock_ppo(env, paper, LEARNED_STEPS // paper.num_envs)
    return Side(collector, threads, learner, threads, paper.n_epochs), None


def _stock_ppo(env: VecEnv, config: ExpertConfig, n_steps: int) -> PPO:
    return stock_ppo(env, config, n_steps, config.std, features=ExpertFeatures, learning_rate=config.learning_rate)
