"""How many columns each observable of a policy has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.sim.observables import OBSERVABLES, observable_size

if TYPE_CHECKING:
    from collections.abc import Sequence


def column_sizes(names: Sequence[str], ref_steps: Sequence[int], total: int) -> list[int]:
    """Return the columns of each observable of a policy, in order.

    One of them may be a task's own, such as `walker/target`: it has the columns that the others leave.

    Args:
        names: The observables.
        ref_steps: Steps ahead at which reference observables look.
        total: Columns of the policy's flat observations.

    Raises:
        InvalidInputError: They do not add up.
    """
    sizes = [observable_size(name, len(ref_steps)) if name in OBSERVABLES else 0 for name in names]
    own = [place for place, name in enumerate(names) if name not in OBSERVABLES]
    left = total - sum(sizes)
    if left != 0 and (len(own) != 1 or left < 0):
        raise InvalidInputError(
            f"The policy's observables have {sum(sizes)} columns at its reference steps, its network {total}."
        )
    for place in own:
        sizes[place] = left
    return sizes
