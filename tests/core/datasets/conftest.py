"""Small rollout files that the tests make themselves."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter

OBSERVABLES = {"walker/body_height": 1, "walker/joints_pos": 4, "walker/world_zaxis": 3}


class Rolls:
    """Makes layouts, episodes and files of random numbers."""

    layout = RolloutLayout(OBSERVABLES, ref_steps=(1, 2), n_start_rollouts=2, n_rsi_rollouts=1, act_size=5)

    def record(self, steps: int, seed: int = 0, layout: RolloutLayout | None = None) -> EpisodeRecord:
        layout = layout or self.layout
        rng = np.random.default_rng(seed)
        rewards = rng.random(steps)
        return EpisodeRecord(
            observations=rng.standard_normal((steps + 1, layout.obs_size)).astype(np.float32),
            actions=rng.standard_normal((steps, layout.act_size)).astype(np.float32),
            mean_actions=rng.standard_normal((steps, layout.act_size)).astype(np.float32),
            rewards=rewards,
            values=rng.random(steps).astype(np.float32),
            advantages=rng.standard_normal(steps),
            early_termination=bool(seed % 2),
            episode_return=float(rewards.sum()),
            norm_return=float(rng.random()),
            norm_length=float(rng.random()),
        )

    def records(self, snippets: list[str]) -> dict[tuple[str, int], EpisodeRecord]:
        keys = [(snippet, slot) for snippet in snippets for slot in range(self.layout.episodes)]
        return {key: self.record(3 + number, seed=number) for number, key in enumerate(keys)}

    def write(self, path: Path, snippets: list[str], *, reverse: bool = False) -> dict[tuple[str, int], EpisodeRecord]:
        """Write a file of random episodes, in the order of their slots or backwards; return them."""
        records = self.records(snippets)
        with RolloutWriter(path, self.layout, snippets, {"seed": 3}) as writer:
            for (snippet, slot), record in reversed(records.items()) if reverse else records.items():
                writer.add(snippet, slot, record)
        return records


def unseal(path: Path) -> None:
    """Take from a file what files of the original project do not have."""
    with h5py.File(path, "r+") as file:
        groups: list[h5py.Group] = [file]
        file.visititems(lambda _, item: groups.append(item) if isinstance(item, h5py.Group) else None)
        for group in groups:
            for name in list(group.attrs):
                del group.attrs[name]
        del file["stats/act_count"]


@pytest.fixture
def unsealed():
    """Return the function that makes one of our files look like a published one."""
    return unseal


@pytest.fixture
def rolls() -> Rolls:
    return Rolls()
