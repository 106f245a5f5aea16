"""PPO whose environments go on while it learns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.vec_env import VecEnv

from mocapact_cli.core.training.ppo.collection import Infos, judge_steps, take_steps


class OverlappedPPO(PPO):
    """PPO that takes the steps of its next update on a second thread while it learns from those of the last one.

    The steps of update k + 1 are always taken by the policy as it was before update k: the lag is one update and
    depends on nothing, so runs of one seed are equal. The ratios of PPO's loss compare with the policy that acted,
    whose probabilities are recorded with the steps, as in the asynchronous learner IMPALA (Espeholt et al., 2018).
    Actions are drawn on the thread of the steps and batches on the learner's, from generators that are not shared.

    Attributes:
        pause_due: Asked before each update; where it is true, nothing is in flight when the callback's
            `on_rollout_start` is called next, so that all state can be saved.

    Raises:
        ValueError: If the environments hold more than flat arrays.
    """

    pause_due: Callable[[], bool] = staticmethod(lambda: False)

    def learn(  # noqa: PLR0917
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "PPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> OverlappedPPO:
        """Learn until `total_timesteps` more environment steps were taken, or the callback says that it is enough."""
        total, told = self._setup_learn(total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar)
        told.on_training_start(locals(), globals())
        if self.env is None:
            raise ValueError("There are no environments to learn in.")
        with ThreadPoolExecutor(1, thread_name_prefix="steps") as pool:
            collector = _Collector(self, self.env, told)
            try:
                self._alternate(pool, collector, total, told, log_interval)
            finally:
                # Leaving the pool waits for its thread, which else would go on to the end of its steps.
                collector.stopped.set()
        told.on_training_end()
        return self

    def _alternate(
        self, pool: ThreadPoolExecutor, collector: _Collector, total: int, told: BaseCallback, log_interval: int
    ) -> None:
        taken: RolloutBuffer | None = None
        spare = [self.rollout_buffer, deepcopy(self.rollout_buffer)]
        iteration = 0
        while taken is not None or self.num_timesteps < total:
            if taken is not None and (self.num_timesteps >= total or self.pause_due()):
                self._learn_from(taken)
                spare.append(taken)
                taken = None
                continue
            told.on_rollout_start()
            self._update_current_progress_remaining(self.num_timesteps, total)
            collector.refresh()
            filling = spare.pop()
            # Before the other thread notes the episodes that end.
            if iteration % log_interval == 0:
                self.dump_logs(iteration)
            iteration += 1
            future = pool.submit(collector.fill, filling)
            if taken is not None:
                self._learn_from(taken)
                spare.append(taken)
            if not future.result():
                return
            told.on_rollout_end()
            taken = filling

    def _learn_from(self, taken: RolloutBuffer) -> None:
        self.rollout_buffer = taken
        self.train()


class _Collector:
    """Takes the steps, with a copy of the policy that learning does not touch."""

    def __init__(self, model: PPO, env: VecEnv, told: BaseCallback) -> None:
        self._model, self._env, self._told = model, env, told
        # Not a copy of the object, which drags along the graph of what it computed last. Its first weights do not
        # matter, and must not change what is drawn later.
        with torch.random.fork_rng(devices=[]):
            self._policy = type(model.policy)(**model.policy._get_constructor_parameters()).to(model.device)
        self._policy.set_training_mode(False)
        self.stopped = threading.Event()

    def refresh(self) -> None:
        """Act as the learner's policy is now."""
        self._policy.load_state_dict(self._model.policy.state_dict())

    def fill(self, buffer: RolloutBuffer) -> bool:
        """Fill a buffer with steps; false if the callback ended training before it was full."""
        # Of this thread: the physics has the cores.
        torch.set_num_threads(1)
        cuts = take_steps(self._model, self._policy, self._env, buffer, self._goes_on)
        if cuts is None:
            return False
        judge_steps(self._model, self._policy, buffer, cuts)
        return True

    def _goes_on(self, infos: Infos) -> bool:
        self._told.update_locals({"infos": infos})
        return not self.stopped.is_set() and self._told.on_step()
