"""How fast policies for tasks are trained: against Stable-Baselines3 on dm_control's environment, and bare physics."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from mocapact_cli.core.bench.composer_goal import composer_go_to_target
from mocapact_cli.core.bench.composer_gym import ComposerGym, composer_workers
from mocapact_cli.core.bench.raw_physics import RawPhysics
from mocapact_cli.core.bench.sides import (
    LEARNED_EPOCHS,
    LEARNED_STEPS,
    Side,
    measure_rounds,
    stock_ppo,
    summarize_rounds,
)
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.envs.batch import StepBatch, TrackingBatch
from mocapact_cli.core.errors import RunError
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.threads import torch_threads
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.processors import available_threads
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import ObservableLayout
from mocapact_cli.core.tasks.go_to_target import GoToTarget
from mocapact_cli.core.tasks.registry import BUILT_IN_POSE
from mocapact_cli.core.training.transfer.config import TransferConfig, preset
from mocapact_cli.core.training.transfer.model import build_env, build_model, decoder_for, training_batch

EMBED_SIZE = 20
SMALL = (64, 64)
"""Widths of the networks, and of the low-level policy's decoder, where the physics is what counts."""
_ORIGINAL_STEPS = 160
"""Steps of all workers together that the original collects in a turn."""
_FAST_STEPS = 4096
"""Steps that the preset `fast` collects in a turn: half an update."""
_PAPER_DECODER = (1024, 1024, 1024)

Observation = dict[str, NDArray[np.float32]]


def measure_transfer_training(
    threads: int | None = None,
    *,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> dict[str, Any]:
    """Measure the sides in turns, several times, and return medians.

    All train on going to a target through a low-level policy of the paper's size (an embedding of 20, a decoder of
    3 x 1024) with random parameters. Turns and speeds are as in
    `mocapact_cli.core.bench.train.measure_expert_training`.

    The sides:
        original: Stable-Baselines3's PPO with the paper's settings on `SubprocVecEnv` of dm_control's environment,
            one process a thread, whose actions go through the low-level policy, behind `VecNormalize`. It learns
            from flat arrays.
        ours: this package's training with the preset `paper`, the same network and settings of PPO.
        fast: this package's training with the preset `fast`.
        small: the same with networks and a decoder of 2 x 64, beside bare `mj_step` of the same model with the same
            joint targets and resets on as many threads.
        exact: the same as small with the contacts that the walker has everywhere else, without `quick_contacts`.

    Args:
        threads: Of our physics and of all learners, and processes of the original; default: all processors.
        progress: Told of every round.

    Returns:
        `steps_per_s`, `original_steps_per_s`, `fast_steps_per_s`, `over_original`, `fast_over_original`,
        `small_steps_per_s`, `raw_mj_step_per_s`, `of_physics` (the two before, one by the other), the same for exact
        contacts (`exact_steps_per_s`, `exact_mj_step_per_s`, `of_exact_physics`), `over_exact_physics` (small training
        by bare physics with exact contacts) and how it was measured. Where dm_control's environment cannot run, what
        depends on it is None and `original_problem` says why.
    """
    threads = threads or available_threads()
    original, problem = _open_original(threads)
    small, exact = _Small(threads), _Small(threads, quick_contacts=False)
    sides = {"original_": original, "": _our_side("paper", threads), "fast_": _our_side("fast", threads)}
    open_sides = {name: side for name, side in sides.items() if side is not None}
    try:
        with torch_threads():
            rounds = measure_rounds(open_sides | {"small_": small, "exact_": exact}, progress)
    finally:
        small.close()
        exact.close()
        for side in open_sides.values():
            side.close()
    settings = {
        "task": GoToTarget.name,
        "threads": threads,
        "rounds": len(rounds),
        "num_envs": preset("paper").num_envs,
    }
    return (
        summarize_rounds(rounds, ("", "original_", "fast_", "small_", "exact_"))
        | {"raw_mj_step_per_s": float(np.median(small.raw[1:])), "of_physics": _share(rounds, "small_", small)}
        | {"exact_mj_step_per_s": float(np.median(exact.raw[1:])), "of_exact_physics": _share(rounds, "exact_", exact)}
        | {"over_exact_physics": _share(rounds, "small_", exact)}
        | settings
        | {"original_problem": problem}
    )


def _share(rounds: list[dict[str, float]], name: str, beside: _Small) -> float:
    """Median of what training makes by what bare physics makes in the same round."""
    pairs = zip((measured[f"{name}steps_per_s"] for measured in rounds), beside.raw[1:], strict=True)
    return float(np.median([trained / bare for trained, bare in pairs]))


def random_skills(decoder_layers: tuple[int, ...]) -> LowLevelPolicy:
    """A low-level policy with random parameters."""
    config = NpmpConfig(embed_size=EMBED_SIZE, encoder_layers=(8,), decoder_layers=decoder_layers)
    return LowLevelPolicy(build_policy(config, seed=0))


def _our_side(name: str, threads: int) -> Side:
    whole = replace(preset(name), threads=threads, device="cpu", overlap=False)
    config = replace(whole, steps_per_update=_FAST_STEPS)
    if name == "paper":
        config = replace(whole, steps_per_update=LEARNED_STEPS, n_epochs=LEARNED_EPOCHS)
    return _open_side(config, random_skills(_PAPER_DECODER), threads, whole.n_epochs)[0]


def _open_side(
    config: TransferConfig, low_level: LowLevelPolicy, threads: int, epochs: int
) -> tuple[Side, TrackingBatch]:
    """A way to train, and its environments."""
    task = GoToTarget(demo(BUILT_IN_POSE))
    decoder = decoder_for(task, low_level)
    # No update ends early, so that all that was to be learned is timed.
    config = replace(config, target_kl=None, low_level_policy=Path("random"))
    batch = training_batch(task, config, decoder)
    env = build_env(batch, config, decoder)
    model = build_model(env, config, lambda _: config.learning_rate)
    return Side(model, 1, model, threads, epochs), batch


class _Small:
    """Training with small networks, and bare physics that does the same right after it.

    Args:
        threads: Of both.
        quick_contacts: As in `TransferConfig`; both have them.

    Attributes:
        raw: Control steps a second of bare `mj_step`, one for each turn.
    """

    def __init__(self, threads: int, *, quick_contacts: bool = True) -> None:
        config = replace(preset("fast"), threads=threads, device="cpu", overlap=False, layers=SMALL)
        config = replace(config, steps_per_update=_FAST_STEPS, quick_contacts=quick_contacts)
        self._side, self._batch = _open_side(config, random_skills(SMALL), threads, config.n_epochs)
        self._step = self._batch.step
        self._batch.step = self._noted  # type: ignore[method-assign]
        self._raw = RawPhysics(self._batch.walker.model, config.num_envs, threads)
        self._state = self._batch.task.bank.start(0)
        for env in range(config.num_envs):
            self._raw.start(env, self._state)
        self.raw: list[float] = []

    def turn(self) -> tuple[float, float]:
        """Collected steps a second, and samples a second that pass through all epochs of learning."""
        self._actions: list[NDArray[np.float64]] = []
        self._resets: list[list[tuple[int, Any]]] = []
        speeds = self._side.turn()
        seconds = self._raw.replay(np.array(self._actions), self._resets)
        self.raw.append(len(self._actions) * self._batch.num_envs / seconds)
        return speeds

    def close(self) -> None:
        """Release the threads."""
        self._side.close()

    def _noted(self, actions: Any) -> StepBatch:
        result: StepBatch = self._step(actions)
        self._actions.append(np.array(actions, dtype=np.float64))
        self._resets.append([(int(env), self._state) for env in result.done_envs])
        return result


class DecodedWorkers(VecEnvWrapper):
    """Environments whose actions are embeddings that a low-level policy decodes, as the original has it.

    Args:
        workers: The environments.
        low_level: Decodes.
    """

    def __init__(self, workers: SubprocVecEnv, low_level: LowLevelPolicy) -> None:
        bound = low_level.max_embed or 1.0
        super().__init__(workers, action_space=spaces.Box(-bound, bound, (low_level.embed_size,), np.float32))
        self._low_level = low_level
        self._observed: Any = None

    def reset(self) -> VecEnvObs:
        """Begin an episode everywhere."""
        self._observed = self.venv.reset()
        return self._observed  # type: ignore[no-any-return]

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Take the actions (N, E) of the next step."""
        self.venv.step_async(self._low_level.act(self._observed, actions))

    def step_wait(self) -> VecEnvStepReturn:
        """Step."""
        result = self.venv.step_wait()
        self._observed = result[0]
        return result


def _make(seed: int) -> gymnasium.Env[Any, Any]:
    layout = ObservableLayout(GoToTarget.observables, (0,), GoToTarget.own_observables)
    environment = composer_go_to_target(demo(BUILT_IN_POSE), seed=seed)
    return TimeLimit(ComposerGym(environment, layout), GoToTarget.Settings().max_steps)


def _open_original(threads: int) -> tuple[Side | None, str | None]:
    # Through the low-level policy: the paper's standard deviation of embeddings.
    paper, low_level = preset("paper"), random_skills(_PAPER_DECODER)
    try:
        workers = composer_workers([partial(_make, seed) for seed in range(threads)])
    except RunError as error:
        return None, error.message
    env = VecNormalize(DecodedWorkers(workers, low_level), gamma=paper.gamma)
    collector = stock_ppo(
        env, paper, _ORIGINAL_STEPS // threads, paper.embedding_std, learning_rate=paper.learning_rate
    )
    # What it learns from comes from our environments, which are faster at filling a buffer.
    ours = replace(paper, threads=threads, steps_per_update=LEARNED_STEPS)
    task = GoToTarget(demo(BUILT_IN_POSE))
    decoder = decoder_for(task, low_level)
    flat = build_env(training_batch(task, ours, decoder), ours, decoder)
    learner = stock_ppo(
        flat, paper, LEARNED_STEPS // paper.num_envs, paper.embedding_std, learning_rate=paper.learning_rate
    )
    return Side(collector, threads, learner, threads, paper.n_epochs), None
