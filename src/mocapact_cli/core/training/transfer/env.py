"""The batch as a `VecEnv` whose actions go through a low-level policy."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.sb3 import TrackingVecEnv
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.policies.packed import pack_linears
from mocapact_cli.core.policies.transfer import Decoder

Float32Array = NDArray[np.float32]
_LEAST_ROWS = 32
"""Rows that are worth a thread of their own: enough to make good use of the weights that are read."""
_LEAST_WORK = 10_000_000
"""Weights times rows below which waking a thread takes longer than the work."""
_LEAST_WEIGHTS = 500_000
"""Weights below which calling packed layers takes longer than laying out plain ones anew."""


class DecodedVecEnv(TrackingVecEnv):
    """N environments of a task; what is seen is the task's, and actions are what the decoder takes.

    On the processor the low-level policy runs on as many threads as the physics, one after the other with it.

    Args:
        batch: The environments, which show what the decoder's `observables` are; closed with this adapter.
        decoder: Turns actions into joint targets.
        bootstrap_at_end: Report the end of an episode's time as a time limit, so that the learner adds the value of
            the last observation there.
    """

    def __init__(self, batch: TrackingBatch, decoder: Decoder, *, bootstrap_at_end: bool) -> None:
        super().__init__(batch, bootstrap_at_end=bootstrap_at_end)
        self._decoder = _packed(decoder)
        self._observed: Float32Array = np.zeros((batch.num_envs, decoder.obs_size), dtype=np.float32)
        self._pool: ThreadPoolExecutor | None = None
        parts = _worthwhile_parts(decoder, batch.num_envs, batch.threads)
        self._parts = np.array_split(np.arange(batch.num_envs), parts)
        if len(self._parts) > 1:
            # Of these threads: each gets one of PyTorch's.
            self._pool = ThreadPoolExecutor(len(self._parts), "decoder", initializer=lambda: torch.set_num_threads(1))
        self.observation_space = spaces.Box(-np.inf, np.inf, (decoder.seen,), np.float32)
        self.action_space = spaces.Box(-decoder.bound, decoder.bound, (decoder.size,), np.float32)

    def reset(self) -> VecEnvObs:
        """Begin an episode everywhere; returns (N, P) observations."""
        self._observed = cast("Float32Array", super().reset())
        return self._seen(self._observed)

    def step_async(self, actions: Float32Array) -> None:
        """Take the actions (N, A) of the next step."""
        super().step_async(self._decoded(actions))

    def step_wait(self) -> VecEnvStepReturn:
        """Step; returns observations (N, P), rewards (N,), dones (N,) and infos."""
        observations, rewards, dones, infos = super().step_wait()
        self._observed = cast("Float32Array", observations)
        for env in np.flatnonzero(dones):
            infos[env]["terminal_observation"] = self._seen(infos[env]["terminal_observation"])
        return self._seen(self._observed), rewards, dones, infos

    def close(self) -> None:
        """Release the threads."""
        if self._pool is not None:
            self._pool.shutdown()
        super().close()

    def _decoded(self, actions: Float32Array) -> Float32Array:
        if self._pool is None:
            return self._decoder.decode(self._observed, actions)
        rows = ((self._observed[part], actions[part]) for part in self._parts)
        return np.concatenate(list(self._pool.map(lambda pair: self._decoder.decode(*pair), rows)))

    def _seen(self, observations: Float32Array) -> Float32Array:
        return np.ascontiguousarray(observations[..., : self._decoder.seen])


def _worthwhile_parts(decoder: Decoder, rows: int, threads: int) -> int:
    """How many threads the decoder is worth for so many rows."""
    if decoder.low_level is None or decoder.low_level.policy.device.type != "cpu":
        return 1
    return max(1, min(threads, rows // _LEAST_ROWS, _weights(decoder.low_level) * rows // _LEAST_WORK))


def _packed(decoder: Decoder) -> Decoder:
    """One that only acts, faster: a copy, where it is worth it."""
    if decoder.low_level is None or _weights(decoder.low_level) < _LEAST_WEIGHTS:
        return decoder
    copied = copy.deepcopy(decoder)
    if copied.low_level is not None:
        pack_linears(copied.low_level.policy)
    return copied


def _weights(low_level: LowLevelPolicy) -> int:
    return sum(values.numel() for values in low_level.policy.parameters())
