"""`mocapact push`: publish an expert, a policy or a dataset on Hugging Face."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.output import facts, out, table
from mocapact_cli.core.formatting import counted, size_text

if TYPE_CHECKING:
    from mocapact_cli.core.publish.parcel import Parcel

app = Commands()

_LISTED = 30
"""Files that are shown of a plan; further ones are counted."""


@app.command(
    "push",
    examples=[
        "mocapact push experts/CMU_016_22-0-82 me/walking-expert --dry-run",
        "mocapact push runs/distill/npmp me/npmp --private --message 'Longer training'",
        "mocapact push dataset me/walking-rollouts",
        "HF_ENDPOINT=https://hub.example.org mocapact push policy.ckpt team/policy",
    ],
)
def push(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="An expert or a folder of them, a policy of any kind, or rollouts.")
    ],
    repository: Annotated[
        str, typer.Argument(metavar="REPO", help="owner/name, or a name below your account; made if need be.")
    ],
    *,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    message: Annotated[str, typer.Option(help="Of the commit; by default what is sent.")] = "",
    licence: Annotated[
        str,
        typer.Option("--license", metavar="ID", help="Licence, as Hugging Face calls it; default: that of MoCapAct."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the files and the page that would be sent, and stop.")
    ] = False,
) -> None:
    """Publish an expert, a policy or a dataset on Hugging Face, with a page that says what it is and how good.

    What is sent is checked first, and goes in one commit: it arrives whole or not at all. A README.md in PATH takes the
    place of the generated page. Needs a token that may write, in HF_TOKEN or stored by `hf auth login`.
    """
    from mocapact_cli.core.publish.card import LICENCE
    from mocapact_cli.core.publish.hub import push as send
    from mocapact_cli.core.publish.hub import with_card
    from mocapact_cli.core.publish.parcel import CARD, pack

    parcel = pack(path, progress=out.progress())
    files = with_card(parcel, repository, licence=licence or LICENCE)
    card = files[CARD]
    page = card.decode() if isinstance(card, bytes) else card.read_text(encoding="utf-8")
    document = _plan(parcel, repository, files)
    if dry_run:
        out.show({**document, "card": page}, lambda: [*_files(document), page], short=list(files))
        return
    done = send(parcel, repository, files=files, private=private, message=message, progress=out.progress())
    document |= {"repository": done.repository, "url": done.url, "commit": done.commit, "created": done.created}
    shown = [
        ("Sent", f"{parcel.kind}: {counted(len(files), 'file')}, {size_text(document['bytes'])}"),
        ("To", f"{done.url}{' (new)' if done.created else ''}"),
        ("Commit", done.commit),
    ]
    out.show(document, lambda: facts(shown, title="Published"), short=done.url)


def _plan(parcel: Parcel, repository: str, files: dict[str, Path | bytes]) -> dict[str, Any]:
    sizes = {name: len(it) if isinstance(it, bytes) else it.stat().st_size for name, it in files.items()}
    return {
        "kind": parcel.kind,
        "repository": repository,
        "repository_type": parcel.repository_kind,
        "files": [{"path": name, "bytes": size} for name, size in sizes.items()],
        "bytes": sum(sizes.values()),
    }


def _files(document: dict[str, Any]) -> list[Any]:
    listed = document["files"]
    rows = [(file["path"], size_text(file["bytes"])) for file in listed[:_LISTED]]
    if len(listed) > _LISTED:
        rows.append((f"... and {len(listed) - _LISTED:,} more", ""))
    title = f"{document['kind']} -> {document['repository']} ({document['repository_type']}): "
    title += f"{counted(len(listed), 'file')}, {size_text(document['bytes'])}"
    return [title, table(["File", "Size"], rows, numeric=["Size"])]
