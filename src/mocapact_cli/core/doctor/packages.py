"""Versions of what mocapact stands on: those it asks for, those known to break it, and the extras."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from mocapact_cli.core.doctor.findings import PACKAGES, Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mocapact_cli.core.doctor.findings import Finding

_OURS = "mocapact"
_FOR_DEVELOPERS = "dev"
"""The extra that is not looked at."""
_INSTALL = "pip install '{0}'"


@dataclass(frozen=True)
class Trap:
    """A version that installs and then fails.

    Attributes:
        package: Its name.
        versions: Those that fail.
        level: How much it matters.
        text: What happens.
        remedy: What to do.
    """

    package: str
    versions: str
    level: Level
    text: str
    remedy: str


TRAPS = (
    Trap(
        "mujoco",
        ">=4",
        Level.PROBLEM,
        "MuJoCo 4 does not work with dm_control 1.0 (flex_vertedge is gone), and its sparse Newton solver is wrong for "
        "models of 60 or more degrees of freedom, such as the walker",
        "pip install 'mujoco>=3.17,<4'",
    ),
    Trap(
        "protobuf",
        ">=7",
        Level.NOTE,
        "dm_control's own mocap loader fails with protobuf 7 (FieldDescriptor.label is gone); mocapact reads the files "
        "itself and does not need it",
        "pip install 'protobuf>=5,<6'",
    ),
)
"""Known by trying. Ranges that mocapact or its requirements ask for are read from the installed packages instead."""

_COMMANDS = {
    "cloud": "mocapact fleet with addresses",
    "export": "mocapact export --to minari|lerobot|safetensors|onnx",
    "push": "mocapact push",
    "ray": "mocapact fleet --engine ray",
    "tune": "mocapact expert tune",
    "viewer": "mocapact view",
    "wandb": "--wandb of every training",
}
"""Extra -> the command that needs it."""


def look_at_versions() -> Iterator[Finding]:
    """Compare what is installed with what mocapact, and what it stands on, ask for."""
    yield _python()
    asked = requirements(_OURS)
    if asked is None:
        yield PACKAGES.warning(
            _OURS, "is not installed, so what it needs is not known", "pip install -e . in its folder"
        )
        return
    core = [one for one in asked if _applies(one)]
    found = [finding for one in core if (finding := _unmet(one, _OURS, Level.PROBLEM)) is not None]
    yield from found
    trapped = [_trapped(trap) for trap in TRAPS if trap.package not in {finding.name for finding in found}]
    yield from (finding for finding in trapped if finding is not None)
    conflicts = list(_conflicts(core, {finding.name for finding in found}))
    yield from conflicts
    if not found and not conflicts:
        yield PACKAGES.ok("versions", f"{len(core)} packages as asked for", **_versions(core))


def look_at_extras() -> Iterator[Finding]:
    """Say which extras are there, and which command needs one that is not."""
    for extra, needed in sorted(_extras().items()):
        missing = sorted({one.name for one in needed if _version(one.name) is None})
        wrong = [found for one in needed if (found := _unmet(one, f"{_OURS}[{extra}]", Level.WARNING))]
        if missing:
            purpose = _COMMANDS.get(extra, "")
            yield PACKAGES.note(
                f"extra {extra}",
                f"not installed ({', '.join(missing)}){f'; needed by {purpose}' if purpose else ''}",
                _INSTALL.format(f"{_OURS}[{extra}]"),
                missing=missing,
            )
        else:
            yield from wrong or [PACKAGES.ok(f"extra {extra}", "installed", **_versions(needed))]


def _python() -> Finding:
    # Not its whole name: builds from a repository end in a plus sign, which is no version for packages.
    version = ".".join(map(str, sys.version_info[:3]))
    asked = _requires_python()
    if not asked or version in SpecifierSet(asked, prereleases=True):
        return PACKAGES.ok("Python", f"{version} at {sys.executable}", version=version)
    return PACKAGES.problem(
        "Python", f"{version}, but mocapact needs {asked}", "Install mocapact with another Python", version=version
    )


def _requires_python() -> str:
    try:
        return str(metadata.metadata(_OURS)["Requires-Python"] or "")
    except (metadata.PackageNotFoundError, KeyError):
        return ""


@cache
def requirements(package: str) -> tuple[Requirement, ...] | None:
    """Return what an installed package asks for; None where it is not installed.

    Args:
        package: Its name.
    """
    try:
        lines = metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return None
    return tuple(one for line in lines if (one := _parsed(line)) is not None)


def _parsed(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _extras() -> dict[str, list[Requirement]]:
    """Extra of mocapact -> what it asks for beyond the rest."""
    found: dict[str, list[Requirement]] = defaultdict(list)
    for requirement in requirements(_OURS) or ():
        for extra in re.findall(r"extra == ['\"]([^'\"]+)['\"]", str(requirement.marker or "")):
            if extra != _FOR_DEVELOPERS and _applies(requirement, extra):
                found[extra].append(requirement)
    return found


def _unmet(requirement: Requirement, by: str, level: Level) -> Finding | None:
    """Return what is wrong with a package that is asked for; None where it is there in a fitting version."""
    version, asked = _version(requirement.name), str(requirement.specifier)
    if version is not None and requirement.specifier.contains(version, prereleases=True):
        return None
    trap = next((one for one in TRAPS if version and _catches(one, requirement.name, version)), None)
    about = f"not installed, but {by} needs it" if version is None else f"{version}, but {by} needs {asked}"
    text = f"{about}: {trap.text}" if trap else about
    remedy = _INSTALL.format(f"{requirement.name}{asked}")
    return PACKAGES.at(level, requirement.name, text, remedy, installed=version, asked=asked)


def _trapped(trap: Trap) -> Finding | None:
    version = _version(trap.package)
    if version is None or not _catches(trap, trap.package, version):
        return None
    return PACKAGES.at(trap.level, trap.package, f"{version}: {trap.text}", trap.remedy, installed=version)


def _catches(trap: Trap, package: str, version: str) -> bool:
    return trap.package == package and SpecifierSet(trap.versions).contains(version, prereleases=True)


def _conflicts(core: list[Requirement], known: set[str]) -> Iterator[Finding]:
    """What the packages that mocapact stands on ask of each other and do not get."""
    packages = [*core, *(one for needed in _extras().values() for one in needed)]
    for package in sorted({one.name for one in packages}):
        for requirement in requirements(package) or ():
            if requirement.name in known or not _applies(requirement):
                continue
            finding = _unmet(requirement, package, Level.WARNING)
            if finding is not None:
                known.add(requirement.name)
                yield finding


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _versions(requirements: list[Requirement]) -> dict[str, str | None]:
    return {one.name: _version(one.name) for one in requirements}
