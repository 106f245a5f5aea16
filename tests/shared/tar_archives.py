"""Archives for the tests, packed in the ways that people pack them."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Entry(NamedTuple):
    """A member: a file unless `type` says otherwise."""

    name: str
    content: bytes = b""
    type: bytes = tarfile.REGTYPE
    link: str = ""


def content(size: int, seed: int = 0) -> bytes:
    """Bytes of which about half can be compressed, as in published files."""
    generator = np.random.default_rng(seed)
    walk = np.round(np.cumsum(generator.normal(size=size // 8 + 1)), 2).astype(np.float32).tobytes()
    return (walk + generator.bytes(size // 2 + 8))[:size]


def tar(entries: Iterable[Entry | tuple[str, bytes]], format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    """An archive that is not compressed."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=format) as archive:
        for entry in (Entry(*one) for one in entries):
            info = tarfile.TarInfo(entry.name)
            info.type, info.linkname, info.size = entry.type, entry.link, len(entry.content)
            archive.addfile(info, io.BytesIO(entry.content))
    return output.getvalue()


def zipped(data: bytes, level: int = 6) -> bytes:
    """One gzip member, as `tar czf` makes it."""
    return gzip.compress(data, level, mtime=0)


def blocked(data: bytes, size: int) -> bytes:
    """Many gzip members, as `bgzip` and `cat a.gz b.gz` make them."""
    return b"".join(zipped(data[begin : begin + size]) for begin in range(0, len(data), size))


def flushed(data: bytes, size: int) -> bytes:
    """One gzip member whose blocks are flushed to whole bytes, as `pigz` makes it."""
    compressor = zlib.compressobj(6, wbits=31)
    parts = (data[begin : begin + size] for begin in range(0, len(data), size))
    return (
        b"".join(compressor.compress(part) + compressor.flush(zlib.Z_SYNC_FLUSH) for part in parts) + compressor.flush()
    )
