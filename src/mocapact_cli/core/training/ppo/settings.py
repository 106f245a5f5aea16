"""Settings that all training by PPO has, and presets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from mocapact_cli.core.config import apply_overrides, load_settings
from mocapact_cli.core.errors import UsageError, check_known

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    C = TypeVar("C", bound=DataclassInstance)
else:
    C = TypeVar("C")


CHANGEABLE = ("total_timesteps", "max_minutes", "threads", "device")
"""Settings that a resumed run may be given anew: how long and where, not what."""


def changes(given: Mapping[str, Any]) -> dict[str, Any]:
    """What of the settings that were given, None where not, a resumed run takes over."""
    return {name: given[name] for name in CHANGEABLE if given.get(name) is not None}


class PpoSettings(Protocol):
    """What the parts in common read; the classes of settings say what each is."""

    @property
    def total_timesteps(self) -> int: ...  # noqa: D102
    @property
    def max_minutes(self) -> float | None: ...  # noqa: D102
    @property
    def num_envs(self) -> int: ...  # noqa: D102
    @property
    def threads(self) -> int | None: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def steps_per_update(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102
    @property
    def n_epochs(self) -> int: ...  # noqa: D102
    @property
    def clip_range(self) -> float: ...  # noqa: D102
    @property
    def gamma(self) -> float: ...  # noqa: D102
    @property
    def gae_lambda(self) -> float: ...  # noqa: D102
    @property
    def max_grad_norm(self) -> float: ...  # noqa: D102
    @property
    def vf_coef(self) -> float: ...  # noqa: D102
    @property
    def layers(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def activation(self) -> str: ...  # noqa: D102
    @property
    def eval_every(self) -> int: ...  # noqa: D102
    def desired_kl_after(self, timesteps: int) -> float | None: ...  # noqa: D102


def check_shares(steps_per_update: int, num_envs: int) -> None:
    """Raise a `UsageError` unless every environment can take equally many steps between updates."""
    if steps_per_update % num_envs:
        raise UsageError(
            f"steps_per_update ({steps_per_update}) is not a multiple of num_envs ({num_envs}).",
            hint="Choose a number of environments that divides it, such as 32, 64 or 128.",
        )


def preset_of(presets: Mapping[str, C], name: str) -> C:
    """The settings of a preset.

    Raises:
        UsageError: There is none of that name.
    """
    check_known(name, presets, "preset")
    return replace(presets[name])


def resolve_preset(presets: Mapping[str, C], name: str | None, file: Path | None, overrides: Mapping[str, Any]) -> C:
    """The settings of a preset, changed by a TOML file and then by the given values.

    Args:
        presets: All there are.
        name: The preset; None for the one that the file names, else `fast`.
        file: TOML file of settings.
        overrides: Settings by name; None leaves one as it is.

    Raises:
        UsageError: A setting is unknown or of the wrong type.
    """
    settings = load_settings(file) if file is not None else {}
    name = name or str(settings.get("preset", "fast"))
    chosen = preset_of(presets, name)
    given = {key: value for key, value in overrides.items() if value is not None}
    # At once, because settings of the file may only fit together with those that are given.
    return apply_overrides(chosen, settings | {"preset": name} | given)
