"""`mocapact doctor`: look at the machine and the installation."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.output import out
from mocapact_cli.core.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from mocapact_cli.core.doctor.examine import Report
    from mocapact_cli.core.doctor.findings import Finding

app = Commands()

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "problem": "bold red"}


@app.command("doctor", examples=["mocapact doctor", "mocapact doctor --json", "MOCAPACT_OFFLINE=1 mocapact doctor"])
def doctor() -> None:
    """Look at the installation and the machine: what would stand in the way, and what to do about it.

    Versions, OpenGL and ffmpeg, GPU, processors and memory, disk, published sources, shell. Libraries and drivers are
    really used, in processes of their own. Nothing is changed. Exits with 1 where there is a problem, else with 0;
    warnings and notes are none.
    """
    from mocapact_cli.core.doctor.examine import examine

    report = examine(progress=out.progress())
    bad = [finding for finding in report.findings if finding.level == "problem"]
    out.show(
        {"version": _version(), **report.to_json()},
        lambda: [_table(report.findings), _summary(report)],
        short=[f"{finding.name}: {finding.text}" for finding in bad],
    )
    if bad:
        raise typer.Exit(1)


def _version() -> str:
    from mocapact_cli import __version__

    return __version__


def _table(findings: Sequence[Finding]) -> Table:
    """One row a finding below the heading of its subject, and its remedy below that."""
    from rich.table import Table
    from rich.text import Text

    result = Table.grid(padding=(0, 2))
    result.add_column(no_wrap=True)
    result.add_column(no_wrap=True)
    result.add_column(overflow="fold")
    for subject, group in itertools.groupby(findings, key=lambda finding: finding.subject):
        result.add_row(Text(subject, style="bold"))
        for finding in group:
            result.add_row(
                Text(f"  {finding.level}", style=_STYLES[finding.level]), Text(finding.name), Text(finding.text)
            )
            if finding.remedy:
                result.add_row("", "", Text(f"→ {finding.remedy}", style="dim"))
    return result


def _summary(report: Report) -> str:
    counts: dict[str, Any] = report.counts()
    said = [counted(counts[level], level) for level in ("problem", "warning", "note") if counts[level]]
    return f"\n{', '.join(said) or 'All is well'}; {report.seconds:.1f} s."
