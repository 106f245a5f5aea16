"""A server in Hugging Face's layout that also takes commits: repositories are made, large files stored by LFS."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from http_server import Request, Served, Server
from hub import COMMIT, Hub

USER = "me"


class WritableHub(Hub):
    """Repositories that may be written with the token.

    Attributes:
        repositories: Name (with `datasets/` for one of data) -> whether it is private.
        messages: Those of the commits. stored: Contents by SHA-256, as they came.
        large: Bytes above which a file is stored by LFS.
    """

    def __init__(self, server: Server, storage: Server) -> None:
        super().__init__(server, storage)
        self.token, self.large = "hf_thetokenofthetest", 2000
        self.repositories: dict[str, bool] = {}
        self.messages: list[str] = []
        self.stored: dict[str, bytes] = {}

    def files(self, repository: str) -> dict[str, bytes]:
        """What a repository holds."""
        return self._files.get(repository, {})

    def _answer(self, request: Request, path: str) -> Served | None:
        if request.headers.get("Authorization", request.headers.get("authorization")) != f"Bearer {self.token}":
            return Served(status=401, headers={"X-Error-Message": "Invalid credentials in Authorization header"})
        for pattern, act in (
            (r"api/whoami-v2", lambda: {"name": USER, "type": "user"}),
            (r"api/validate-yaml", lambda: {"errors": [], "warnings": []}),
            (r"api/repos/create", lambda: self._create(json.loads(request.body))),
            (r"api/(models|datasets)/([^/]+/[^/]+)", self._info),
            (r"api/(models|datasets)/([^/]+/[^/]+)/preupload/main", self._preupload),
            (r"api/(models|datasets)/([^/]+/[^/]+)/commit/main", self._commit),
            (r"(datasets/|)([^/]+/[^/]+)\.git/info/lfs/objects/batch", self._batch),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                answer = act() if not found.groups() else act(_name(found[1], found[2]), request)
                return answer if isinstance(answer, Served) or answer is None else _json(answer)
        return super()._answer(request, path)

    def _create(self, asked: dict[str, Any]) -> Any:
        owner, kind = asked.get("organization") or USER, asked.get("type", "model")
        name = _name(f"{kind}s", f"{owner}/{asked['name']}")
        if owner != USER:
            return Served(status=403, headers={"X-Error-Message": "You don't have the rights"})
        if name in self.repositories:
            return Served(json.dumps({"url": f"{self.url}/{name}"}).encode(), status=409)
        self.repositories[name] = asked.get("visibility") == "private" or bool(asked.get("private"))
        self._files.setdefault(name, {})
        return {"url": f"{self.url}/{name}", "name": name}

    def _info(self, name: str, request: Request) -> Any:
        if name not in self.repositories:
            return Served(status=404, headers={"X-Error-Code": "RepoNotFound"})
        return {"id": name.removeprefix("datasets/"), "private": self.repositories[name], "sha": COMMIT, "tags": []}

    def _preupload(self, name: str, request: Request) -> Any:
        asked = json.loads(request.body)["files"]
        modes = {file["path"]: "lfs" if file["size"] > self.large else "regular" for file in asked}
        return {"files": [{"path": path, "uploadMode": mode, "shouldIgnore": False} for path, mode in modes.items()]}

    def _batch(self, name: str, request: Request) -> Any:
        actions = [
            {**wanted, "actions": {"upload": {"href": f"{self.storage.url}/put/{wanted['oid']}"}}}
            for wanted in json.loads(request.body)["objects"]
        ]
        return {"transfer": "basic", "objects": actions}

    def _stored(self, request: Request, path: str) -> Served | None:
        if request.method != "PUT":
            return super()._stored(request, path)
        assert "authorization" not in {name.lower() for name in request.headers}
        digest = path.removeprefix("put/")
        assert hashlib.sha256(request.body).hexdigest() == digest
        self.stored[digest] = request.body
        return Served(b"{}")

    def _commit(self, name: str, request: Request) -> Any:
        files: dict[str, bytes] = {}
        for line in request.body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                self.messages.append(value["summary"])
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = self.stored[value["oid"]]
                assert len(files[value["path"]]) == value["size"]
        self._files[name] |= files
        return {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.url}/{name}/commit/{COMMIT}"}


def _name(kind: str, repository: str) -> str:
    return f"datasets/{repository}" if kind.startswith("dataset") else repository


def _json(value: Any) -> Served:
    return Served(json.dumps(value).encode(), headers={"Content-Type": "application/json"})
