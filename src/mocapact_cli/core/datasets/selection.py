"""Which snippets of a dataset are meant: by clips, snippets, named subsets, lists in files, and MoCapAct's split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mocapact_cli.core.clips.subsets import SPLITS, SUBSETS, clip_ids, split_ids
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mocapact_cli.core.clips.snippets import Snippet

_MAX_LIST = 1 << 24
"""Bytes above which a file is no list of clips."""


@dataclass(frozen=True)
class Selection:
    """What is wanted of a dataset; everything by default.

    Attributes:
        names: Clips and snippets; a clip stands for all its snippets. None for all there are.
        required: Those of `names` that were asked for one by one, so that their absence is an error: lists and subsets
            name far more than most datasets hold.
        split: `train` or `validation`, which restricts the choice further.
    """

    names: frozenset[str] | None = None
    required: frozenset[str] = frozenset()
    split: str | None = None

    def __post_init__(self) -> None:
        if self.split is not None and self.split not in SPLITS:
            raise UsageError(f"There is no split named {self.split!r}.", hint=f"Give {' or '.join(SPLITS)}.")

    def __contains__(self, snippet: Snippet) -> bool:
        """Whether a snippet is wanted."""
        if self.split is not None and snippet.clip_id not in split_ids(self.split):
            return False
        return self.names is None or snippet.clip_id in self.names or str(snippet) in self.names

    def check_found(self, snippets: Iterable[Snippet]) -> None:
        """Compare the wish with the snippets that a dataset holds.

        Raises:
            NotFoundError: A clip or snippet that was asked for is not there, or nothing is left.
        """
        held = list(snippets)
        known = {snippet.clip_id for snippet in held} | {str(snippet) for snippet in held}
        missing = sorted(self.required - known)
        if missing:
            raise NotFoundError(
                f"The sources hold no rollouts of {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}.",
                hint=did_you_mean(missing[0], known) or "See what they hold with `mocapact inspect`.",
            )
        if not any(snippet in self for snippet in held):
            raise NotFoundError(
                "The sources hold none of the clips that were chosen.", hint=_examples(held, split=self.split)
            )


def parse_selection(text: str | None, *, split: str | None = None) -> Selection:
    """Read a choice of clips.

    Args:
        text: Ids of clips or snippets and names of subsets, separated by commas, or a text file that lists them
            (separated by commas, blanks or lines, with comments after `#`). None for everything.
        split: `train` or `validation`.

    Raises:
        UsageError: The text names nothing, or there is no such split.
        NotFoundError: It looks like a file, which does not exist.
        InvalidInputError: The file is no list of clips.
    """
    if text is None:
        return Selection(split=split)
    path = _as_file(text)
    words = _words_of_file(path) if path else [word for part in text.split(",") if (word := part.strip())]
    if not words:
        raise UsageError(f"{text!r} names no clips.", hint="Write ids with commas, such as CMU_016_22,CMU_069_01-0-92.")
    ids = frozenset(word for word in words if word not in SUBSETS)
    subsets = [clip_ids(word) for word in words if word in SUBSETS]
    return Selection(ids.union(*subsets), frozenset() if path else ids, split)


def _as_file(text: str) -> Path | None:
    """Return the file that the text names, if it does."""
    if text in SUBSETS or "\0" in text or len(text) > 4096:
        return None
    path = Path(text)
    if _is_file(path):
        return path
    if "," not in text and (path.suffix == ".txt" or len(path.parts) > 1):
        raise NotFoundError(f"{text} does not exist.", hint="Give a text file of clips, or their ids with commas.")
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # The system refuses such names (too long, for one), so no file has them.
        return False


def _words_of_file(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_LIST:
            raise InvalidInputError(f"{path} is too large for a list of clips.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path} is not a text file.", hint="List one clip a line.") from error
    return [word for line in lines for word in line.partition("#")[0].replace(",", " ").split()]


def _examples(held: list[Snippet], *, split: str | None) -> str:
    shown = ", ".join(sorted({snippet.clip_id for snippet in held})[:4])
    return f"They hold {shown}{', ...' if len(held) > 4 else ''}." + (
        f" The {split} split knows only the clips of MoCapAct." if split else ""
    )
