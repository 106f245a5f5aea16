"""Files damaged in hundreds of ways: each ends in one clear message, or was left sound; nothing crashes or hangs.

Most of them wait for `-m slow`.

Every damage is drawn from a seed, so that a failure can be had again. More of them, from other seeds:
`MOCAPACT_FUZZ_FILES=5000 MOCAPACT_FUZZ_SEED=7 pytest tests/core/evaluation/test_damaged_files.py`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.datasets.metrics import METRICS_FILE, write_metrics
from mocapact_cli.core.datasets.schema import CAMERAS
from mocapact_cli.core.datasets.writer import EpisodeRecord, RolloutLayout, RolloutWriter
from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation.report import EVALUATIONS_FILE, EvaluationHistory
from mocapact_cli.core.guarded import GuardedProcess
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_model

INSPECT = "mocapact_cli.core.evaluation.inspection:inspect_path"
FILES = int(os.environ.get("MOCAPACT_FUZZ_FILES", "170"))
MORE_FILES = 680
SEED = int(os.environ.get("MOCAPACT_FUZZ_SEED", "1"))
Rng = np.random.Generator

# What the guarded child calls to see whether an undetected damage has changed anything; it knows nothing of mocapact.
HELPER = """
import hashlib, zipfile
import h5py, numpy as np

def _value(value):
    array = np.asarray(value)
    content = repr(array.tolist()) if array.dtype.hasobject else array.tobytes().hex()
    return [str(array.dtype), list(array.shape), content]

def _attributes(item):
    return {name: _value(item.attrs[name]) for name in item.attrs}

def contents(path):
    if path.endswith((".npz", ".zip")):
        with zipfile.ZipFile(path) as archive:
            return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in sorted(archive.namelist())}
    found = {}
    def visit(name, item):
        found[name] = [type(item).__name__, _attributes(item)]
        if isinstance(item, h5py.Dataset):
            found[name].append(_value(item[()]))
            return
        for below in item:
            visit(f"{name}/{below}", item[below])
    with h5py.File(path) as file:
        visit("", file)
    return found
"""


@dataclass(frozen=True)
class Source:
    """A sound file that damages start from.

    Attributes:
        path: The file.
        ours: Whether mocapact wrote it, so that no change may go unseen.
        metadata: Positions in the file where HDF5 keeps headers.
    """

    path: Path
    ours: bool
    metadata: tuple[int, ...]

    @property
    def is_hdf5(self) -> bool:
        return self.path.suffix in (".hdf5", ".h5")


def _metadata(path: Path) -> tuple[int, ...]:
    """Return where objects, trees and heaps of an HDF5 file begin; in an archive, where its records do."""
    content = path.read_bytes()
    marks = (b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"NUMPY")
    found = {place for mark in marks for place in _occurrences(content, mark)}
    if path.suffix in (".hdf5", ".h5"):
        with h5py.File(path) as file:
            file.visititems(lambda _, item: found.add(h5py.h5o.get_info(item.id).addr))
    return (0, *sorted(found))


def _occurrences(content: bytes, mark: bytes) -> Iterator[int]:
    place = content.find(mark)
    while place >= 0:
        yield place
        place = content.find(mark, place + 1)


# Damages of bytes.


def _truncated(content: bytearray, source: Source, rng: Rng) -> None:
    del content[int(rng.integers(len(content))) :]


def _short(content: bytearray, source: Source, rng: Rng) -> None:
    del content[-int(rng.integers(1, 100)) :]


def _flipped(content: bytearray, source: Source, rng: Rng) -> None:
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))


def _flipped_metadata(content: bytearray, source: Source, rng: Rng) -> None:
    for _ in range(int(rng.integers(1, 3))):
        place = int(rng.choice(source.metadata)) + int(rng.integers(160))
        content[min(place, len(content) - 1)] ^= 1 << int(rng.integers(8))


def _rewritten_metadata(content: bytearray, source: Source, rng: Rng) -> None:
    place = min(int(rng.choice(source.metadata)) + int(rng.integers(160)), len(content) - 1)
    content[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))


def _flipped_superblock(content: bytearray, source: Source, rng: Rng) -> None:
    content[int(rng.integers(min(100, len(content))))] ^= 1 << int(rng.integers(8))


def _blanked(content: bytearray, source: Source, rng: Rng) -> None:
    size = int(2 ** rng.integers(2, 13))
    place = int(rng.choice([rng.choice(source.metadata), rng.integers(len(content))]))
    fill = bytes([int(rng.choice([0, 0xFF]))])
    size = min(size, len(content) - place)
    content[place : place + size] = fill * size


def _scrambled(content: bytearray, source: Source, rng: Rng) -> None:
    place, size = int(rng.integers(len(content))), int(rng.integers(1, 300))
    size = min(size, len(content) - place)
    content[place : place + size] = rng.bytes(size)


def _shifted(content: bytearray, source: Source, rng: Rng) -> None:
    content.insert(int(rng.integers(len(content))), int(rng.integers(256)))


def _moved(content: bytearray, source: Source, rng: Rng) -> None:
    size = 512
    one, two = (int(place) for place in rng.integers(max(1, len(content) - size), size=2))
    content[one : one + size], content[two : two + size] = content[two : two + size], content[one : one + size]
    del content[len(source.path.read_bytes()) :]


def _prolonged(content: bytearray, source: Source, rng: Rng) -> None:
    content += rng.bytes(int(rng.integers(1, 2000)))


def _emptied(content: bytearray, source: Source, rng: Rng) -> None:
    content[:] = [b"", b"garbage", b"\x89HDF\r\n\x1a\n", b"PK\x05\x06" + bytes(18), bytes(4096)][int(rng.integers(5))]


BYTES = (
    *(_flipped_metadata, _flipped_metadata, _flipped_metadata, _rewritten_metadata, _rewritten_metadata),
    *(_flipped, _flipped, _truncated, _truncated, _short, _flipped_superblock, _blanked, _scrambled),
    *(_shifted, _moved, _prolonged, _emptied),
)


# Damages of the layout: the file stays sound for HDF5.


def _names(file: h5py.File, kind: type) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, kind) else None)
    return found


def _some(file: h5py.File, rng: Rng, kind: type = h5py.Dataset) -> str:
    return str(rng.choice(_names(file, kind)))


def _delete(file: h5py.File, rng: Rng) -> None:
    del file[_some(file, rng)]


def _delete_group(file: h5py.File, rng: Rng) -> None:
    del file[_some(file, rng, h5py.Group)]


def _rename(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng, h5py.HLObject)
    file.move(name, name + str(rng.choice(["x", "-0-9", "\n", "\x1b[31m", "\u00fc"])))


def _exchange(file: h5py.File, rng: Rng) -> None:
    one, two = rng.choice(_names(file, h5py.Dataset), size=2, replace=False)
    file.move(one, "aside")
    file.move(two, one)
    file.move("aside", two)


def _add(file: h5py.File, rng: Rng) -> None:
    file[f"{_some(file, rng, h5py.Group)}/{rng.choice(['extra', '0', '7', 'walk-3-9', 'walker'])}_"] = rng.random(3)


def _replaced(file: h5py.File, rng: Rng, make: Callable[[np.ndarray], Any]) -> None:
    name = _some(file, rng)
    values = file[name][()]
    del file[name]
    file[name] = make(np.asarray(values))


def _dtype(file: h5py.File, rng: Rng) -> None:
    kinds = ("f8", "f2", "i1", "u8", ">f4", "S5", "c8", "bool", "V3")
    _replaced(file, rng, lambda values: np.zeros(values.shape, rng.choice(kinds)))


def _shape(file: h5py.File, rng: Rng) -> None:
    shapes = ((), (0,), (1,), (3, 0), (2, 2, 2, 2))
    _replaced(file, rng, lambda values: np.ones(shapes[int(rng.integers(5))], values.dtype))


def _text(file: h5py.File, rng: Rng) -> None:
    _replaced(file, rng, lambda values: [["a", "b"], "text", h5py.Empty("f4")][int(rng.integers(3))])


def _value(file: h5py.File, rng: Rng) -> None:
    extremes = (-1, 2**62, 0, 255)

    def changed(values: np.ndarray) -> np.ndarray:
        flat = np.atleast_1d(values).copy()
        value = float(rng.choice([np.nan, np.inf, 1e30])) if flat.dtype.kind == "f" else int(rng.choice(extremes))
        flat.flat[0] = np.array(value).astype(flat.dtype)
        return flat.reshape(values.shape)

    _replaced(file, rng, changed)


def _group_for_array(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng)
    del file[name]
    file.create_group(name)


def _array_for_group(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng, h5py.Group)
    del file[name]
    file[name] = 1.0


def _absurd(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng)
    kind, rank = file[name].dtype, max(1, file[name].ndim)
    del file[name]
    shape = (2**40, *[3] * (rank - 1))
    file.create_dataset(name, shape, kind, chunks=tuple(min(size, 64) for size in shape), compression="gzip")


def _absurd_contiguous(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng)
    kind = file[name].dtype
    del file[name]
    file.create_dataset(name, (2**40,), kind)


def _link(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng, h5py.HLObject)
    del file[name]
    targets = ["/etc/passwd", "/dev/zero", "/dev/stdin", "missing.h5", file.filename]
    links = [h5py.SoftLink("/"), h5py.SoftLink(f"/{name}"), *(h5py.ExternalLink(path, "/") for path in targets)]
    file[name] = links[int(rng.integers(len(links)))]


def _external(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng)
    shape, kind = file[name].shape, file[name].dtype
    del file[name]
    outside = [(str(rng.choice(["/etc/passwd", "/dev/zero", "missing"])), 0, h5py.h5f.UNLIMITED)]
    file.create_dataset(name, shape or (1,), kind, external=outside)


def _virtual(file: h5py.File, rng: Rng) -> None:
    name = _some(file, rng)
    shape, kind = file[name].shape or (1,), file[name].dtype
    del file[name]
    layout = h5py.VirtualLayout(shape, kind)
    layout[...] = h5py.VirtualSource(str(rng.choice([".", "missing.h5", "/dev/zero"])), name, shape)
    file.create_virtual_dataset(name, layout)


def _cycle(file: h5py.File, rng: Rng) -> None:
    file[f"{_some(file, rng, h5py.Group)}/again"] = file[str(rng.choice(["/", _some(file, rng, h5py.Group)]))]


def _two_places(file: h5py.File, rng: Rng) -> None:
    name, other = rng.choice(_names(file, h5py.Dataset), size=2, replace=False)
    del file[name]
    file[name] = file[other]


def _nested(file: h5py.File, rng: Rng) -> None:
    group = file[_some(file, rng, h5py.Group)]
    for _ in range(300):
        group = group.create_group("d")


def _maze(file: h5py.File, rng: Rng) -> None:
    group = file[_some(file, rng, h5py.Group)]
    for _ in range(40):
        inner = group.create_group("a")
        group["b"] = group["c"] = inner
        group = inner


def _attributes(file: h5py.File, rng: Rng) -> None:
    item = file[_some(file, rng, h5py.HLObject)]
    for number in range(150):
        item.attrs[f"more{number}"] = rng.random(900)


def _attribute(file: h5py.File, rng: Rng) -> None:
    items = [file[name] for name in _names(file, h5py.HLObject) if file[name].attrs] or [file]
    item = items[int(rng.integers(len(items)))]
    name = str(rng.choice(list(item.attrs) or ["dt"]))
    values = [np.nan, -1, 2**62, "text", b"\xff\xfe", np.zeros(4), h5py.Empty("i4"), "\x1b[31m", "{" * 5000, np.inf]
    item.attrs[name] = values[int(rng.integers(len(values)))]


def _no_attributes(file: h5py.File, rng: Rng) -> None:
    items = [file[name] for name in _names(file, h5py.HLObject) if file[name].attrs] or [file]
    items[int(rng.integers(len(items)))].attrs.clear()


LAYOUT = (
    *(_delete, _delete_group, _rename, _exchange, _add, _dtype, _shape, _text, _value, _group_for_array),
    *(_array_for_group, _absurd, _absurd_contiguous, _link, _external, _virtual, _cycle, _two_places, _nested),
    *(_maze, _attributes, _attribute, _no_attributes),
)


# Sound files.


def _record(steps: int, rng: Rng, layout: RolloutLayout, cameras: bool) -> EpisodeRecord:
    rewards = rng.random(steps)
    images = {name: rng.integers(0, 9, (steps + 1, 64, 64, 3)).astype(np.uint8) for name in CAMERAS if cameras}
    return EpisodeRecord(
        *(rng.standard_normal((steps + 1, layout.obs_size)), *rng.standard_normal((2, steps, layout.act_size))),
        *(rewards, rng.random(steps), rng.standard_normal(steps)),
        early_termination=bool(rng.random() < 0.5),
        episode_return=float(rewards.sum()), norm_return=float(rng.random()), norm_length=1.0, cameras=images,
    )  # fmt: skip


def _write_rollouts(path: Path, snippets: list[str], *, cameras: bool = False) -> Path:
    layout = RolloutLayout({"walker/body_height": 1, "walker/joints_pos": 4, "walker/world_zaxis": 3}, (1, 2), 1, 1, 5)
    rng = np.random.default_rng(0)
    with RolloutWriter(path, layout, snippets, {"seed": 3, "config": json.dumps({"act_noise": 0.1})}) as writer:
        for snippet in snippets:
            for slot in range(layout.episodes):
                writer.add(snippet, slot, _record(2 if cameras else 9, rng, layout, cameras))
    return path


def _unsealed(path: Path) -> Path:
    with h5py.File(path, "r+") as file:
        for name in ["/", *_names(file, h5py.Group)]:
            file[name].attrs.clear()
        del file["stats/act_count"]
    return path


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Source]:
    """Sound files of every kind, ours and, where the test data are there, published ones."""
    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

    folder = tmp_path_factory.mktemp("sound")
    write_clips(folder / "demo.h5", [demo("demo_reach"), demo("demo_squat")])
    rollouts = _write_rollouts(folder / "dataset" / "walk.hdf5", ["walk-0-9"])
    write_metrics(folder / "dataset")
    ends = [SimpleNamespace(episode_return=1.0, length=9, norm_return=0.5, norm_length=0.9) for _ in range(3)]
    EvaluationHistory.of(100, ends).extended(200, ends).save(folder / EVALUATIONS_FILE)
    policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(8,))
    model = write_model(folder / RSI_MODEL, policy)
    ours = [
        *(rollouts, rollouts, rollouts, _write_rollouts(folder / "filmed.hdf5", ["run-0-9"], cameras=True)),
        *(folder / "demo.h5", folder / "dataset" / METRICS_FILE, folder / EVALUATIONS_FILE, model),
    ]
    # Mocap files carry no checksums: dm_control's layout has no place for them.
    found = [Source(path, path.suffix != ".h5", _metadata(path)) for path in ours]
    others = [_unsealed(_write_rollouts(folder / "others.hdf5", ["walk-0-9"])), *_published()]
    return [*found, *(Source(path, False, _metadata(path)) for path in others)]


def _published() -> list[Path]:
    root = Path(os.environ.get("MOCAPACT_TEST_DATA") or Path(__file__).resolve().parents[4] / "shared") / "published"
    names = ("cmu_test_2020.h5", "dataset_cameras/CMU_902_01.hdf5", "dataset/dataset_metrics.npz")
    return [root / name for name in names if (root / name).is_file()]


@dataclass(frozen=True)
class Case:
    """One damaged file."""

    number: int
    name: str
    source: Source
    path: Path


def _damaged(sources: list[Source], folder: Path, numbers: range) -> Iterator[Case]:
    """Write one damaged file after the other; each stands until the next is asked for."""
    for number in numbers:
        rng = np.random.default_rng([SEED, number])
        source = sources[number % len(sources)]
        by_bytes = not source.is_hdf5 or number // len(sources) % 3
        damage: Any = (BYTES if by_bytes else LAYOUT)[int(rng.integers(len(BYTES if by_bytes else LAYOUT)))]
        path = folder / f"{number}{source.path.suffix}"
        if by_bytes:
            content = bytearray(source.path.read_bytes())
            damage(content, source, rng)
            path.write_bytes(content)
        else:
            shutil.copyfile(source.path, path)
            with h5py.File(path, "r+") as file:
                damage(file, rng)
        yield Case(number, damage.__name__, source, path)
        path.unlink()


def _judge_refusal(refused: InvalidInputError, case: Case, label: str) -> str:
    assert str(case.path) in refused.message, label
    assert refused.message.isprintable(), label
    assert "defect" not in refused.hint, f"{label}: {refused.message}"
    ends = {"crashed": "crashed", "without an end": "hung"}
    return next((name for words, name in ends.items() if words in refused.message), "refused")


def _judge(case: Case, process: GuardedProcess, sound: dict[Path, Any]) -> str:
    """Say how a damaged file ended, or fail."""
    label = f"{case.name} of {case.source.path.name}, number {case.number} of seed {SEED}"
    try:
        process.call(INSPECT, {"path": str(case.path), "tree": case.number % 2 == 0, "check": True})
    except InvalidInputError as refused:
        return _judge_refusal(refused, case, label)
    except Exception as error:
        raise AssertionError(label) from error
    if case.source.ours:
        assert process.call("contents_of:contents", {"path": str(case.path)}) == sound[case.source.path], label
    return "unharmed"


@pytest.mark.parametrize(
    "numbers", [range(FILES), pytest.param(range(FILES, FILES + MORE_FILES), marks=pytest.mark.slow)], ids=str
)
def test_damaged_files_end_in_one_message_or_were_left_sound(
    sources: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, numbers: range
) -> None:
    (tmp_path / "contents_of.py").write_text(HELPER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
    outcomes: Counter[str] = Counter()
    with GuardedProcess(timeout_s=10) as process:
        sound = {source.path: process.call("contents_of:contents", {"path": str(source.path)}) for source in sources}
        for source in sources:
            process.call(INSPECT, {"path": str(source.path), "check": True})
        for case in _damaged(sources, tmp_path, numbers):
            outcomes[_judge(case, process, sound)] += 1
    assert sum(outcomes.values()) == len(numbers) >= 100
    assert outcomes["refused"] > len(numbers) / 2
    # HDF5 does hang and crash on a few; more would mean that the child dies of something else.
    assert outcomes["hung"] + outcomes["crashed"] < len(numbers) / 50
