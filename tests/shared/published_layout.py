"""A small copy of the published data: in the original layout, and as the archives that Hugging Face has of it."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from pathlib import Path

SNIPPETS = ("CMU_009_12-0-198", "CMU_009_12-165-363", "CMU_009_12-330-529", "CMU_016_22-0-82", "CMU_016_25-0-75")
CLIPS = ("CMU_009_12", "CMU_016_22", "CMU_016_25")
DATA, MODELS = "datasets/microsoft/mocapact-data", "microsoft/mocapact-models"


def original_layout() -> dict[str, bytes]:
    """Contents by path."""
    chance = random.Random(7)
    files: dict[str, bytes] = {}
    for snippet in SNIPPETS:
        clip, start, end = snippet.split("-")
        info = {"clip_id": clip, "start_step": int(start), "end_step": int(end)}
        files[f"experts/{snippet}/clip_info.json"] = json.dumps(info).encode()
        files[f"experts/{snippet}/eval_rsi/model/best_model.zip"] = chance.randbytes(30_000)
        files[f"experts/{snippet}/eval_rsi/model/vecnormalize.pkl"] = chance.randbytes(3_000)
    for size in ("small", "large"):
        for clip in CLIPS:
            files[f"dataset/{size}/{clip}.hdf5"] = chance.randbytes(50_000)
        files[f"dataset/{size}/dataset_metrics.npz"] = chance.randbytes(2_000)
    files["multiclip_policy/full_dataset/model/model.ckpt"] = chance.randbytes(20_000)
    files["transfer/go_to_target/general_low_level/eval/model/best_model.zip"] = chance.randbytes(9_000)
    files["gpt.ckpt"] = chance.randbytes(40_000)
    return files


def below(files: dict[str, bytes], folder: str, *parts: str) -> dict[str, bytes]:
    """The files of a folder, without its name; with `parts`, those whose path begins with one of them."""
    inside = {name.removeprefix(folder): content for name, content in files.items() if name.startswith(folder)}
    return {name: content for name, content in inside.items() if not parts or name.startswith(parts)}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Put files on disk."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """The files that are on disk, without those that begin with a dot."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {
        name.as_posix(): (folder / name).read_bytes()
        for name in found
        if not any(part.startswith(".") for part in name.parts)
    }


def tarball(files: dict[str, bytes]) -> bytes:
    """A `.tar.gz` of them."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), 1, mtime=0)


def hub_archives(files: dict[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Repository -> name -> content, as on Hugging Face: the experts by clip, two archives of everything large."""
    experts = {f"experts/{name.split('-')[0]}/{name}": content for name, content in below(files, "experts/").items()}
    first, second = below(experts, "experts/", "CMU_009"), below(experts, "experts/", "CMU_016")
    models = {
        "all/experts/experts_1.tar.gz": tarball(first),
        "all/experts/experts_2.tar.gz": tarball(second),
        "sample/experts.tar.gz": tarball(below(files, "experts/", "CMU_016_22")),
        "multiclip_policy.tar.gz": tarball(below(files, "", "multiclip_policy")),
        "transfer.tar.gz": tarball(below(files, "", "transfer")),
        "gpt.ckpt": files["gpt.ckpt"],
    }
    data = {"README.md": b"about"}
    for size in ("small", "large"):
        data[f"all/{size}/{size}_1.tar.gz"] = tarball(below(files, f"dataset/{size}/", "CMU_009"))
        data[f"all/{size}/{size}_2.tar.gz"] = tarball(below(files, f"dataset/{size}/", "CMU_016", "dataset_metrics"))
        data[f"sample/{size}.tar.gz"] = tarball(below(files, f"dataset/{size}/", "CMU_016_22"))
    return {DATA: data, MODELS: models}
