"""A server in Hugging Face's layout of addresses: lists of files, and redirects to a storage that wants a signature."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import parse_qs, unquote, urlsplit

from http_server import Request, Served, Server

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Repositories on one server, their large files on another.

    Attributes:
        server: answers for the repositories.
        storage: has the files; an address there is good for `uses` requests.
        refusals: repository -> status and X-Error-Code of all answers for it.
        token: what private repositories want; empty: none does.
        page: files in a page of a list.
    """

    def __init__(self, server: Server, storage: Server) -> None:
        self.server, self.storage = server, storage
        self.refusals: dict[str, tuple[int, str]] = {}
        self.token, self.page, self.uses = "", 1000, 1_000_000
        self._files: dict[str, dict[str, bytes]] = {}
        self._signatures: dict[str, int] = {}
        server.answer, storage.answer = self._answer, self._stored

    @property
    def url(self) -> str:
        """For HF_ENDPOINT."""
        return self.server.url

    def add(self, repository: str, name: str, content: bytes) -> None:
        """Put a file into a repository, named as in addresses: with `datasets/` for one of data."""
        self._files.setdefault(repository, {})[name] = content

    def _answer(self, request: Request, path: str) -> Served | None:
        found = re.fullmatch(r"(api/models/|api/)?(.+?)/(tree|resolve)/([^/]+)/?(.*)", path)
        if found is None or found[2] not in self._files:
            return None
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return Served(status=401, headers={"X-Error-Code": "GatedRepo"})
        if found[2] in self.refusals:
            status, code = self.refusals[found[2]]
            return Served(status=status, headers={"X-Error-Code": code})
        if found[4] not in ("main", COMMIT):
            return None
        files = self._files[found[2]]
        if found[3] == "tree":
            return self._tree(files, found[5], request.path)
        return self._resolved(found[2], found[5], files.get(found[5]))

    def _resolved(self, repository: str, name: str, content: bytes | None) -> Served | None:
        if content is None:
            return None
        signature = f"s{len(self._signatures)}"
        self._signatures[signature] = self.uses
        return Served(
            redirect=f"{self.storage.url}/{repository}/{name}?X-Amz-Signature={signature}",
            headers={
                "X-Linked-Size": str(len(content)),
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Repo-Commit": COMMIT,
            },
        )

    def _tree(self, files: dict[str, bytes], folder: str, address: str) -> Served | None:
        names = sorted(name for name in files if not folder or name.startswith(f"{folder}/"))
        if not names:
            return None
        start = int(parse_qs(urlsplit(address).query).get("cursor", ["0"])[0])
        entries = [
            {
                "type": "file",
                "path": name,
                "oid": hashlib.sha1(files[name]).hexdigest(),
                "size": len(files[name]),
                "lfs": {"oid": hashlib.sha256(files[name]).hexdigest(), "size": len(files[name]), "pointerSize": 134},
            }
            for name in names[start : start + self.page]
        ]
        more = f"{self.url}{urlsplit(address).path}?recursive=true&cursor={start + self.page}"
        headers = {"Link": f'<{more}>; rel="next"'} if start + self.page < len(names) else {}
        content = json.dumps([{"type": "directory", "path": "folder", "oid": "0"}, *entries]).encode()
        return Served(content, headers=headers)

    def _stored(self, request: Request, path: str) -> Served | None:
        assert "Authorization" not in request.headers, "the token must not go to another host"
        signature = parse_qs(urlsplit(request.path).query).get("X-Amz-Signature", [""])[0]
        if self._signatures.get(signature, 0) <= 0:
            return Served(status=403)
        self._signatures[signature] -= 1
        repository = next(name for name in self._files if path.startswith(f"{name}/"))
        content = self._files[repository][unquote(path.removeprefix(f"{repository}/"))]
        # Storage has ETags of its own, which say nothing of the content.
        return Served(content, etag=f'"{hashlib.md5(content).hexdigest()}-7"')
