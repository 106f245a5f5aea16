"""Experts of the published size for built-in clips, made in seconds: they do what a PD controller does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from mocapact_cli.core.clips.library import ClipLibrary
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import (
    RSI_MODEL,
    ExpertLocation,
    find_experts,
    write_clip_info,
    write_model,
)
from mocapact_cli.core.policies.expert import ExpertPolicy, Normalizer
from mocapact_cli.core.rollouts.controllers import PoseActor
from mocapact_cli.core.rollouts.episodes import PlannedEpisode, Tick, open_batch, run_episodes
from mocapact_cli.core.sim.observables import TIME_INDEX
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.envs.batch import EpisodeEnd

SNIPPETS = (
    Snippet("demo_reach", 0, 75), Snippet("demo_reach", 75, 150), Snippet("demo_squat", 0, 60),
    Snippet("demo_step", 0, 100), Snippet("demo_step", 100, 200), Snippet("demo_walk", 0, 95),
    Snippet("demo_walk", 95, 190),
)  # fmt: skip
FAST_LAYERS = (256, 256)
"""Hidden layers of experts that the preset `fast` trains."""
PUBLISHED_LAYERS = (1024, 1024, 1024)
"""Hidden layers of the published experts."""
_EPISODES_EACH = 24
_RIDGE = 1e-3
_LEAST_VARIANCE = 1e-4
_SETTINGS = {"gamma": 0.95, "gae_lambda": 0.95}


def write_pd_experts(
    folder: Path, library: ClipLibrary, snippets: Sequence[Snippet], layers: tuple[int, ...]
) -> list[ExpertLocation]:
    """Make an expert for each snippet and write it into a folder of its own below `folder`.

    The hidden layers are random; the actor's last layer is fitted to a PD controller that holds the reference's poses
    against gravity, by least squares over episodes of that controller.
    """
    notes = _watch_pd([(library.get(snippet.clip_id), snippet) for snippet in snippets])
    for index, snippet in enumerate(snippets):
        root = folder / str(snippet)
        write_model(root / RSI_MODEL, _fitted(*notes.of(index), layers, seed=index), _SETTINGS)
        write_clip_info(root, snippet, TIME_INDEX, ref_steps=[0])
    return find_experts(folder)


class _Notes:
    """What a controller saw and did, by snippet."""

    def __init__(self, plan: Sequence[PlannedEpisode]) -> None:
        self._snippets = np.array([episode.start.snippet_index for episode in plan] + [-1])
        self._seen: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]] = []

    def on_tick(self, tick: Tick) -> None:
        self._seen.append((self._snippets[tick.episodes], tick.observations, tick.means))

    def on_end(self, index: int, episode: EpisodeEnd) -> None:
        """Nothing: the steps are enough."""

    def of(self, snippet: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return observations (n, P) and actions (n, A)."""
        rows = [(seen[tracked == snippet], done[tracked == snippet]) for tracked, seen, done in self._seen]
        return np.concatenate([seen for seen, _ in rows]), np.concatenate([done for _, done in rows])


def _watch_pd(pairs: Sequence[tuple[Clip, Snippet]]) -> _Notes:
    rng, config = np.random.default_rng(0), TrackingConfig()
    plan = [
        PlannedEpisode(Start(index, int(rng.integers(snippet.start_step, snippet.end_step - 10))), (index, number))
        for index, (_, snippet) in enumerate(pairs)
        for number in range(_EPISODES_EACH)
    ]
    notes = _Notes(plan)
    with open_batch(pairs, plan, observables=TIME_INDEX, config=config) as batch:
        run_episodes(batch, plan, PoseActor(batch, against_gravity=True), act_noise=0.1, listeners=[notes])
    return notes


def _fitted(
    observations: NDArray[np.float32], actions: NDArray[np.float32], layers: tuple[int, ...], *, seed: int
) -> ExpertPolicy:
    random = ExpertPolicy.fresh(TIME_INDEX, observations.shape[1], layers=layers, seed=seed)
    columns = observations.astype(np.float64)
    normalizer = Normalizer(columns.mean(axis=0), columns.var(axis=0) + _LEAST_VARIANCE)
    normalized = (columns - normalizer.mean) / np.sqrt(normalizer.var + normalizer.epsilon)
    with torch.inference_mode():
        hidden = random.network.mlp_extractor["policy_net"](torch.from_numpy(normalized).float().clamp_(-10.0, 10.0))
    features = np.concatenate([hidden.double().numpy(), np.ones((len(hidden), 1))], axis=1)
    gram = features.T @ features + _RIDGE * np.eye(features.shape[1])
    weights = np.linalg.solve(gram, features.T @ actions).astype(np.float32)
    random.network.action_net.weight.copy_(torch.from_numpy(weights[:-1].T))
    random.network.action_net.bias.copy_(torch.from_numpy(weights[-1]))
    return ExpertPolicy(random.network, normalizer, TIME_INDEX)
