"""A real HTTP server on this machine that serves bytes from memory, and fails as it is told to.

`Server` runs in threads of this process; `python http_server.py FILE` is one of its own process, for tests that kill.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

_PIECE = 16384


@dataclass
class Served:
    """One file.

    Attributes:
        content: its bytes.
        etag: with its quotes; empty: it has none.
        modified: the header Last-Modified; empty: it has none.
        headers: more of them, such as Content-MD5.
        redirect: where the server sends those who ask for it.
        status: answered instead of it; 0: it is.
    """

    content: bytes = b""
    etag: str = '"one"'
    modified: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    redirect: str = ""
    status: int = 0


@dataclass
class Fault:
    """What happens to one answer.

    Attributes:
        status: answered instead of the file; 0: the file is.
        headers: sent with it, such as Retry-After; they replace those that would be sent.
        cut: body bytes after which the connection drops; None: it does not.
        ignore_range: the whole file is sent, with 200.
        shift: added to the beginning of the range that is sent and named.
        bytes_per_s: of the body; 0: as fast as it goes.
        no_length: neither the length nor chunks say where the body ends; the connection does.
        hang_s: seconds before the answer.
        path: only requests whose path ends with this.
        methods: only these.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    ignore_range: bool = False
    shift: int = 0
    bytes_per_s: float = 0.0
    no_length: bool = False
    hang_s: float = 0.0
    path: str = ""
    methods: tuple[str, ...] = ("GET",)


@dataclass(frozen=True)
class Request:
    """One request that came, and the body bytes that were sent for it."""

    method: str
    path: str
    headers: dict[str, str]
    sent: list[int]
    status: list[int]
    body: bytes = b""


class Server:
    """The server.

    Attributes:
        files: by path without the leading slash; may be changed at any time.
        faults: happen once each, to the first request that they fit, in order.
        always: happens to every request that it fits, where none of the faults did.
        on_request: called with the method and the path before each answer.
        answer: what there is at a path; by default what `files` holds.
        requests: everything that was asked.
    """

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.on_request: Callable[[str, str], object] = lambda _method, _path: None
        self.answer: Callable[[Request, str], Served | None] = lambda _request, path: self.files.get(path)
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        server = self

        class Handler(_Handler):
            owner = server

        self._http = _Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Server:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def add(self, name: str, content: bytes, **more: object) -> Served:
        """Serve a file; its ETag is made from its content unless another one is given."""
        more.setdefault("etag", f'"{hashlib.sha256(content).hexdigest()[:16]}"')
        self.files[name] = Served(content, **more)
        return self.files[name]

    @property
    def served(self) -> int:
        """Body bytes that were sent for files."""
        return sum(request.sent[0] for request in self.requests)

    def asked(self, method: str = "GET") -> list[Request]:
        """The requests of one method."""
        return [request for request in self.requests if request.method == method]

    def fault_for(self, method: str, path: str) -> Fault:
        with self.lock:
            for fault in self.faults:
                if method in fault.methods and path.endswith(fault.path):
                    self.faults.remove(fault)
                    return fault
        always = self.always
        fits = always is not None and method in always.methods and path.endswith(always.path)
        return always if fits else Fault()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of what is tested."""


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _received(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self) -> None:
        owner, path = self.owner, unquote(urlsplit(self.path).path).lstrip("/")
        self.request_log = Request(self.command, self.path, dict(self.headers), [0], [0], self._received())
        with owner.lock:
            owner.requests.append(self.request_log)
        owner.on_request(self.command, path)
        fault = owner.fault_for(self.command, path)
        time.sleep(fault.hang_s)
        served = owner.answer(self.request_log, path)
        if fault.status or served is None:
            self._refuse(fault.status or 404, fault.headers)
        elif served.status:
            self._refuse(served.status, served.headers, served.content)
        elif served.redirect:
            self._refuse(302, {"Location": served.redirect, **served.headers})
        else:
            self._serve(served, fault)

    def _refuse(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        body = b"" if self.command == "HEAD" else content or b"a page that is not the file"
        self._head(status, {"Content-Length": str(len(body)), **headers})
        self.wfile.write(body)

    def _serve(self, served: Served, fault: Fault) -> None:
        content, headers = served.content, dict(served.headers)
        headers |= {"ETag": served.etag} if served.etag else {}
        headers |= {"Last-Modified": served.modified} if served.modified else {}
        headers |= {"Accept-Ranges": "bytes"}
        range_ = None if fault.ignore_range else self._range(served)
        if range_ is not None and range_[0] >= len(content):
            self._refuse(416, {"Content-Range": f"bytes */{len(content)}"})
            return
        status, start, stop = (200, 0, len(content)) if range_ is None else (206, *range_)
        start = min(start + fault.shift, stop)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        if not fault.no_length:
            headers["Content-Length"] = str(stop - start)
        self.close_connection = fault.no_length
        self._head(status, headers | fault.headers)
        if self.command != "HEAD":
            self._body(memoryview(content)[start:stop], fault)

    def _range(self, served: Served) -> tuple[int, int] | None:
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if found is None or condition not in (None, served.etag or served.modified):
            return None
        size = len(served.content)
        return int(found[1]), min(int(found[2]) + 1, size) if found[2] else size

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.request_log.status[0] = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _body(self, body: memoryview, fault: Fault) -> None:
        began = time.monotonic()
        body = body if fault.cut is None else body[: fault.cut]
        for place in range(0, len(body), _PIECE):
            piece = body[place : place + _PIECE]
            # Before it goes out: whoever has received it may look at once.
            self.request_log.sent[0] += len(piece)
            try:
                self.wfile.write(piece)
            except OSError:
                self.request_log.sent[0] -= len(piece)
                raise
            if fault.bytes_per_s:
                time.sleep(max(0.0, began + self.request_log.sent[0] / fault.bytes_per_s - time.monotonic()))
        if fault.cut is not None:
            self.wfile.flush()
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
            self.close_connection = True


@contextlib.contextmanager
def serving(**files: bytes) -> Iterator[Server]:
    """A server with some files."""
    with Server() as server:
        for name, content in files.items():
            server.add(name, content)
        yield server
