"""Repositories on Hugging Face by plain HTTPS and its scheme of addresses.

`{endpoint}/datasets/{repository}/resolve/{revision}/{path}` (without `datasets/` for models) redirects to a signed
address of its storage; the redirect names the size (`X-Linked-Size`), the SHA-256 (`X-Linked-Etag`) and the commit
(`X-Repo-Commit`). As every request begins at the first address, a signature that has expired is simply replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from mocapact_cli.core.errors import AccessError, RunError
from mocapact_cli.core.remote import http_answers as answers
from mocapact_cli.core.remote.files import Checksum, RemoteFile, TransientError
from mocapact_cli.core.remote.http import HttpSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

ENDPOINT_VARIABLE, TOKEN_VARIABLE = "HF_ENDPOINT", "HF_TOKEN"
ENDPOINT = "https://huggingface.co"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NEXT = re.compile(r'<([^>]+)>;\s*rel="next"')
_LARGEST_LIST = 1 << 26
"""Bytes above which a page of a list of files makes no sense."""


def endpoint() -> str:
    """The server: `$HF_ENDPOINT`, else Hugging Face's."""
    return (os.environ.get(ENDPOINT_VARIABLE) or ENDPOINT).rstrip("/")


def token() -> str | None:
    """The user's token: `$HF_TOKEN`, else the one that `hf auth login` has stored; None where there is none."""
    given = os.environ.get(TOKEN_VARIABLE, "").strip()
    if given:
        return given
    folder = Path(os.environ.get("HF_HOME") or Path("~", ".cache", "huggingface")).expanduser()
    try:
        return Path(os.environ.get("HF_TOKEN_PATH") or folder / "token").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


class HuggingFaceSource(HttpSource):
    """The files of one repository, all of one commit: that of the first answer.

    Args:
        repository: `owner/name`.
        kind: What it is a repository of.
        revision: Branch, tag or commit.
    """

    def __init__(self, repository: str, kind: Literal["dataset", "model"], revision: str = "main") -> None:
        self._endpoint, self._token = endpoint(), token()
        self._folder = f"datasets/{repository}" if kind == "dataset" else repository
        self._api = f"{self._endpoint}/api/{kind}s/{repository}/tree"
        self._revision = revision
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        super().__init__(f"{self._endpoint}/{self._folder}", headers=headers)

    @property
    def revision(self) -> str:
        """The commit, once an answer has named it."""
        return self._revision

    def url(self, name: str) -> str:
        """The address that redirects to a file."""
        return super().url(f"resolve/{self._revision}/{name.lstrip('/')}")

    def condition(self, file: RemoteFile) -> dict[str, str]:  # noqa: ARG002 - the signature is the base's
        """None: a commit never changes, and the storage behind the redirect has ETags of its own."""
        return {}

    def version(self, response: requests.Response) -> str | None:
        """The version that an answer is of, which the redirect names."""
        headers = _first_with(response, "X-Linked-Etag") or _first_with(response, "ETag")
        return None if headers is None else _bare(headers.get("X-Linked-Etag") or headers["ETag"])

    def describe(self, name: str, response: requests.Response) -> RemoteFile:
        """What an answer says of a file."""
        self._pin(response)
        linked = _first_with(response, "X-Linked-Etag")
        if linked is None:
            return RemoteFile(name, answers.total(response), self.version(response))
        size = linked.get("X-Linked-Size", "")
        return _described(name, int(size) if size.isdecimal() else answers.total(response), linked["X-Linked-Etag"])

    def _pin(self, response: requests.Response) -> None:
        named = _first_with(response, "X-Repo-Commit")
        if named is not None and _COMMIT.fullmatch(named["X-Repo-Commit"]):
            self._revision = named["X-Repo-Commit"]

    def files(self, prefix: str) -> Iterator[RemoteFile]:
        """All files below a folder, given with or without a slash at its end.

        Raises:
            NotFoundError: There is no such folder or repository.
            AccessError: The repository is not open to this user.
            TransientError: The connection broke off.
            RunError: The answer is not a list of files.
        """
        address = f"{self._api}/{self._revision}/{quote(prefix.strip('/'))}?recursive=true"
        found: list[RemoteFile] = []
        while address:
            page, address = self._page(address)
            found += [_listed(entry) for entry in page if entry.get("type") == "file"]
        yield from sorted(found, key=lambda file: file.name)

    def _page(self, address: str) -> tuple[list[dict[str, Any]], str]:
        """One page of a list, and the address of the next; empty where there is none."""
        if urlsplit(address).netloc != urlsplit(self._endpoint).netloc:
            raise RunError(f"{self.label} continues its list of files on another host.", hint="Check HF_ENDPOINT.")
        lists = _ListOfFiles(address, self)
        with contextlib.closing(lists.send("GET", "")) as response:
            text = self.body(response, "its list of files", _LARGEST_LIST)
            following = _NEXT.search(response.headers.get("Link", ""))
        try:
            page = json.loads(text)
        except ValueError:
            page = None
        if not isinstance(page, list) or not all(isinstance(entry, dict) for entry in page):
            raise RunError(f"{self.label} sent no list of its files.", hint="Check HF_ENDPOINT.")
        return page, following[1] if following else ""

    def _failure(self, name: str, response: requests.Response) -> Exception:
        elsewhere = urlsplit(response.url).netloc != urlsplit(self._endpoint).netloc
        if response.history and elsewhere and response.status_code in (400, 401, 403):
            # The signature of the storage's address ran out; the next attempt gets another.
            return TransientError(f"the storage of {self.label} refuses {name}")
        return super()._failure(name, response)

    def refused(self, name: str, response: requests.Response) -> AccessError:  # noqa: ARG002 - it is the repository
        """The error for 401 and 403: gated, private, misspelt, or a token that is no longer good."""
        why = response.headers.get("X-Error-Code", "")
        about = f"HTTP {response.status_code}{f', {why}' if why else ''}"
        if self._token:
            hint = f"The token in {TOKEN_VARIABLE} (or stored by `hf auth login`) is wrong, expired or may not read it"
        else:
            hint = f"Set {TOKEN_VARIABLE} to a token of an account that may read it"
        return AccessError(
            f"{self.label} refuses access ({about}).",
            hint=f"{hint}; where it asks for terms to be accepted, do so at {self.label}.",
        )


class _ListOfFiles(HttpSource):
    """One page of a repository's list of files, refused in the repository's words."""

    def __init__(self, address: str, repository: HuggingFaceSource) -> None:
        super().__init__(address, repository.label, headers=repository.headers(""))
        self._repository = repository

    def refused(self, name: str, response: requests.Response) -> AccessError:
        return self._repository.refused(name, response)


def _first_with(response: requests.Response, header: str) -> Mapping[str, str] | None:
    """The headers of the first answer on the way through redirects that has a header."""
    return next((one.headers for one in (*response.history, response) if header in one.headers), None)


def _bare(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')


def _described(name: str, size: int | None, tag: str) -> RemoteFile:
    version = _bare(tag)
    return RemoteFile(name, size, version, Checksum("sha256", version) if _SHA256.fullmatch(version) else None)


def _listed(entry: Mapping[str, Any]) -> RemoteFile:
    large = entry.get("lfs")
    known = large if isinstance(large, dict) else entry
    size = known.get("size")
    return _described(str(entry.get("path", "")), size if isinstance(size, int) else None, str(known.get("oid", "")))
