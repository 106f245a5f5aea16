"""From ASF/AMC files to clips: the conversion of one recording, or of many into one mocap file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mocapact_cli.core.clips.amc import read_amc
from mocapact_cli.core.clips.asf import read_asf
from mocapact_cli.core.clips.clip import Clip
from mocapact_cli.core.clips.mocap_h5 import check_target, write_clips
from mocapact_cli.core.clips.quality import quality_of
from mocapact_cli.core.clips.recordings import check_subject, clip_id_of, find_skeleton, recordings
from mocapact_cli.core.clips.report import ImportReport, shares
from mocapact_cli.core.errors import UsageError, naming
from mocapact_cli.core.paths import existing_file
from mocapact_cli.core.progress import NullProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mocapact_cli.core.clips.asf import Skeleton
    from mocapact_cli.core.clips.retarget import CleanMotion
    from mocapact_cli.core.progress import ProgressTask
    from mocapact_cli.core.walker import Walker

NO_SKELETON = "no skeleton: the actor's size was estimated from ground contact"
NO_SIZE = "no skeleton and no upright pose: the actor was taken to be of usual size"
CLAMPED = "many joint values lie outside the walker's limits and were clamped"
_MANY_CLAMPED = 0.15


def import_recordings(
    paths: Sequence[Path],
    output: Path,
    *,
    skeleton: Path | None = None,
    clip_id: str | None = None,
    append: bool = False,
    force: bool = False,
    progress: Progress = NullProgress(),  # noqa: B008 - it has no state
) -> list[ImportReport]:
    """Convert recordings into one mocap HDF5 file; if any of them fails, nothing is written.

    Args:
        paths: AMC files and folders of them.
        output: The HDF5 file.
        skeleton: The ASF of all of them; by default the one beside each recording.
        clip_id: Id of the clip, for a single recording.
        append: Add to an existing file.
        force: Replace an existing file or, with `append`, clips of the same id.
        progress: Told about every recording.

    Raises:
        NotFoundError: A file does not exist.
        InvalidInputError: A file is not what it should be.
        UsageError: The output exists, or two recordings would give the same clip.
    """
    from mocapact_cli.core.walker import get_walker

    files = recordings(paths)
    named = _named(files, clip_id)
    check_target(output, append=append, force=force, ids=list(named))
    if skeleton is not None:
        existing_file(skeleton)
        for file in files:
            check_subject(file, skeleton)
    reports: list[ImportReport] = []
    with progress.task("Importing", total=len(files), unit="files") as task:
        clips = _converted(named, skeleton, get_walker(), reports, task)
        write_clips(output, clips, append=append, force=force)
    return reports


def _named(files: Sequence[Path], clip_id: str | None) -> dict[str, Path]:
    if clip_id is not None and len(files) > 1:
        raise UsageError(
            f"--id names one clip, but there are {len(files)} recordings.",
            hint="Leave it out, and each is named after its file.",
        )
    named: dict[str, Path] = {}
    for file in files:
        name = clip_id_of(file) if clip_id is None else clip_id
        if not name or "/" in name or name.strip(". ") != name:
            raise UsageError(f"{name!r} cannot be a clip's id.", hint="Take letters, digits, '_' and '-'.")
        if name in named:
            raise UsageError(f"{named[name]} and {file} would both become clip {name}.")
        named[name] = file
    return named


def _converted(
    named: dict[str, Path], skeleton: Path | None, walker: Walker, reports: list[ImportReport], task: ProgressTask
) -> Iterator[Clip]:
    skeletons: dict[Path, Skeleton] = {}
    for clip_id, file in named.items():
        task.update(description=f"Importing {clip_id}")
        path = skeleton or find_skeleton(file)
        if path is not None and path not in skeletons:
            skeletons[path] = read_asf(path)
        clip, report = import_recording(file, skeletons[path] if path else None, clip_id=clip_id, walker=walker)
        reports.append(report)
        task.advance()
        yield clip


def import_recording(
    path: Path, skeleton: Skeleton | None = None, *, clip_id: str | None = None, walker: Walker | None = None
) -> tuple[Clip, ImportReport]:
    """Convert one recording.

    Args:
        path: The AMC file.
        skeleton: The actor's; without it the size is estimated from ground contact.
        clip_id: By default `clip_id_of` the path.
        walker: Defaults to the process's walker.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is not a usable recording.
    """
    from mocapact_cli.core.clips.grounding import ground
    from mocapact_cli.core.clips.retarget import clean
    from mocapact_cli.core.walker import get_walker

    walker = walker or get_walker()
    clip_id = clip_id or clip_id_of(path)
    motion = read_amc(path, skeleton)
    with naming(path):
        cleaned = clean(motion, walker.joint_names, walker.joint_range)
    scale, source = _scale(walker, cleaned, skeleton)
    grounded = ground(walker, cleaned, scale)
    clip = Clip.from_qpos(clip_id, grounded.qpos, walker=walker)
    report = ImportReport(
        clip_id=clip_id,
        source=str(path),
        skeleton=skeleton.path if skeleton else None,
        num_frames=motion.num_frames,
        num_steps=clip.num_steps,
        duration=clip.duration,
        scale_source=source,
        quality=quality_of(clip, walker),
        notes=_notes(source, float(cleaned.clamped.mean())),
        **shares(cleaned, grounded, walker.joint_names),
    )
    return clip, report


def _scale(walker: Walker, motion: CleanMotion, skeleton: Skeleton | None) -> tuple[float, str]:
    from mocapact_cli.core.clips.grounding import USUAL_SCALE, contact_scale, leg_length

    if skeleton is not None:
        return leg_length(walker) / skeleton.leg_length, "skeleton"
    scale = contact_scale(walker, motion)
    return (scale, "ground contact") if scale is not None else (USUAL_SCALE, "usual")


def _notes(scale_source: str, clamped: float) -> tuple[str, ...]:
    notes = {"ground contact": [NO_SKELETON], "usual": [NO_SIZE]}.get(scale_source, [])
    return (*notes, *([CLAMPED] if clamped > _MANY_CLAMPED else []))
