"""Files behind plain HTTP: one attempt at a time, every answer checked, and no secret in any message."""

from __future__ import annotations

import contextlib
import os
import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth

from mocapact_cli.core.errors import AccessError, NotFoundError, RunError, UsageError
from mocapact_cli.core.remote import http_answers as answers
from mocapact_cli.core.remote import http_failures as failures
from mocapact_cli.core.remote.files import ChangedError, RangeUnsupportedError, RemoteFile, TransientError
from mocapact_cli.core.remote.secrets import check_sas_expiry, guard_logs, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OFFLINE_VARIABLE = "MOCAPACT_OFFLINE"

_PIECE = 1 << 18
_CONNECTIONS = 64
_CONNECT_S = 15.0
_SILENCE_S = 60.0
"""Longest silence of a server, in seconds."""
_SLOWEST = 512.0
"""Bytes a second below which a connection counts as stuck."""
_PUBLIC = {*map(str.lower, answers.ASKED), "range", "if-range", "if-match", "connection"}
"""Headers that any host may see."""


class HttpSource:
    """Files below one URL; the base of sources that speak HTTP in a way of their own.

    Those override `url`, `headers`, `describe`, `version` or `refused`. It may be used
    from several threads. Proxies come from the environment, as for every program.

    Args:
        base_url: `http` or `https`; user and password, and a query such as a shared access signature, go with every
            request.
        label: How the source is called in messages; None: the URL without its secrets.
        headers: Sent with every request, such as `Authorization`; not to other hosts that it redirects to.
        silence_s: Seconds without a byte after which an attempt fails.
        clock: Seconds, for the speed of a connection.

    Raises:
        UsageError: The URL is not one of HTTP.
    """

    def __init__(
        self,
        base_url: str,
        label: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        silence_s: float = _SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.label = label or without_secrets(base_url).rstrip("/")
        parts = _split(base_url, self.label)
        self._parts = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
        self._headers = dict(headers or {})
        self._connect_s, self._silence_s, self._clock = _CONNECT_S, silence_s, clock
        self._session = _Session(_credentials(parts.username, parts.password))
        guard_logs()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"

    def hurry(self, connect_s: float, silence_s: float) -> None:
        """Give up on the server earlier than usual.

        Args:
            connect_s: Seconds that a connection may take.
            silence_s: Seconds without a byte.
        """
        self._connect_s, self._silence_s = connect_s, silence_s

    def url(self, name: str) -> str:
        """The address of a file, with whatever secrets it needs."""
        path = "/".join(filter(None, (self._parts.path.rstrip("/"), quote(name.lstrip("/")))))
        return urlunsplit(self._parts._replace(path=path))

    def headers(self, name: str) -> dict[str, str]:  # noqa: ARG002 - for those that need it
        """What is sent with every request for a file."""
        return dict(self._headers)

    def version(self, response: requests.Response) -> str | None:
        """The version that an answer to a GET is of; None where it says nothing."""
        return answers.version(response.headers)

    def condition(self, file: RemoteFile) -> dict[str, str]:
        """The headers that ask for a range only if the file has not changed."""
        return {} if file.version is None else {"If-Range": file.version}

    def describe(self, name: str, response: requests.Response) -> RemoteFile:
        """What an answer to HEAD, or to a GET of one byte, says of the file."""
        return answers.describe(name, response)

    def refused(self, name: str, response: requests.Response) -> AccessError:
        """The error for 401 and 403; one whose signature has expired in the meantime raises that by itself."""
        check_sas_expiry(self.url(name))
        return AccessError(
            f"{self.label} refuses access to {name} (HTTP {response.status_code}).",
            hint="Check the address, and the token or signature in it.",
        )

    def stat(self, name: str) -> RemoteFile:
        """The present version of one file, by HEAD or, from servers that do not answer that well, by one byte of it."""
        try:
            with contextlib.closing(self.send("HEAD", name)) as response:
                found = self.describe(name, response)
            if found.size is not None:
                return found
        except (AccessError, RunError):
            # Signed addresses are often good for GET alone; that says what is really wrong.
            pass
        return self._stat_by_get(name)

    def _stat_by_get(self, name: str) -> RemoteFile:
        # An empty file has no first byte, which is what 416 says then.
        with contextlib.closing(self.send("GET", name, {"Range": "bytes=0-0"}, good=(200, 206, 416))) as response:
            return self.describe(name, response)

    def files(self, prefix: str) -> Iterator[RemoteFile]:
        """Nothing: HTTP has no lists of files.

        Raises:
            RunError: Always.
        """
        raise RunError(f"{self.label} has no list of its files under {prefix or '/'}.", hint="Name the files.")

    def read(self, file: RemoteFile, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes of a range; see `mocapact_cli.core.remote.files.Source`."""
        if start == (stop if stop is not None else file.size):
            return
        partial = start > 0 or stop is not None
        asked = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}", **self.condition(file)}
        with contextlib.closing(self.send("GET", file.name, asked if partial else {})) as response:
            self._check(file, start, stop, response)
            yield from self._body(file, response, _length(file, start, stop))

    def send(
        self, method: str, name: str, more: Mapping[str, str] | None = None, *, good: tuple[int, ...] = (200, 206)
    ) -> requests.Response:
        """The server's answer to one request, if its status is a good one; its body is still to be read.

        Raises:
            TransientError: The server is busy, or the connection failed.
            NotFoundError: It has no such file.
            AccessError: It refuses, or the signature has expired.
            ChangedError: The file is another version now.
            RunError: Nothing that another attempt would mend.
        """
        url = self.url(name)
        check_sas_expiry(url)
        response = self._answer(method, url, {**answers.ASKED, **self.headers(name), **(more or {})})
        if response.status_code not in good:
            response.close()
            raise self._failure(name, response)
        return response

    def body(self, response: requests.Response, what: str, limit: int) -> bytes:
        """Return the body of a small answer, such as a list of files, decoded.

        Args:
            response: From `send`.
            what: What it is, for messages.
            limit: Bytes that are read at most.

        Raises:
            TransientError: The connection broke off.
        """
        try:
            return bytes(response.raw.read(limit, decode_content=True))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            failure = failures.of_body(error, f"{self.label} broke off {what}")
        raise failure

    def _answer(self, method: str, url: str, headers: Mapping[str, str]) -> requests.Response:
        check_online(self.label)
        try:
            return self._session.request(
                method,
                url,
                headers=headers,
                # An answer to HEAD is complete as it is, and its connection free for the next request.
                stream=method != "HEAD",
                allow_redirects=True,
                timeout=(self._connect_s, self._silence_s),
            )
        except requests.RequestException as error:
            failure = failures.of_request(error, self.label)
        # Not inside the block: the library's exception holds the whole address, signature and all, and would be
        # chained to this one.
        raise failure

    def _failure(self, name: str, response: requests.Response) -> Exception:
        status = response.status_code
        if status in (404, 410):
            return NotFoundError(f"{self.label} has no {name}.", hint="Check the name, or try another source.")
        if status in (401, 403):
            return self.refused(name, response)
        if status in (412, 416):
            return ChangedError(f"{name} has changed at {self.label}")
        return failures.of_status(response, f"{self.label} answers {status} for {name}")

    def _check(self, file: RemoteFile, start: int, stop: int | None, response: requests.Response) -> None:
        """See that an answer is the range, of the version, that was asked for."""
        version, total = self.version(response), answers.total(response)
        if _differ(version, file.version) or _differ(total, file.size):
            raise ChangedError(f"{file.name} has changed at {self.label}")
        if response.status_code == 200:
            if start > 0:
                raise RangeUnsupportedError(f"{self.label} sends {file.name} only from its beginning")
            return
        first, last = answers.range_of(response)
        if first != start or last is None or (stop is not None and last >= stop):
            raise TransientError(f"{self.label} sent other bytes of {file.name} than were asked for")

    def _body(self, file: RemoteFile, response: requests.Response, length: int | None) -> Iterator[bytes]:
        """Yield the body as it was sent, never decoded, and never more or less than `length` bytes."""
        got, window, since = 0, 0, self._clock()
        while length is None or got < length:
            piece = self._piece(file, response)
            if not piece:
                break
            piece = piece if length is None else piece[: length - got]
            got, window, now = got + len(piece), window + len(piece), self._clock()
            if now - since > self._silence_s:
                if window < _SLOWEST * (now - since) and got != length:
                    raise TransientError(f"{self.label} has almost stopped sending {file.name}")
                window, since = 0, now
            yield piece
        if length is not None and got < length:
            raise TransientError(f"{self.label} broke off {file.name} after {got:,} of {length:,} bytes")

    def _piece(self, file: RemoteFile, response: requests.Response) -> bytes:
        try:
            # What has come, without waiting for more: a connection that drops then costs nothing that was received.
            return response.raw.read1(_PIECE, decode_content=False) or b""
        except (urllib3.exceptions.HTTPError, OSError) as error:
            failure = failures.of_body(error, f"{self.label} broke off {file.name}")
        raise failure


def is_offline() -> bool:
    """Whether the user has switched the network off."""
    return os.environ.get(OFFLINE_VARIABLE, "") not in ("", "0")


def check_online(label: str) -> None:
    """See that the network may be used; `label` is what would be asked.

    Raises:
        RunError: The user has switched it off.
    """
    if is_offline():
        raise RunError(f"{label} was not asked: {OFFLINE_VARIABLE} is set.", hint="Unset it to go online.")


class _Session(requests.Session):
    """Connections that are kept, and nothing else, so that threads may share them.

    Args:
        credentials: User and password.
    """

    def __init__(self, credentials: HTTPBasicAuth | None) -> None:
        super().__init__()
        # With something here a .netrc is not looked at, which would replace the header with the token.
        self.auth = credentials or (lambda request: request)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_connections=_CONNECTIONS, pool_maxsize=_CONNECTIONS))

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Send another host that a server redirects to none of the headers that were meant for this one."""
        before, after = str(response.request.url), str(prepared_request.url)
        if before.startswith("https:") and not after.startswith("https:"):
            raise RunError(
                f"{urlsplit(before).hostname} redirects to an address without encryption.", hint="Check the address."
            )
        if self.should_strip_auth(before, after):
            for name in [name for name in prepared_request.headers if name.lower() not in _PUBLIC]:
                del prepared_request.headers[name]


def _split(base_url: str, label: str) -> SplitResult:
    with contextlib.suppress(ValueError):
        parts = urlsplit(base_url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts
    raise UsageError(f"{label} is not an HTTP address.", hint="It begins with https:// and names a host.")


def _credentials(user: str | None, password: str | None) -> HTTPBasicAuth | None:
    return None if user is None else HTTPBasicAuth(unquote(user), unquote(password or ""))


def _length(file: RemoteFile, start: int, stop: int | None) -> int | None:
    end = file.size if stop is None else stop
    return None if end is None else end - start


def _differ(found: object, expected: object) -> bool:
    return found is not None and expected is not None and found != expected
