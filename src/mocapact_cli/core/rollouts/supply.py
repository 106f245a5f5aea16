"""The experts and references of the snippets that are being recorded: read shortly before they are needed."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.interop.expert_folder import ExpertLocation, LoadedExpert, load_expert
from mocapact_cli.core.policies.packed import pack_linears
from mocapact_cli.core.policies.row_blocks import pad_rows
from mocapact_cli.core.sim.observables import OBSERVABLES, ObservableLayout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.sim.references import ReferenceBank
    from mocapact_cli.core.tasks.tracking import RollingTask

    Float32Array = NDArray[np.float32]

READ_AHEAD = 2
"""Snippets whose references are read before their first episode is drawn."""


class Clips(Protocol):
    """Where clips come from; a `ClipLibrary` is one."""

    def num_steps(self, clip_id: str) -> int:
        """Return the number of poses of a clip without reading it."""

    def get(self, clip_id: str) -> Clip:
        """Read or make a clip."""


@dataclass(frozen=True)
class SeeingExpert:
    """An expert and where it finds what it sees.

    Attributes:
        expert: The expert.
        columns: What it sees of the observations, in its order; None for all.
    """

    expert: LoadedExpert
    columns: NDArray[np.integer] | None

    @classmethod
    def of(cls, expert: LoadedExpert, layout: ObservableLayout, ref_steps: Sequence[int]) -> SeeingExpert:
        """Find what an expert sees in observations of a layout whose references look `ref_steps` ahead, and pack it.

        Raises:
            UsageError: It sees something that is not there.
        """
        policy, name = expert.policy, expert.location.root
        columns = [_columns(observable, layout, ref_steps, policy.ref_steps, name) for observable in policy.observables]
        found = np.concatenate(columns)
        if len(found) != policy.obs_size:
            raise UsageError(
                f"The expert {name} sees {policy.obs_size} columns; its observables have {len(found)} here.",
                hint="It was trained on another body or another list of observables.",
            )
        pack_linears(policy.network)
        return cls(expert, None if np.array_equal(found, np.arange(layout.size)) else found)

    def means(self, observations: Float32Array) -> Float32Array:
        """Return mean actions (n, A), not clipped, for observations (n, P)."""
        return self.expert.policy.mean_actions(self._seen(observations))[: len(observations)]

    def values(self, observations: Float32Array) -> Float32Array:
        """Return values (n,) in units of the reward for observations (n, P)."""
        return self.expert.policy.values(self._seen(observations))[: len(observations)]

    def _seen(self, observations: Float32Array) -> Float32Array:
        return pad_rows(observations if self.columns is None else observations[:, self.columns])


def _columns(
    name: str, layout: ObservableLayout, ref_steps: Sequence[int], wanted: Sequence[int], expert: Path
) -> NDArray[np.integer]:
    """Return the columns of an observable; of one that looks ahead, those of the `wanted` steps alone."""
    if name not in layout.slices:
        raise UsageError(f"The expert {expert} sees {name}, which is not recorded.")
    missing = [step for step in wanted if step not in ref_steps]
    if missing and OBSERVABLES[name].per_reference_step:
        raise UsageError(
            f"The expert {expert} looks {missing[0]} steps ahead, which is not recorded.",
            hint=f"Record with --ref-steps {','.join(map(str, sorted({*ref_steps, *wanted})))}.",
        )
    return layout.columns([name], wanted)


class SnippetSupply:
    """Expert and reference of every snippet that is open, read on a thread of its own.

    Memory holds those of the snippets that are open, and the references of the next few.

    Args:
        places: The experts, one for each snippet of the task.
        clips: Gives the clips.
        task: Takes in the references.
        layout: Of the observations.
        episodes_each: Episodes of each snippet; after the last one has ended the snippet is closed.
        device: Where the experts' networks run.
    """

    def __init__(
        self,
        places: Sequence[ExpertLocation],
        clips: Clips,
        task: RollingTask,
        layout: ObservableLayout,
        *,
        episodes_each: int,
        device: str = "cpu",
    ) -> None:
        self._places, self._clips, self._task, self._layout, self._device = places, clips, task, layout, device
        self._episodes_each = episodes_each
        self._left: dict[int, int] = {}
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._references: dict[int, Future[ReferenceBank]] = {}
        self._experts: dict[int, Future[SeeingExpert]] = {}

    def open(self, index: int) -> None:
        """Take in the reference of a snippet, and begin to read its expert and what comes next.

        Raises:
            NotFoundError: The clip or the expert does not exist.
            InvalidInputError: It is damaged, or the snippet lies outside its clip.
        """
        self._left[index] = self._episodes_each
        self._request(index)
        self._experts[index] = self._reader.submit(self._read_expert, index)
        for following in range(index + 1, min(index + 1 + READ_AHEAD, len(self._places))):
            self._request(following)
        self._task.open(index, self._references.pop(index).result())

    def expert(self, index: int) -> SeeingExpert:
        """Return the expert of an open snippet.

        Raises:
            NotFoundError: A file of it is missing.
            InvalidInputError: It is damaged.
            UsageError: It sees what is not recorded.
        """
        return self._experts[index].result()

    def ended(self, index: int) -> None:
        """Take note of the end of one of a snippet's episodes; with the last one the snippet is forgotten."""
        self._left[index] -= 1
        if self._left[index] == 0:
            self._task.close(index)
            del self._experts[index], self._left[index]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._reader.shutdown(cancel_futures=True)

    def _request(self, index: int) -> None:
        if index not in self._references:
            self._references[index] = self._reader.submit(self._read_reference, index)

    def _read_reference(self, index: int) -> ReferenceBank:
        return self._task.reference(index, self._clips.get(self._places[index].snippet.clip_id))

    def _read_expert(self, index: int) -> SeeingExpert:
        expert = load_expert(self._places[index], device=self._device)
        return SeeingExpert.of(expert, self._layout, self._task.config.ref_steps)
