"""What commands that fetch files share: how a plan reads, and the command that goes on, without secrets."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mocapact_cli.cli.output import out
from mocapact_cli.cli.progress import format_seconds
from mocapact_cli.core.formatting import counted, size_text, some_of
from mocapact_cli.core.remote.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.remote.acquire import Acquired
    from mocapact_cli.core.remote.plan import Plan

_SAS_OPTION, _SAS_VARIABLE = "--sas-url", "MOCAPACT_AZURE_SAS_URL"


@dataclass(frozen=True)
class Secrecy:
    """What on the command line must not be shown again.

    Attributes:
        sas_url: Value of `--sas-url`.
        address: Of the source, which may hold a signature or a password.
    """

    sas_url: str | None = None
    address: str | None = None

    @property
    def on_the_line(self) -> bool:
        """Whether the command line holds a secret."""
        return self.sas_url is not None or _is_secret(self.address or "")

    def warn(self) -> None:
        """Say how to keep it out of the shell's history."""
        if self.sas_url is not None:
            out.message(f"The signature is in the shell's history now; {_SAS_VARIABLE} keeps it out of it.")

    def command(self, arguments: Sequence[str]) -> str:
        """Return the command line without what must not be shown, and what to add to it."""
        kept: list[str] = []
        skip = False
        for argument in arguments:
            if not skip and argument != _SAS_OPTION and not argument.startswith(f"{_SAS_OPTION}="):
                kept.append(_shown(argument))
            skip = argument == _SAS_OPTION and not skip
        command = shlex.join(["mocapact", *kept])
        if self.sas_url is not None:
            return f"{command} (with the same {_SAS_OPTION} or {_SAS_VARIABLE})"
        return f"{command} (with the same signature or password)" if self.on_the_line else command


def announce(plan: Plan) -> None:
    """Say what will be fetched, and see that it fits; nothing where all of it is there."""
    if plan.absent:
        out.warn(f"{plan.source.label} lacks {some_of(plan.absent)}.")
    if not plan.is_done:
        for name, value in plan_view(plan):
            out.message(f"{name}: {value}")
    plan.check_space()


def plan_view(plan: Plan) -> list[tuple[str, str]]:
    """What a plan says, as names and values."""
    rows = [("From", plan.source.label), ("To", f"{plan.destination} ({size_text(plan.free)} free)")]
    if plan.archives:
        rows.append(("Archives", _archives(plan)))
    if plan.files:
        there = sum(file.there for file in plan.files)
        rows.append(
            ("Files", f"{counted(len(plan.files), 'file')}{f', {there:,} of them there already' if there else ''}")
        )
    at_most = "at most " if plan.archives and plan.wanted is not None else ""
    rows.append(("To fetch", f"{at_most}{size_text(plan.bytes_to_fetch)}, {_duration(plan)}"))
    if plan.archives and plan.bytes_on_disk:
        rows.append(("On the disk", f"about {size_text(plan.bytes_on_disk)}"))
    if plan.absent:
        rows.append(("Not there", some_of(plan.absent)))
    return rows


def _archives(plan: Plan) -> str:
    text = counted(len(plan.archives), "archive")
    if plan.wanted is None:
        return f"{text}, read to the end"
    unit = {"clip": "file", "snippet": "expert"}.get(plan.choice.kind.unit or "", "file")
    return f"{text}, read until {counted(plan.wanted, unit)} {'is' if plan.wanted == 1 else 'are'} there"


def _duration(plan: Plan) -> str:
    from mocapact_cli.core.remote.plan import ASSUMED_RATE

    how = "measured" if plan.rate else "assumed"
    rate = size_text(plan.rate or ASSUMED_RATE)
    return f"about {format_seconds(plan.seconds)} at {rate}/s ({how})" if plan.bytes_to_fetch else "nothing is missing"


def result_view(result: Acquired) -> list[tuple[str, str]]:
    """What a download has brought, as names and values."""
    size = size_text(sum(result.files.values()))
    rate = f" in {format_seconds(result.seconds)}" if result.received else ""
    rows = [
        ("Folder", str(result.destination)),
        ("There now", f"{counted(len(result.files), 'file')}, {size}"),
        ("Fetched", f"{counted(result.written, 'file')}, {size_text(result.received)} received{rate}"),
    ]
    if result.absent:
        rows.append(("Not there", some_of(result.absent)))
    return rows


def _is_secret(text: str) -> bool:
    return "://" in text and without_secrets(text) != text


def _shown(argument: str) -> str:
    name, separator, value = argument.partition("=")
    if name.startswith("--") and separator:
        return f"{name}={_shown(value)}"
    return without_secrets(argument) if _is_secret(argument) else argument
