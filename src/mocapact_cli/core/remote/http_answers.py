"""What the headers of an HTTP answer say of a file: size, version, range and checksum."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Literal

from mocapact_cli.core.remote.files import Checksum, RemoteFile

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

# Bytes as they lie there: a compressed answer has another length, and no ranges of the file.
ASKED = {"Accept-Encoding": "identity", "User-Agent": "mocapact", "Accept": "*/*"}
"""Headers of every request."""

_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_DIGEST_BYTES = {"md5": 16, "sha256": 32}


def version(headers: Mapping[str, str]) -> str | None:
    """The strong ETag, else the time of the last change; RFC 9110 takes either in `If-Range`."""
    tag = headers.get("ETag", "").strip()
    return tag if tag.startswith('"') else headers.get("Last-Modified")


def total(response: requests.Response) -> int | None:
    """The size of the whole file, whether the answer is the file, a range of it or the refusal of one."""
    if response.status_code in (206, 416):
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        return int(found[3]) if found and found[3] != "*" else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def range_of(response: requests.Response) -> tuple[int | None, int | None]:
    """The first and the last byte that a partial answer holds; None where it does not say."""
    found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (int(found[1]), int(found[2])) if found and found[1] else (None, None)


def describe(name: str, response: requests.Response) -> RemoteFile:
    """What an answer to HEAD, or to a GET of one byte, says of the file."""
    return RemoteFile(name, total(response), version(response.headers), checksum(response))


def checksum(response: requests.Response) -> Checksum | None:
    """The checksum of the whole file by RFC 9530, or as Azure and Google's storage put it; None where there is none."""
    headers = response.headers
    # Of a partial answer it would be that of the part.
    whole = headers.get("Content-MD5", "") if response.status_code == 200 else ""
    by_name = {**_listed(headers.get("x-goog-hash", "")), **_listed(headers.get("Repr-Digest", ""))}
    found = [by_name.get("sha-256", ""), headers.get("x-ms-blob-content-md5", ""), whole, by_name.get("md5", "")]
    known = [_decoded("sha256", found[0]), *(_decoded("md5", text) for text in found[1:])]
    return next((one for one in known if one is not None), None)


def _listed(text: str) -> dict[str, str]:
    """Read `crc32c=AAAA==,md5=BBBB==` and `sha-256=:CCCC=:`."""
    pairs = (part.strip().partition("=") for part in text.split(","))
    return {name.lower(): value.strip(":") for name, _, value in pairs}


def _decoded(algorithm: Literal["md5", "sha256"], text: str) -> Checksum | None:
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return Checksum(algorithm, digest.hex()) if len(digest) == _DIGEST_BYTES[algorithm] else None
