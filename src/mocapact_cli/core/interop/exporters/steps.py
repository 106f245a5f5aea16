"""What exporters share: episodes as the steps that reinforcement learning libraries expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import InvalidInputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from mocapact_cli.core.datasets.slicing import RolloutSlice, SliceEpisode
    from mocapact_cli.core.datasets.writer import RolloutLayout

ACTIONS = ("sampled", "mean")
PREFIX = "walker/"


@dataclass(frozen=True)
class EpisodeSteps:
    """The T steps of one episode.

    Attributes:
        snippet: Name of its snippet.
        from_start: Whether it begins at the snippet's first step.
        failed: Whether it ended because the walker strayed too far from the reference; else it reached the end.
        observations: (T + 1, P).
        actions: (T, A) those that were asked for.
        rewards: (T,).
        extras: What else was recorded, by name, T rows each: `values`, `advantages` and the other actions.
        cameras: (T + 1, height, width, 3) images by camera, names without `walker/`.
    """

    snippet: str
    from_start: bool
    failed: bool
    observations: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    extras: dict[str, NDArray[np.float32]]
    cameras: dict[str, NDArray[np.uint8]]

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def terminals(self) -> NDArray[np.bool_]:
        """(T,) true at the last step of an episode that failed: there is no future reward."""
        return self._at_the_end(self.failed)

    @property
    def timeouts(self) -> NDArray[np.bool_]:
        """(T,) true at the last step of an episode that reached the snippet's end: the motion would go on."""
        return self._at_the_end(not self.failed)

    def _at_the_end(self, value: bool) -> NDArray[np.bool_]:
        flags = np.zeros(len(self), dtype=np.bool_)
        flags[-1:] = value
        return flags


def episode_steps(episode: SliceEpisode, actions: str = "sampled") -> EpisodeSteps:
    """Arrange a recorded episode as steps.

    Args:
        episode: As recorded.
        actions: `sampled` for the actions that were executed, `mean` for the policy's mean actions.

    Raises:
        UsageError: There are no such actions.
        InvalidInputError: The mean actions were asked for and are not in the file.
    """
    if actions not in ACTIONS:
        raise UsageError(f"There are no {actions!r} actions.", hint=f"Choose {' or '.join(ACTIONS)}.")
    record = episode.record
    both: dict[str, Any] = {"sampled": record.actions, "mean": record.mean_actions}
    chosen = both.pop(actions)
    if chosen is None:
        raise InvalidInputError(f"Episodes of {episode.snippet} hold no mean actions.", hint="Leave out --actions.")
    others = {f"{name}_actions": array for name, array in both.items() if array is not None}
    recorded: dict[str, Any] = {"values": record.values, "advantages": record.advantages} | others
    return EpisodeSteps(
        snippet=episode.snippet,
        from_start=episode.from_start,
        failed=record.early_termination,
        observations=np.asarray(record.observations, dtype=np.float32),
        actions=np.asarray(chosen, dtype=np.float32),
        rewards=np.asarray(record.rewards, dtype=np.float32),
        extras={name: np.asarray(array, dtype=np.float32) for name, array in recorded.items()},
        cameras={name.removeprefix(PREFIX): images for name, images in record.cameras.items()},
    )


def all_steps(source: RolloutSlice, actions: str = "sampled") -> Iterator[EpisodeSteps]:
    """Read the chosen episodes one by one, as steps.

    Raises:
        UsageError: There are no such actions.
        InvalidInputError: A source is damaged, or episodes differ in what was recorded.
    """
    first: list[str] = []
    for episode in source:
        steps = episode_steps(episode, actions)
        names = [*steps.extras, *steps.cameras]
        first = first or names
        if names != first or len(steps) == 0:
            odd = set(names).symmetric_difference(first)
            what = f"only some hold {min(odd)}" if odd else "one has no steps"
            raise InvalidInputError(f"Episodes differ up to {steps.snippet}, episode {episode.slot}: {what}.")
        yield steps


def column_names(layout: RolloutLayout) -> list[str]:
    """Return a name for each column of the observations, such as `joints_pos.17` or `body_height`."""
    return [
        name.removeprefix(PREFIX) if size == 1 else f"{name.removeprefix(PREFIX)}.{index}"
        for name, size in layout.observables.items()
        for index in range(size)
    ]


def columns_of(layout: RolloutLayout) -> dict[str, list[int]]:
    """Return the first column of each observable and the one behind its last."""
    ends = np.cumsum(list(layout.observables.values())).tolist()
    return {name: [end - size, end] for (name, size), end in zip(layout.observables.items(), ends, strict=True)}
