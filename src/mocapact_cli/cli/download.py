"""`mocapact download`: the published data, from wherever it lies."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.options import Checksum, ChecksumOpt, TransferJobsOpt, clips_option
from mocapact_cli.cli.output import facts, out
from mocapact_cli.cli.resume import naming_the_way_on
from mocapact_cli.cli.transfers import Secrecy, announce, plan_view, result_view
from mocapact_cli.core.formatting import quoted

if TYPE_CHECKING:
    from mocapact_cli.core.remote.acquire import Acquired
    from mocapact_cli.core.remote.plan import Plan

app = Commands()

_TYPE_HELP = "What to get: experts, small_dataset, large_dataset, mocap, multiclip_policy, transfer or gpt."


@app.command(
    "download",
    examples=[
        "mocapact download -t experts --sample",
        "mocapact download -t experts -c CMU_016_22,CMU_009_12-165-363",
        "mocapact download -t small_dataset -c walk_tiny --dry-run",
        "mocapact download -t mocap",
        "mocapact download -t small_dataset -c clips.txt -d data --source https://example.org/mocapact",
        "MOCAPACT_AZURE_SAS_URL=... mocapact download -t experts -c get_up --source azure",
        "mocapact download -t experts --source experts_1.tar.gz -d experts",
    ],
)
def download(
    *,
    kind: Annotated[
        str, typer.Option("--type", "-t", metavar="TYPE", autocompletion=completion.kinds, help=_TYPE_HELP)
    ],
    clips: Annotated[str | None, clips_option("--clips", "-c")] = None,
    destination: Annotated[
        Path | None,
        typer.Option("--dest-path", "-d", metavar="DIR", help="Where to; default: MOCAPACT_HOME/data/<type>."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="hf|azure|URL|DIR|TARBALL",
            autocompletion=completion.sources,
            help="Where from: Hugging Face (the default), an Azure container, a mirror, a folder or an archive.",
        ),
    ] = None,
    sas_url: Annotated[
        str | None,
        typer.Option(
            "--sas-url",
            metavar="URL",
            help="Address and signature of an Azure container; MOCAPACT_AZURE_SAS_URL keeps it out of the history.",
        ),
    ] = None,
    sample: Annotated[bool, typer.Option("--sample", help="The small sample, not all of it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be fetched, and stop.")] = False,
    jobs: TransferJobsOpt = 8,
    checksum: ChecksumOpt = Checksum.FAIL,
) -> None:
    """Get the published experts, datasets, policies and reference motion; an interrupted download goes on."""
    from mocapact_cli.core.remote.acquire import acquire
    from mocapact_cli.core.remote.prepare import prepare

    secrecy = Secrecy(sas_url, source)
    secrecy.warn()
    with naming_the_way_on(secrecy.command(sys.argv[1:]), kept="what has come is kept"):
        plan = prepare(
            kind,
            clips=clips,
            source=source,
            sas_url=sas_url,
            sample=sample,
            destination=destination,
            progress=out.progress(),
        )
        if dry_run:
            document = {"plan": plan.to_json(), "result": None}
            out.show(document, lambda: facts(plan_view(plan)), short=str(plan.destination))
            return
        announce(plan)
        result = acquire(plan, jobs=jobs, checksum=checksum.value, progress=out.progress())
    out.show(
        {"plan": plan.to_json(), "result": result.to_json()},
        lambda: facts([*result_view(result), ("Next", _next(plan, result, is_default=destination is None))]),
        short=str(plan.destination),
    )


def _next(plan: Plan, result: Acquired, *, is_default: bool) -> str:
    """The command that does something with what has come."""
    from mocapact_cli.core.paths import data_dir

    name, folder = plan.choice.kind.name, plan.destination
    first = functools.partial(_first, result)
    commands = {
        "experts": f"mocapact expert eval {quoted(first('/clip_info.json').parent)}",
        "small_dataset": "mocapact distill train"
        if is_default
        else f"mocapact distill train --dataset {quoted(folder)}",
        "large_dataset": f"mocapact distill train --dataset {quoted(folder)}",
        "mocap": "mocapact clips list" if is_default else f"mocapact clips list --mocap {quoted(first('.h5'))}",
        "multiclip_policy": f"mocapact distill eval {quoted(first('.ckpt'))}",
        "transfer": f"mocapact transfer eval {quoted(first('/best_model.zip').parent)}",
        "gpt": f"mocapact complete {quoted(first('.ckpt'))} --clip-snippet CMU_016_22 "
        f"--experts {quoted(data_dir('experts'))}",
    }
    simulates = name in ("experts", "multiclip_policy", "gpt")
    needs_motion = simulates and not any(data_dir("mocap").glob("*.h5"))
    return f"{'mocapact clips fetch && ' if needs_motion else ''}{commands[name]}"


def _first(result: Acquired, ending: str) -> Path:
    """The first file that ends so; where there is none, a name for it in the folder."""
    place = next((place for place in sorted(result.files) if f"/{place}".endswith(ending)), ending.strip("/"))
    return result.destination / place
