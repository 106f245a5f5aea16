from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.evaluation import tarball_facts
from mocapact_cli.core.evaluation.inspection import inspect_path
from mocapact_cli.core.evaluation.tarball_facts import inspect_tarball

FILES = {
    "small/CMU_016_22.hdf5": 100,
    "experts/CMU_016_22-0-82/0/eval_rsi/model/best_model.zip": 30,
    "experts/CMU_016_22-0-82/0/eval_rsi/evaluations.npz": 20,
    "experts/CMU_040_12-0-19/flags.txt": 5,
    "gpt.ckpt": 7,
}


def pack(path: Path, files: dict[str, int], links: tuple[tuple[str, bytes, str], ...] = ()) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as archive:
        for name, size in files.items():
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
        for name, kind, target in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz"])
def test_members_are_grouped_by_kind_and_by_snippet(tmp_path: Path, name: str) -> None:
    found = inspect_path(pack(tmp_path / name, FILES))
    assert (found["kind"], found["files"], found["unpacked_bytes"], found["complete"]) == ("tarball", 5, 162, True)
    assert {row["kind"]: (row["files"], row["bytes"]) for row in found["holds"]} == {
        "rollouts": (1, 100), "models": (1, 30), "metrics": (1, 20), "texts": (1, 5), "checkpoints": (1, 7),
    }  # fmt: skip
    assert {row["group"]: row["files"] for row in found["groups"]} == {
        "CMU_016_22": 1, "CMU_016_22-0-82": 2, "CMU_040_12-0-19": 1, ".": 1,
    }  # fmt: skip
    assert found["flagged"] == []
    assert [row["path"] for row in inspect_path(tmp_path / name, tree=True)["tree"]] == list(FILES)


def test_members_that_must_not_be_unpacked_are_named(tmp_path: Path) -> None:
    names = {"../up.txt": 1, "/etc/passwd": 1, "C:/x": 1, "a/../../b": 1, "a\\..\\..\\c": 1, "fine..txt": 1}
    links = (("soft", tarfile.SYMTYPE, "/etc"), ("hard", tarfile.LNKTYPE, "a"), ("pipe", tarfile.FIFOTYPE, ""))
    before = set(tmp_path.parent.rglob("*"))
    found = inspect_tarball(pack(tmp_path / "evil.tar", names, links))
    reasons = {row["path"]: row["reason"] for row in found["flagged"]}
    assert set(reasons) == {*names, "soft", "hard", "pipe"} - {"fine..txt"}
    assert reasons["/etc/passwd"] == "absolute path"
    assert reasons["soft"] == "link to /etc"
    assert set(tmp_path.parent.rglob("*")) - before == {tmp_path / "evil.tar"}


def test_compressed_tarballs_are_unpacked_only_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball_facts, "UNPACKED_LIMIT", 10_000)
    path = pack(tmp_path / "large.tar.gz", {f"a/{number}.hdf5": 4_000 for number in range(9)})
    some, all_of_it = inspect_tarball(path), inspect_tarball(path, whole=True)
    assert not some["complete"]
    assert 1 <= some["files"] < 5
    assert (all_of_it["complete"], all_of_it["files"]) == (True, 9)
    monkeypatch.setattr(tarball_facts, "MEMBER_LIMIT", 3)
    limited = inspect_tarball(path, whole=True)
    assert (limited["complete"], limited["files"]) == (False, 3)


def test_headers_that_claim_absurd_sizes_are_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 31
    with gzip.open(tmp_path / "bomb.tar.gz", "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16))
    with pytest.raises(InvalidInputError, match="refused"):
        inspect_tarball(tmp_path / "bomb.tar.gz", whole=True)


@pytest.mark.parametrize("cut", [0, 1, 10, 60, 120])
@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_truncated_tarballs_end_in_one_line(tmp_path: Path, name: str, cut: int) -> None:
    path = pack(tmp_path / name, {f"{number}.txt": 3000 for number in range(9)})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidInputError) as refused:
        inspect_tarball(path)
    assert str(path) in refused.value.message
    assert "\n" not in refused.value.message
