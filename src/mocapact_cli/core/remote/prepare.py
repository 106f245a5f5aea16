"""From a request in the user's words to the plan of a download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.datasets.selection import parse_selection
from mocapact_cli.core.paths import data_dir
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.remote.catalog import Choice, kind_of
from mocapact_cli.core.remote.offers import Finder
from mocapact_cli.core.remote.opening import open_source
from mocapact_cli.core.remote.plan import make_plan, measured
from mocapact_cli.core.remote.retries import Retries, told

if TYPE_CHECKING:
    from pathlib import Path

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.remote.plan import Plan


def prepare(
    name: str,
    *,
    clips: str | None = None,
    source: str | None = None,
    sas_url: str | None = None,
    sample: bool = False,
    destination: Path | None = None,
    progress: Progress | None = None,
    retries: Retries | None = None,
) -> Plan:
    """Look what a source has of what is wanted, and what of it is there already.

    Args:
        name: A type, one of `mocapact_cli.core.remote.catalog.TYPES`.
        clips: As `mocapact_cli.core.datasets.selection.parse_selection` reads them; None for everything.
        source: As `mocapact_cli.core.remote.opening.open_source` reads it.
        sas_url: Address of an Azure container.
        sample: Take the small sample.
        destination: A folder; by default the type's in the folder of all data.
        progress: Told about what takes long.
        retries: Of each request.

    Raises:
        UsageError: The request makes no sense.
        NotFoundError: A clip or a source does not exist, or the source lacks what was asked for by name.
        AccessError: It is denied, or has expired.
        RunError: The source cannot be reached.
    """
    choice = Choice.of(kind_of(name), parse_selection(clips))
    opened = open_source(source, sas_url, choice.kind)
    progress = progress or NullProgress()
    finder = Finder(opened, choice, sample, told(retries or Retries(), progress), progress)
    return measured(make_plan(finder.find(), choice, opened.source, destination or data_dir(choice.kind.name)))
