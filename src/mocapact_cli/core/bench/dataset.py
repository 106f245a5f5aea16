"""How fast a dataset is read: against reading it item by item, and against taking the same rows from memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.datasets import schema
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.loader import BatchLoader
from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.datasets.reader import SUFFIX
from mocapact_cli.core.datasets.shuffle import Permutation
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.paths import cache_dir
from mocapact_cli.core.progress import NullProgress, Progress
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, HIGH_LEVEL, ObservableLayout
from mocapact_cli.core.walker.model import NUM_JOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

BATCH_SIZE = 256
WINDOW = 30
ROUNDS = 7
CLIPS, SNIPPETS, EPISODES = 12, 8, 10
"""Files, snippets of a file and episodes of a snippet: with 85 steps each about 1 GB."""
EPISODE_STEPS = 85
REF_STEPS = (1, 2, 3, 4, 5)
TEMPERATURE = 4.0
_SIZES = {
    "single": {"batches": 200, "items": 150},
    "windows": {"batches": 20, "items": 100},
}
"""Batches that our side and the gathering take in a turn, and items that the naive side reads."""


@dataclass(frozen=True)
class _Kind:
    """Single steps or windows: all three ways of reading the same samples."""

    dataset: ExpertDataset
    loader: BatchLoader
    flat: NDArray[np.float32]

    def ours(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.loader.batch(number)

    def gather(self, first: int, count: int) -> None:
        """What must be done at least, in plain NumPy: the rows of the samples, from memory."""
        order, steps = Permutation(len(self.dataset)), np.arange(self.dataset.max_seq_steps)
        for number in range(first, first + count):
            rows = self.dataset.rows(order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE])
            _ = self.flat[rows.first[:, None] + steps]

    def naive(self, first: int, count: int) -> None:
        for index in Permutation(len(self.dataset))[first : first + count]:
            read_naively(self.dataset, int(index))


def measure_dataset(*, scale: float = 1.0, progress: Progress | None = None) -> dict[str, Any]:
    """Measure all sides in turns on generated rollouts, several times, and return medians.

    Every side gives shuffled batches of 256 samples: the observables of a multi-clip policy, actions and weights (RWR).

    - ours: `mocapact_cli.core.datasets.loader.BatchLoader`;
    - naive: item by item in one process, with its file opened for it, as the original project does;
    - gather: NumPy takes the observations of the same samples from an array in memory, and nothing else.

    Args:
        scale: Of the dataset's size; 1 is about 1 GB.
        progress: Told of every stage.

    Returns:
        `samples_per_s`, `naive_per_s`, `gather_per_s`, `over_naive`, `of_gather` for single steps, the same
        with `windows` for windows of 30 steps, and how it was measured.

    Raises:
        RunError: There is no room for the data.
    """
    progress = progress or NullProgress()
    cache_dir().mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=cache_dir()) as folder:
        paths = generate_rollouts(Path(folder), max(1, round(CLIPS * scale)), progress)
        begun = time.perf_counter()
        kinds = {"single": _open(paths, 1, progress), "windows": _open(paths, WINDOW, progress)}
        build_seconds = time.perf_counter() - begun
        return _rates(kinds, progress) | {
            "build_s": build_seconds,
            "dataset_mb": sum(path.stat().st_size for path in paths) / 1e6,
            "flat_mb": kinds["single"].flat.nbytes / 1e6,
            "steps": len(kinds["single"].dataset),
            "columns": kinds["single"].flat.shape[1],
            "batch_size": BATCH_SIZE,
            "window": WINDOW,
        }


def generate_rollouts(folder: Path, clips: int, progress: Progress) -> list[Path]:
    """Write files of random numbers in the layout of recorded rollouts with all observables."""
    widths = ObservableLayout(ALL_PROPRIOS, REF_STEPS).slices
    sizes = {name: columns.stop - columns.start for name, columns in widths.items()}
    layout = RolloutLayout(sizes, REF_STEPS, EPISODES // 2, EPISODES - EPISODES // 2)
    rng = np.random.default_rng(0)
    paths = []
    with progress.task("Generating rollouts", total=clips, unit="files") as task:
        for clip in range(clips):
            paths.append(folder / f"CMU_{clip:03d}_01{SUFFIX}")
            names = [f"CMU_{clip:03d}_01-{start}-{start + EPISODE_STEPS}" for start in range(SNIPPETS)]
            with RolloutWriter(paths[-1], layout, names) as writer:
                for name in names:
                    for slot in range(EPISODES):
                        writer.add(name, slot, _random_episode(layout, rng))
            task.advance()
    write_metrics(folder)
    return paths


def _random_episode(layout: RolloutLayout, rng: np.random.Generator) -> EpisodeRecord:
    def numbers(*shape: int) -> NDArray[np.float32]:
        return rng.random(shape, dtype=np.float32)

    return EpisodeRecord(
        observations=numbers(EPISODE_STEPS + 1, layout.obs_size),
        actions=numbers(EPISODE_STEPS, NUM_JOINTS),
        mean_actions=numbers(EPISODE_STEPS, NUM_JOINTS),
        rewards=numbers(EPISODE_STEPS),
        values=numbers(EPISODE_STEPS),
        advantages=numbers(EPISODE_STEPS),
        early_termination=False,
        episode_return=1.0,
        norm_return=0.5,
        norm_length=1.0,
    )


def read_naively(dataset: ExpertDataset, index: int) -> tuple[Any, Any, Any]:
    """Read one sample as the original project's `ExpertDataset` does: open its file, find it, pick the observables."""
    import h5py

    rows = dataset.rows(np.array([index]))
    episode = dataset.episodes[int(rows.episodes[0])]
    step = int(rows.steps[0])
    place = slice(step, step + dataset.max_seq_steps) if dataset.is_sequential else step
    with h5py.File(dataset.paths[episode.file], "r") as file:
        group = file[episode.group]
        seen, acted = group[schema.PROPRIOCEPTIVE][place], group["mean_actions"][place]
        energy = group["values"][place] + group["advantages"][place] - dataset.offsets.q_value
    observables = {name: seen[..., dataset.observable_indices[name]] for name in HIGH_LEVEL}
    return np.concatenate(list(observables.values()), axis=-1), acted, np.exp(energy / TEMPERATURE)


def _open(paths: Sequence[Path], window: int, progress: Progress) -> _Kind:
    dataset = ExpertDataset(
        paths,
        HIGH_LEVEL,
        min_seq_steps=window,
        max_seq_steps=window,
        advantage_weights=False,
        temperature=TEMPERATURE,
        cache_dir=paths[0].parent / "flat",
        progress=progress,
    )
    (view,) = dataset.store.views.values()
    return _Kind(dataset, BatchLoader(dataset, BATCH_SIZE), np.array(view))


def _rates(kinds: dict[str, _Kind], progress: Progress) -> dict[str, Any]:
    measured: dict[str, Any] = {"rounds": ROUNDS}
    with progress.task("Reading", total=ROUNDS * len(kinds), unit="rounds") as task:
        for kind, side in kinds.items():
            rounds = []
            for number in range(ROUNDS + 1):
                rounds.append(_round(side, number, **_SIZES[kind]))
                task.advance(number > 0)
            # The first one only warms the caches up.
            measured |= _medians(kind, rounds[1:])
    return measured


def _round(side: _Kind, number: int, *, batches: int, items: int) -> dict[str, float]:
    """Samples a second of each way, one after the other."""
    batches = min(batches, len(side.loader))
    first = number * batches % max(1, len(side.loader) - batches)
    return {
        "ours": batches * BATCH_SIZE / _seconds(side.ours, first, batches),
        "gather": batches * BATCH_SIZE / _seconds(side.gather, first, batches),
        "naive": items / _seconds(side.naive, number * items, items),
    }


def _seconds(work: Callable[[int, int], None], first: int, count: int) -> float:
    begun = time.perf_counter()
    work(first, count)
    return time.perf_counter() - begun


def _medians(kind: str, rounds: list[dict[str, float]]) -> dict[str, float]:
    """Rates, and ratios between turns that ran one right after the other."""
    suffix, ours = ("", "samples_per_s") if kind == "single" else ("_windows", "windows_per_s")

    def median(values: list[float]) -> float:
        return float(np.median(values))

    return {
        ours: median([row["ours"] for row in rounds]),
        f"naive{suffix}_per_s": median([row["naive"] for row in rounds]),
        f"gather{suffix}_per_s": median([row["gather"] for row in rounds]),
        f"over_naive{suffix}": median([row["ours"] / row["naive"] for row in rounds]),
        f"of_gather{suffix}": median([row["ours"] / row["gather"] for row in rounds]),
    }
