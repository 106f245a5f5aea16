"""What a look at the machine comes to: findings, grouped by subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is wrong."""
    WARNING = "warning"
    """Something will be slow, or a part of mocapact that not everybody uses will not work."""
    PROBLEM = "problem"
    """A part that everybody uses, or that was asked for by a setting, will not work."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: Heading under which it is shown.
        name: What was looked at, in a word or two.
        level: How much it matters.
        text: What was found, in one line.
        remedy: What to do, a command where possible; empty where there is nothing to do.
        details: The numbers behind the text, for programs.
    """

    subject: str
    name: str
    level: Level
    text: str
    remedy: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "subject": self.subject,
            "name": self.name,
            "level": str(self.level),
            "text": self.text,
            "remedy": self.remedy,
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Subject:
    """A heading, from which its findings are made.

    Attributes:
        title: The heading.
    """

    title: str

    def at(self, level: Level, name: str, text: str, remedy: str = "", /, **details: Any) -> Finding:
        """Return a finding of a level."""
        return Finding(self.title, name, level, text, remedy, details)

    def ok(self, name: str, text: str, /, **details: Any) -> Finding:
        """Return a finding that all is well."""
        return self.at(Level.OK, name, text, **details)

    def note(self, name: str, text: str, remedy: str = "", /, **details: Any) -> Finding:
        """Return a finding that is worth knowing."""
        return self.at(Level.NOTE, name, text, remedy, **details)

    def warning(self, name: str, text: str, remedy: str, /, **details: Any) -> Finding:
        """Return a finding of something slow, or of a part that will not work."""
        return self.at(Level.WARNING, name, text, remedy, **details)

    def problem(self, name: str, text: str, remedy: str, /, **details: Any) -> Finding:
        """Return a finding of something that has to be mended."""
        return self.at(Level.PROBLEM, name, text, remedy, **details)


PACKAGES = Subject("Packages")
GRAPHICS = Subject("Graphics and film")
GPU = Subject("GPU")
PROCESSORS = Subject("Processors and memory")
STORAGE = Subject("Storage")
NETWORK = Subject("Network")
SHELL = Subject("Shell")
