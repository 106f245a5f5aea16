"""The layout of a rollout file, described once: writing, reading, validation and `inspect` follow from the tables here.

A file holds the rollouts of one clip. At its root stand counts, observable columns and statistics (`FILE_ARRAYS`); one
group per snippet holds the metrics of its episodes (`SNIPPET_ARRAYS`) and, in groups named by number, the episodes
themselves (`EPISODE_ARRAYS`): the S episodes from the snippet's first step come first, then the R from random steps.

Shapes are written in symbols: S and R as above, E = S + R, T steps of an episode, P columns of `proprioceptive`,
A actions, K reference steps. `T+1` is the one expression there is: an episode has one observation more than actions.

Attributes say how a file was made and carry the checksums of its arrays (`FILE_ATTRIBUTES` and its siblings; see
`datasets.checksums`). Files of the original project have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT_NAME = "mocapact-rollouts"
FORMAT_VERSION = 2
"""Files of version 1 had no checksums."""
OBSERVABLE_INDICES = "observable_indices"
OBSERVATIONS = "observations"
PROPRIOCEPTIVE = f"{OBSERVATIONS}/proprioceptive"
CAMERAS = ("walker/egocentric_camera", "walker/body_camera")
CAMERA_PATHS = tuple(f"{OBSERVATIONS}/{name}" for name in CAMERAS)
METRIC_GROUPS = ("start_metrics", "rsi_metrics")
METRICS = ("episode_returns", "episode_lengths", "norm_episode_returns", "norm_episode_lengths")


@dataclass(frozen=True)
class Storage:
    """How an array lies in a file; `docs/storage.md` has the measurements behind the choice.

    Attributes:
        chunk_rows: Rows that are stored, and compressed, together; None for an array that lies contiguous.
        gzip: Level of compression of chunks; None for none.
    """

    chunk_rows: int | None = None
    gzip: int | None = None

    def options(self, shape: Sequence[int]) -> dict[str, Any]:
        """Return h5py's arguments for a new array of this shape."""
        if self.chunk_rows is None or 0 in shape:
            return {}
        chunks = {"chunks": (min(self.chunk_rows, shape[0]), *shape[1:])}
        return chunks | ({} if self.gzip is None else {"compression": "gzip", "compression_opts": self.gzip})

    def __str__(self) -> str:
        if self.chunk_rows is None:
            return "contiguous"
        rows = "row by row" if self.chunk_rows == 1 else f"{self.chunk_rows} rows a chunk"
        return rows if self.gzip is None else f"{rows}, gzip {self.gzip}"


CONTIGUOUS = Storage()
IMAGES = Storage(chunk_rows=1, gzip=4)
"""Images are compressed one by one, so that a reader may take any of them."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of the layout: its path inside its group, what it holds and of which type, shape and storage it is."""

    path: str
    dtype: str
    shape: tuple[str | int, ...]
    text: str
    required: bool = True
    storage: Storage = CONTIGUOUS


@dataclass(frozen=True)
class AttributeSpec:
    """One attribute of a file or group; files that mocapact writes have it unless it is optional."""

    name: str
    kind: str
    text: str
    required: bool = True


CHECKSUMS = "checksums"
CONTENTS_CHECKSUM = "contents_checksum"
_CHECKSUMS = AttributeSpec(CHECKSUMS, "JSON", "path -> SHA-256 of each array, without groups that have their own")
FILE_ATTRIBUTES = (
    AttributeSpec("format", "text", f"`{FORMAT_NAME}`"),
    AttributeSpec("format_version", "int", f"{FORMAT_VERSION}"),
    AttributeSpec("statistics", "text", "over how many rows the statistics are"),
    _CHECKSUMS,
    AttributeSpec(CONTENTS_CHECKSUM, "text", "SHA-256 of every name and every other attribute in the file"),
    AttributeSpec("config", "JSON", "settings of the recording", required=False),
    AttributeSpec("experts", "JSON", "snippet -> SHA-256 of the expert's model", required=False),
    AttributeSpec("versions", "JSON", "versions of mocapact and MuJoCo", required=False),
    AttributeSpec("seed", "int", "of starts and noise", required=False),
)
SNIPPET_ATTRIBUTES = EPISODE_ATTRIBUTES = (_CHECKSUMS,)

FILE_ARRAYS = (
    ArraySpec("n_start_rollouts", "int64", (), "S, episodes of each snippet that start at its first step"),
    ArraySpec("n_rsi_rollouts", "int64", (), "R, episodes of each snippet that start at a random step"),
    ArraySpec("ref_steps", "int64", ("K",), "steps ahead at which the reference observables look"),
    ArraySpec("stats/proprio_mean", "float32", ("P",), "mean of the proprioceptive observations"),
    ArraySpec("stats/proprio_var", "float32", ("P",), "variance of the proprioceptive observations"),
    ArraySpec("stats/act_mean", "float32", ("A",), "mean of the sampled actions"),
    ArraySpec("stats/act_var", "float32", ("A",), "variance of the sampled actions"),
    ArraySpec("stats/mean_act_mean", "float32", ("A",), "mean of the mean actions", required=False),
    ArraySpec("stats/mean_act_var", "float32", ("A",), "variance of the mean actions", required=False),
    ArraySpec("stats/count", "int64", (), "number of observations"),
    ArraySpec("stats/act_count", "int64", (), "number of actions", required=False),
)

SNIPPET_ARRAYS = (
    ArraySpec("early_termination", "bool", ("E",), "whether the episode failed before the snippet's end"),
    *(
        ArraySpec(f"{group}/{metric}", "int64" if metric == "episode_lengths" else "float64", (size,), text)
        for group, size in zip(METRIC_GROUPS, ("S", "R"), strict=True)
        for metric, text in zip(
            METRICS,
            (
                "sum of rewards",
                "number of steps",
                "return per step times norm. length",
                "length over what was possible",
            ),
            strict=True,
        )
    ),
)

EPISODE_ARRAYS = (
    ArraySpec(PROPRIOCEPTIVE, "float32", ("T+1", "P"), "observations side by side, see observable_indices"),
    *(
        ArraySpec(path, "uint8", ("T+1", 64, 64, 3), "RGB images", required=False, storage=IMAGES)
        for path in CAMERA_PATHS
    ),
    ArraySpec("actions", "float32", ("T", "A"), "sampled actions, executed in the environment"),
    ArraySpec("mean_actions", "float32", ("T", "A"), "the policy's mean actions", required=False),
    ArraySpec("rewards", "float32", ("T",), "rewards of the environment"),
    ArraySpec("values", "float32", ("T",), "the policy's value of each observation"),
    ArraySpec("advantages", "float32", ("T",), "generalized advantage estimates"),
)


def fill_shape(spec: ArraySpec, dims: Mapping[str, int]) -> tuple[int, ...]:
    """Return the shape of `spec` in numbers, for known symbols."""
    return tuple(size if isinstance(size, int) else _evaluate(size, dims) for size in spec.shape)


def match_shape(spec: ArraySpec, shape: Sequence[int], dims: Mapping[str, int]) -> dict[str, int]:
    """Compare a shape found in a file with `spec` and return `dims` with the symbols that it settles.

    Raises:
        InvalidInputError: The shape contradicts the layout or a symbol that is already known.
    """
    known = dict(dims)
    if len(shape) != len(spec.shape):
        raise _shape_error(spec, shape, known)
    for expected, size in zip(spec.shape, shape, strict=True):
        if not _settle(expected, int(size), known):
            raise _shape_error(spec, shape, known)
    return known


def _evaluate(symbol: str, dims: Mapping[str, int]) -> int:
    return dims["T"] + 1 if symbol == "T+1" else dims[symbol]


def _settle(expected: str | int, size: int, known: dict[str, int]) -> bool:
    """Whether `size` agrees with what is expected; an unknown symbol is given its value in `known`."""
    if isinstance(expected, int):
        return size == expected
    symbol, value = ("T", size - 1) if expected == "T+1" else (expected, size)
    return known.setdefault(symbol, value) == value and value >= 0


def _shape_error(spec: ArraySpec, shape: Sequence[int], known: Mapping[str, int]) -> InvalidInputError:
    wanted = ", ".join(_describe(size, known) for size in spec.shape)
    return InvalidInputError(f"{spec.path} has shape ({', '.join(map(str, shape))}), expected ({wanted}).")


def _describe(size: str | int, known: Mapping[str, int]) -> str:
    symbol = "T" if size == "T+1" else size
    return f"{size} = {_evaluate(str(size), known)}" if isinstance(symbol, str) and symbol in known else str(size)
