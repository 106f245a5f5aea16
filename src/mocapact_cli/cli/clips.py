"""`mocapact clips`: reference motion."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.evaluations import check_files
from mocapact_cli.cli.options import Checksum, ChecksumOpt, ForceOpt, MocapOpt, OutFileOpt, TransferJobsOpt
from mocapact_cli.cli.output import facts, out, table
from mocapact_cli.cli.resume import naming_the_way_on
from mocapact_cli.cli.transfers import Secrecy, announce, result_view
from mocapact_cli.core.formatting import quoted, some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mocapact_cli.core.clips.library import ClipLibrary, Entry
    from mocapact_cli.core.clips.report import ImportReport

app = Commands("List, show, fetch, import and film motion-capture clips.")

ClipArg = Annotated[
    str,
    typer.Argument(metavar="CLIP", autocompletion=completion.clips, help="A clip, such as demo_squat or CMU_016_22."),
]
SubsetOpt = Annotated[
    str | None,
    typer.Option(
        "--subset",
        help="Only the clips of a subset: get_up, walk_tiny, run_jump_tiny, locomotion_small or all.",
        autocompletion=completion.subsets,
    ),
]


@app.command(
    "list",
    examples=[
        "mocapact clips list",
        "mocapact clips list --mocap walk.h5",
        "mocapact clips list --subset walk_tiny",
    ],
)
def list_clips(mocap: MocapOpt = None, subset: SubsetOpt = None) -> None:
    """List the clips at hand: in the given files, in MOCAPACT_HOME/data/mocap, and built in."""
    from mocapact_cli.core.clips.snippets import cut

    library = _open(mocap)
    entries = [library.entry(clip_id) for clip_id in _chosen(library, subset)]
    counts = [len(cut(entry.id, entry.num_steps - 1)) for entry in entries]
    out.show(
        {"clips": [_entry(entry) | {"snippets": count} for entry, count in zip(entries, counts, strict=True)]},
        lambda: table(
            ["Clip", "Steps", "Seconds", "Snippets", "From"],
            [(e.id, e.num_steps, f"{e.duration:.2f}", n, e.origin) for e, n in zip(entries, counts, strict=True)],
            numeric=["Steps", "Seconds", "Snippets"],
        ),
        short=[entry.id for entry in entries],
    )


@app.command(examples=["mocapact clips show demo_walk", "mocapact clips show CMU_007_01 --mocap walk.h5"])
def show(clip: ClipArg, mocap: MocapOpt = None) -> None:
    """Show what a clip holds and how well its motion fits the walker and the floor."""
    from mocapact_cli.core.clips.quality import summarize

    library = _open(mocap)
    entry = library.entry(clip)
    summary = _entry(entry) | summarize(library.get(clip))
    labels = {**_LABELS, "num_steps": "Steps", "duration": "Seconds", "dt": "Seconds a step", "source": "From"}
    rows = [(labels.get(key, key), _readable(value)) for key, value in summary.items() if key != "id"]
    out.show(summary, lambda: facts(rows, title=clip), short=clip)


@app.command(
    examples=[
        "mocapact clips snippets demo_walk",
        "mocapact clips snippets CMU_049_18 --mocap dance.h5 --quiet",
        "mocapact clips snippets --subset get_up --mocap cmu_2020_dfe3e9e0.h5",
    ]
)
def snippets(
    clips: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLIP...", autocompletion=completion.clips, help="Clips; all at hand by default."),
    ] = None,
    mocap: MocapOpt = None,
    subset: SubsetOpt = None,
) -> None:
    """Cut clips into snippets by the rule of the published dataset, and list them."""
    from mocapact_cli.core.clips.snippets import cut

    library = _open(mocap)
    chosen = [library.entry(clip) for clip in clips or _chosen(library, subset)]
    pieces = [(piece, entry.dt) for entry in chosen for piece in cut(entry.id, entry.num_steps - 1)]
    document = [
        {"snippet": str(piece), "clip": piece.clip_id, "start_step": piece.start_step, "end_step": piece.end_step}
        for piece, _ in pieces
    ]
    out.show(
        {"snippets": document},
        lambda: table(
            ["Snippet", "Steps", "Seconds"],
            [(str(piece), piece.num_steps, f"{(piece.num_steps - 1) * dt:.2f}") for piece, dt in pieces],
            numeric=["Steps", "Seconds"],
        ),
        short=[str(piece) for piece, _ in pieces],
    )


@app.command(
    examples=[
        "mocapact clips fetch",
        "mocapact clips fetch 09_01 CMU_016_22",
        "mocapact clips fetch --url https://example.org/dm_control/cmu_2020_dfe3e9e0.h5",
    ]
)
def fetch(
    trials: Annotated[
        list[str] | None,
        typer.Argument(metavar="TRIAL...", help="Recordings of the CMU database, such as 09_01 or CMU_009_01."),
    ] = None,
    *,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL|DIR", help="A mirror of dm_control's bucket or, with trials, of mocap.cs.cmu.edu."),
    ] = None,
    jobs: TransferJobsOpt = 8,
    checksum: ChecksumOpt = Checksum.FAIL,
) -> None:
    """Get dm_control's reference motion (477 MB), or single CMU recordings, converted; then they are at hand.

    An interrupted download goes on. A recording becomes a clip as `clips import` would make it, from the actor's
    skeleton; where the reference motion has the same clip, that one is used unless --mocap names the recording's file.
    """
    with naming_the_way_on(Secrecy(address=url).command(sys.argv[1:]), kept="what has come is kept"):
        if trials:
            _fetch_recordings(trials, url, jobs, checksum)
        else:
            _fetch_reference(url, jobs, checksum)


def _fetch_reference(url: str | None, jobs: int, checksum: Checksum) -> None:
    from mocapact_cli.core.remote.acquire import acquire
    from mocapact_cli.core.remote.catalog import MOCAP, MOCAP_FILE
    from mocapact_cli.core.remote.prepare import prepare

    plan = prepare(MOCAP, source=url, progress=out.progress())
    announce(plan)
    result = acquire(plan, jobs=jobs, checksum=checksum.value, progress=out.progress())
    path = plan.destination / MOCAP_FILE
    out.show(
        {"path": path, **result.to_json()},
        lambda: facts([*result_view(result), ("Next", "mocapact clips list --subset walk_tiny")]),
        short=str(path),
    )


def _fetch_recordings(trials: list[str], url: str | None, jobs: int, checksum: Checksum) -> None:
    from mocapact_cli.core.remote.recordings import Trial, fetch_recordings

    fetched = fetch_recordings(
        [Trial.parse(text) for text in trials], url, jobs=jobs, checksum=checksum.value, progress=out.progress()
    )
    reports = [one.report for one in fetched]
    for note, ids in _notes(reports).items():
        out.message(f"Note: {note} ({some_of(ids)}).")
    library = _open(None)
    hidden = [one for one in fetched if library.origin(one.report.clip_id) != str(one.path)]
    for one in hidden:
        out.message(
            f"{library.origin(one.report.clip_id)} has {one.report.clip_id}, too, and is used: this one is "
            f"--mocap {quoted(one.path)}."
        )
    first = fetched[0]
    out.show(
        {"clips": [{"path": one.path, **one.report.to_dict()} for one in fetched]},
        lambda: [_import_view(reports), f"See it: mocapact clips play {first.report.clip_id} "
                 f"--mocap {quoted(first.path)} -o {first.report.clip_id}.mp4"],
        short=[str(one.path) for one in fetched],
    )  # fmt: skip


@app.command(
    "import",
    examples=[
        "mocapact clips import 07_01.amc --asf 07.asf -o walk.h5",
        "mocapact clips import recordings/ -o recordings.h5",
        "mocapact clips import zombie.amc -o walk.h5 --append --id zombie_walk",
    ],
)
def import_clips(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="FILE.amc|FOLDER...", help="AMC recordings, or folders of them.")
    ],
    output: OutFileOpt,
    *,
    asf: Annotated[
        Path | None,
        typer.Option("--asf", metavar="FILE", help="The actor's skeleton; by default the one beside each recording."),
    ] = None,
    clip_id: Annotated[
        str | None,
        typer.Option("--id", help="Id of the clip, for one recording; by default 07_01.amc gives CMU_007_01."),
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Add to the file if it exists.")] = False,
    force: ForceOpt = False,
) -> None:
    """Convert ASF/AMC recordings into a mocap HDF5 file, which dm_control reads too, and report their quality."""
    from mocapact_cli.core.clips.importing import import_recordings

    reports = import_recordings(
        recordings, output, skeleton=asf, clip_id=clip_id, append=append, force=force, progress=out.progress()
    )
    for note, ids in _notes(reports).items():
        out.message(f"Note: {note} ({some_of(ids)}).")
    out.show(
        {"path": output, "clips": [report.to_dict() for report in reports]},
        lambda: [_import_view(reports), f"Wrote {output}. See it: mocapact clips play {reports[0].clip_id} "
                 f"--mocap {quoted(output)} -o {reports[0].clip_id}.mp4"],
        short=str(output),
    )  # fmt: skip


@app.command(
    examples=[
        "mocapact clips play demo_walk -o walk.mp4",
        "mocapact clips play CMU_007_01-0-40 --mocap walk.h5 -o walk.gif",
        "mocapact clips play demo_squat -o squat.png",
    ]
)
def play(
    clip: Annotated[
        str, typer.Argument(metavar="CLIP|SNIPPET", autocompletion=completion.clips_and_snippets, help="What to film.")
    ],
    output: OutFileOpt,
    *,
    mocap: MocapOpt = None,
    width: Annotated[int, typer.Option("--width", min=16, max=4096, help="Pixels.")] = 480,
    height: Annotated[int, typer.Option("--height", min=16, max=4096, help="Pixels.")] = 360,
    fps: Annotated[float, typer.Option("--fps", min=1, max=120, help="Frames a second.")] = 30.0,
    force: ForceOpt = False,
) -> None:
    """Film a clip or snippet as .mp4, .gif or .png (a strip of frames)."""
    check_files(video=output)
    _refuse_existing(output, force=force)
    library = _open(mocap)
    snippet = library.resolve(clip)
    from mocapact_cli.core.media.clip_film import film_clip

    film_clip(
        library.get(snippet.clip_id),
        output,
        width=width,
        height=height,
        fps=fps,
        start=snippet.start_step,
        end=snippet.end_step,
        progress=out.progress(),
    )
    out.show({"path": output, "snippet": str(snippet)}, f"Wrote {output}.", short=str(output))


def _refuse_existing(output: Path, *, force: bool) -> None:
    from mocapact_cli.core.errors import UsageError

    if output.exists() and not force:
        raise UsageError(f"{output} already exists.", hint="Replace it with --force.")


def _open(mocap: list[Path] | None) -> ClipLibrary:
    from mocapact_cli.core.clips.library import open_library

    library = open_library(mocap)
    for problem in library.problems:
        out.warn(problem)
    return library


def _chosen(library: ClipLibrary, subset: str | None) -> Sequence[str]:
    if subset is None:
        return library.ids()
    from mocapact_cli.core.clips.subsets import clip_ids

    wanted, held = clip_ids(subset), set(library.ids())
    chosen = [clip_id for clip_id in wanted if clip_id in held]
    if len(chosen) < len(wanted):
        out.message(f"{len(chosen)} of the {len(wanted)} clips of {subset} are at hand.")
    return chosen


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "num_steps": entry.num_steps,
        "dt": entry.dt,
        "duration": entry.duration,
        "source": entry.origin,
    }


def _readable(value: Any) -> Any:
    if isinstance(value, float):
        # Adding zero takes the sign of what rounds to zero.
        return round(value, 4) + 0.0
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _notes(reports: Sequence[ImportReport]) -> dict[str, list[str]]:
    notes: dict[str, list[str]] = {}
    for report in reports:
        for note in report.notes:
            notes.setdefault(note, []).append(report.clip_id)
    return notes


_LABELS = {
    "lowest_point": "Lowest point (m)",
    "foot_skate": "Foot skate (m/s)",
    "root_speed": "Root speed (m/s)",
    "max_root_speed": "Largest root speed (m/s)",
    "max_joint_velocity": "Largest joint velocity (rad/s)",
    "fastest_joint": "Fastest joint",
    "distance": "Distance (m)",
    "snippets": "Snippets",
    "subsets": "Subsets",
}


def _import_view(reports: Sequence[ImportReport]) -> Any:
    columns = [
        "Clip",
        "Steps",
        "Scale",
        "Lift m",
        "Clamped",
        "Repaired",
        "Worst joints",
        "Lowest m",
        "Skate m/s",
        "Root m/s",
        "Fastest joint rad/s",
    ]
    if len(reports) == 1:
        return facts(zip(columns, _import_row(reports[0]), strict=True))
    return table(
        columns,
        [_import_row(report) for report in reports],
        numeric=["Steps", "Scale", "Lift m", "Clamped", "Repaired", "Lowest m", "Skate m/s", "Root m/s"],
    )  # fmt: skip


def _import_row(report: ImportReport) -> tuple[Any, ...]:
    quality = report.quality
    worst = ", ".join(f"{joint} {share:.0%}" for joint, share in report.worst_clamped.items())
    estimated = "" if report.scale_source == "skeleton" else " (est.)"
    return (
        report.clip_id,
        report.num_steps,
        f"{report.scale:.3f}{estimated}",
        f"{report.height_offset:+.3f}",
        f"{report.clamped_share:.1%}",
        f"{report.repaired_share:.2%}",
        worst,
        f"{quality.lowest_point:+.3f}",
        f"{quality.foot_skate:.2f}",
        f"{quality.root_speed:.2f}",
        f"{quality.fastest_joint} {quality.max_joint_velocity:.1f}",
    )
