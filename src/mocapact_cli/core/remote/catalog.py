"""What is published: the types, where a source keeps them, and where their files belong here.

In the original layout a container, mirror or folder has `experts/<snippet>/...`, `dataset/small/<clip>.hdf5` and
`dataset/large/<clip>.hdf5` with `dataset_metrics.npz` beside them. Hugging Face has the same files in archives. How
deep a file lies in either does not matter: it goes by the part of its path that names a snippet or clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from mocapact_cli.core.clips.published import published_snippets
from mocapact_cli.core.clips.snippets import clip_of, snippet_named
from mocapact_cli.core.errors import NotFoundError, UsageError, check_known, did_you_mean
from mocapact_cli.core.formatting import some_of
from mocapact_cli.core.remote.files import Checksum
from mocapact_cli.core.remote.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mocapact_cli.core.datasets.selection import Selection

METRICS = "dataset_metrics.npz"
EXPERT_FILES = ("clip_info.json", "eval_rsi/model/best_model.zip", "eval_rsi/model/vecnormalize.pkl")
"""What every published expert has."""

_ROLLOUTS = ".hdf5"


@dataclass(frozen=True)
class Kind:
    """One type of published data.

    Attributes:
        name: As it is asked for.
        unit: What it has a folder or file of; None where it is one whole.
        folder: In the original layout, with a slash at its end; empty where it is a file at the top.
        repository: On Hugging Face.
        repository_kind: What that is of.
        archives: Pattern of the names of its archives, or of its file, there.
        sample: The archive with a small sample; empty where there is none.
    """

    name: str
    unit: Literal["snippet", "clip"] | None
    folder: str
    repository: str
    repository_kind: Literal["dataset", "model"]
    archives: str
    sample: str = ""

    def place(self, name: str) -> str | None:
        """Where a file or folder of a source goes below the destination; None if it is not of this type."""
        path = PurePosixPath(name)
        if any(part.startswith(".") for part in path.parts):
            return None
        if self.unit == "clip":
            return path.name if path.suffix == _ROLLOUTS or path.name == METRICS else None
        if self.unit == "snippet":
            parts = path.parts
            start = next((index for index, part in enumerate(parts) if snippet_named(part)), None)
            return None if start is None else "/".join(parts[start:])
        if self.is_one_file:
            return self.archives
        inside = path.parts[path.parts.index(self.name) + 1 :] if self.name in path.parts else path.parts
        return "/".join(inside) or None

    @property
    def folders(self) -> tuple[str, ...]:
        """Where it may lie in the original layout, or in a copy of what was downloaded here."""
        return tuple(dict.fromkeys((self.folder, f"{self.name}/"))) if self.folder else ()

    @property
    def is_one_file(self) -> bool:
        """Whether it is one file, the same everywhere."""
        return not self.folder

    def is_archive(self, name: str) -> bool:
        """Whether a file on Hugging Face is one of the archives of this type."""
        return fnmatchcase(name, self.archives)

    @property
    def archive_folder(self) -> str:
        """Where its archives lie, without a slash at the end; empty for the top."""
        parent = str(PurePosixPath(self.archives).parent)
        return "" if parent == "." else parent


MOCAP = "mocap"
MOCAP_FILE, MOCAP_BYTES = "cmu_2020_dfe3e9e0.h5", 476_559_420
MOCAP_CHECKSUM = Checksum("sha256", "dfe3e9e0b08d32960bdafbf89e541339ca8908a9a5e7f4a2c986362890d72863")
MOCAP_HOME = "https://storage.googleapis.com/dm_control"
"""The reference motion of all clips, and the public bucket of dm_control that has it."""

_DATA, _MODELS = "microsoft/mocapact-data", "microsoft/mocapact-models"

KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "experts", "snippet", "experts/", _MODELS, "model", "all/experts/experts_*.tar.gz", "sample/experts.tar.gz"
        ),
        Kind(
            "small_dataset", "clip", "dataset/small/", _DATA, "dataset", "all/small/small_*.tar.gz",
            "sample/small.tar.gz",
        ),
        Kind(
            "large_dataset", "clip", "dataset/large/", _DATA, "dataset", "all/large/large_*.tar.gz",
            "sample/large.tar.gz",
        ),
        Kind(MOCAP, None, "", "", "dataset", MOCAP_FILE),
        Kind("multiclip_policy", None, "multiclip_policy/", _MODELS, "model", "multiclip_policy.tar.gz"),
        Kind("transfer", None, "transfer/", _MODELS, "model", "transfer.tar.gz"),
        Kind("gpt", None, "", _MODELS, "model", "gpt.ckpt"),
    )
}  # fmt: skip
TYPES = tuple(KINDS)
"""Everything that can be downloaded."""


def kind_of(name: str) -> Kind:
    """The type of that name.

    Raises:
        UsageError: It is none.
    """
    check_known(name, TYPES, "type of data")
    return KINDS[name]


@dataclass(frozen=True)
class Choice:
    """What is wanted of a type.

    Attributes:
        kind: The type.
        names: Clips and snippets; None for everything.
        required: Those of them whose absence is an error.
    """

    kind: Kind
    names: frozenset[str] | None = None
    required: frozenset[str] = frozenset()

    @classmethod
    def of(cls, kind: Kind, selection: Selection) -> Choice:
        """The part of a type that a selection names.

        Raises:
            UsageError: The type is one whole.
        """
        if selection.names is not None and kind.unit is None:
            raise UsageError(f"{kind.name} is not divided by clips.", hint="Leave out -c.")
        return cls(kind, selection.names, selection.required)

    @cached_property
    def _clips(self) -> frozenset[str]:
        return frozenset(map(clip_of, self.names or ()))

    def takes(self, place: str) -> bool:
        """Whether a file at that place below the destination is wanted."""
        if self.names is None or place == METRICS:
            return True
        unit = _unit(place)
        if self.kind.unit == "clip":
            return unit in self._clips
        return unit in self.names or clip_of(unit) in self.names

    def place(self, name: str) -> str | None:
        """Where a wanted file of a source goes; None for others."""
        place = self.kind.place(name)
        return place if place is not None and self.takes(place) else None

    def published(self) -> list[str] | None:
        """The experts or rollout files that are wanted, by name; None where one of them is not known to exist."""
        snippets = published_snippets()
        if self.kind.unit is None or self.unknown():
            return None
        chosen = [clip for clip in snippets if self.names is None or clip in self._clips]
        if self.kind.unit == "clip":
            return [f"{clip}{_ROLLOUTS}" for clip in chosen]
        return [str(snippet) for clip in chosen for snippet in snippets[clip] if self.takes(str(snippet))]

    def wanted(self) -> Wanted:
        """What to take from an archive, and when all of it is there."""
        items = None if self.names is None else self.published()
        files = EXPERT_FILES if self.kind.unit == "snippet" else ()
        return Wanted(self.place, None if items is None else dict.fromkeys(items, files))

    def unknown(self) -> list[str]:
        """The names of no clip or snippet of the published dataset."""
        return sorted(set(self.names or ()) - known_names())

    def absent(self, places: Iterable[str]) -> list[str]:
        """The names of which nothing is at any of those places below the destination."""
        units = {_unit(place) for place in places}
        if self.kind.unit == "clip":
            return sorted(name for name in self.names or () if clip_of(name) not in units)
        return sorted(set(self.names or ()) - units - {clip_of(unit) for unit in units})

    def check_there(self, absent: Iterable[str], source: str) -> None:
        """See that nothing that was asked for by name is absent from a source.

        Raises:
            NotFoundError: Something is; the nearest names are given where nothing is called so anywhere.
        """
        missing = sorted(absent)
        unknown = [name for name in missing if name not in known_names()]
        if unknown:
            hint = did_you_mean(unknown[0], known_names())
            raise NotFoundError(
                f"MoCapAct has no clip or snippet {some_of(unknown, 3)}.",
                hint=hint or "Clips are named like CMU_016_22, snippets like CMU_016_22-0-82.",
            )
        required = [name for name in missing if name in self.required]
        if required or (self.names is not None and len(missing) == len(self.names)):
            what = self.kind.name.replace("_", " ")
            raise NotFoundError(
                f"{source} has no {what} of {some_of(required or missing, 3)}.",
                hint="Leave it out, or try another --source.",
            )


def _unit(place: str) -> str:
    """The snippet or clip that a place below the destination belongs to."""
    return place.split("/", 1)[0].removesuffix(_ROLLOUTS)


@cache
def known_names() -> frozenset[str]:
    """All clips and snippets of the published dataset."""
    return frozenset(published_snippets()) | {str(one) for some in published_snippets().values() for one in some}


def known_units(kind: Kind) -> int:
    """How many snippets or clips the published dataset has of a type; 0 where it is one whole."""
    snippets = published_snippets()
    counts = {"snippet": sum(map(len, snippets.values())), "clip": len(snippets)}
    return counts.get(kind.unit or "", 0)
