"""The named subsets of the CMU clips that dm_control's tracking task knows, and the paper's split of them.

Held as text: `9:1-11` stands for the trials 1 to 11 of subject 9. In all of them every clip is taken whole and has
the same weight.
"""

from __future__ import annotations

from functools import cache

from mocapact_cli.core.errors import NotFoundError, did_you_mean

_TRIALS = {
    "get_up": ("139:16-18 140:1-2,8-9"),
    "walk_tiny": ("16:22-34,47,58 47:1 56:1 69:1-5,20-33"),
    "run_jump_tiny": ("9:1-11 16:22-32,47-50,55,58 49:4-5 69:1-5 75:1-3,10-11 127:3,6-12 128:2-3"),
    "locomotion_small": (
        "1:1 2:3-4 9:1-11 13:11,13,19,32,39-42 14:7-9 16:1-10,17-20,27-30,35-46,48-57 35:17-26 36:2-3,9 38:3-4 39:11 "
        "47:1 49:2-5 69:6-33,42-49,56-67 75:1-15 76:10 77:10-13 78:1-3,7,9-10 82:15 "
        "83:36-43,45-46,48-49,51-54,56-62,64-65 86:1,11 90:6-7 91:39-53 104:53-57 105:39-52 118:1-30 127:3-32,37-38 "
        "128:2-11 132:23-28 139:10-13 143:1-9,42"
    ),
    "all": (
        "1:1 2:1-4 5:1 6:1-15 7:1-12 8:1-11 9:1-12 10:4 13:11,13,19,26-32,39-42 14:6-9,14,20,24-26 15:1,3-9,12,14 "
        "16:1-58 17:1-10 24:1 25:1 26:1-8 27:1-9 29:1-13 31:1-3,6-8 32:1-11 35:1-34 36:2-3,9 37:1 38:1-4 39:11 "
        "40:2-5,10-12 41:2-6,10-11 45:1 46:1 47:1 49:1-20,22 56:1,4-8 60:2-3,5,12,14 61:1-10,15 69:1-34,36-67 75:1-15 "
        "76:1-2,6,8-11 77:2-4,10-18,21,27-34 78:1-5,7,9-10,13-33 82:8-11,14-15 83:18-21,33,36-46,48-49,51-67 "
        "86:1-3,7-8,11,14 90:6-7 91:1-8,10-62 104:53-57 105:1-5,7-8,10,17-20,22,29,31,34,36-62 107:1-9,11-14 "
        "108:1-9,12-14,17-28 114:13-15 118:1-30,32 120:20 124:3-6 127:2-32,37-38 128:2-11 132:1-55 133:3-8,10-24 "
        "139:4,10-18,21,28 140:1-2,8-9 143:1-9,14-16,29,32,39-42"
    ),
}

_VALIDATION = (
    "2:2 7:10 8:2 9:5 13:27 15:4 16:5,27,52,58 26:2 29:5,13 32:5,9-10 35:6,19,25 41:4 49:1,14 56:6 60:14 61:8 "
    "69:12,45-46,48,52,59,61 75:4 77:12,21,27 78:26,32 83:20,52,65 91:12,32 105:22,53,59 107:4 108:14,25 118:32 "
    "127:18,31 128:5-6 132:6,8,26,55 133:15,23 143:6,9,40"
)

SUBSETS = tuple(_TRIALS)
"""Names of the subsets."""
SPLITS = ("train", "validation")
"""Names of the two parts into which MoCapAct divides the clips of `all`."""


@cache
def clip_ids(subset: str) -> tuple[str, ...]:
    """Clip ids of a named subset, in dm_control's order.

    Raises:
        NotFoundError: There is no subset of that name.
    """
    if subset not in _TRIALS:
        hint = did_you_mean(subset, SUBSETS) or f"Known subsets: {', '.join(SUBSETS)}."
        raise NotFoundError(f"There is no subset named {subset!r}.", hint=hint)
    return _ids(_TRIALS[subset])


@cache
def split_ids(split: str) -> tuple[str, ...]:
    """Clip ids of one part of MoCapAct's split (Wagener et al. 2022): 773 to train on, 63 to validate with.

    Raises:
        NotFoundError: There is no part of that name.
    """
    if split not in SPLITS:
        raise NotFoundError(f"There is no split named {split!r}.", hint=f"Known splits: {', '.join(SPLITS)}.")
    validation = _ids(_VALIDATION)
    if split == "validation":
        return validation
    return tuple(clip_id for clip_id in clip_ids("all") if clip_id not in set(validation))


def subsets_of(clip_id: str) -> tuple[str, ...]:
    """Names of the subsets that hold a clip."""
    return tuple(name for name in SUBSETS if clip_id in clip_ids(name))


def _ids(trials: str) -> tuple[str, ...]:
    entries = (entry.split(":") for entry in trials.split())
    return tuple(f"CMU_{int(subject):03d}_{trial:02d}" for subject, ranges in entries for trial in _expand(ranges))


def _expand(ranges: str) -> list[int]:
    bounds = [[int(number) for number in part.split("-")] for part in ranges.split(",")]
    return [trial for bound in bounds for trial in range(bound[0], bound[-1] + 1)]
