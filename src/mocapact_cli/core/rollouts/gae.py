"""Generalized advantage estimation (Schulman et al. 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def generalized_advantages(
    rewards: NDArray[np.floating],
    values: NDArray[np.floating],
    *,
    gamma: float,
    gae_lambda: float,
    terminal_value: float = 0.0,
) -> NDArray[np.float64]:
    """Return the advantages (T,) of one episode.

    A_t = d_t + gamma lambda A_{t+1} with d_t = r_t + gamma V_{t+1} - V_t, and V_T = `terminal_value`.

    Args:
        rewards: (T,) rewards r_t.
        values: (T,) values V_t of the observations before each action.
        gamma: Discount.
        gae_lambda: Weight of longer estimates.
        terminal_value: Value of the last observation; the published rollouts have 0.
    """
    values = np.append(np.asarray(values, dtype=np.float64), terminal_value)
    deltas = np.asarray(rewards, dtype=np.float64) + gamma * values[1:] - values[:-1]
    advantages: NDArray[np.float64] = np.empty(len(deltas))
    running = 0.0
    for step in reversed(range(len(deltas))):
        running = deltas[step] + gamma * gae_lambda * running
        advantages[step] = running
    return advantages
