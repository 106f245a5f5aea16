"""One attempt over HTTP: what is asked, what is believed, and how each failure is called."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import traceback

import pytest
import requests
from http_server import Fault

from mocapact_cli.core.errors import AccessError, NotFoundError, RunError, UsageError
from mocapact_cli.core.remote.files import ChangedError, Checksum, RangeUnsupportedError, RemoteFile, TransientError
from mocapact_cli.core.remote.http import HttpSource, _Session
from mocapact_cli.core.remote.retries import UnreachableError

CONTENT = bytes(range(256)) * 400
MODIFIED = "Wed, 01 Jul 2026 10:00:00 GMT"


@pytest.fixture
def file(server):
    server.add("data/a b.bin", CONTENT)
    return RemoteFile("a b.bin", len(CONTENT), server.files["data/a b.bin"].etag)


@pytest.fixture
def source(server):
    return HttpSource(f"{server.url}/data", "the mirror")


def received(pieces):
    """What comes before the exception, and that."""
    got = bytearray()
    try:
        for piece in pieces:
            got += piece
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return bytes(got), error
    return bytes(got), None


def test_stat_says_size_and_version(source, file):
    assert source.stat("a b.bin") == file


@pytest.mark.parametrize("status", [403, 405, 501])
def test_stat_asks_for_a_byte_where_head_is_refused(server, source, file, status):
    server.faults.append(Fault(status=status, methods=("HEAD",)))
    assert source.stat("a b.bin") == file
    assert server.requests[-1].headers["Range"] == "bytes=0-0"


def test_stat_of_an_empty_file_without_head(server, source):
    server.add("data/empty", b"")
    server.faults.append(Fault(status=405, methods=("HEAD",)))
    assert source.stat("empty").size == 0


MD5, SHA = hashlib.md5(CONTENT).digest(), hashlib.sha256(CONTENT).digest()


def encoded(digest):
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Content-MD5": encoded(MD5)}, Checksum("md5", MD5.hex())),
        ({"x-ms-blob-content-md5": encoded(MD5)}, Checksum("md5", MD5.hex())),
        ({"x-goog-hash": f"crc32c=AAAAAA==,md5={encoded(MD5)}"}, Checksum("md5", MD5.hex())),
        ({"Repr-Digest": f"sha-256=:{encoded(SHA)}:", "Content-MD5": encoded(MD5)}, Checksum("sha256", SHA.hex())),
        ({"Content-MD5": "nonsense"}, None),
        ({"Content-MD5": encoded(SHA)}, None),
    ],
)
def test_checksums_of_servers_are_read(server, source, file, headers, expected):
    server.files["data/a b.bin"].headers = headers
    assert source.stat("a b.bin").checksum == expected


def test_the_checksum_of_a_part_is_not_that_of_the_file(server, source, file):
    server.files["data/a b.bin"].headers = {"Content-MD5": encoded(MD5)}
    server.faults.append(Fault(status=405, methods=("HEAD",)))
    assert source.stat("a b.bin").checksum is None


@pytest.mark.parametrize(
    ("etag", "modified", "version"),
    [('"x"', MODIFIED, '"x"'), ('W/"x"', MODIFIED, MODIFIED), ("", MODIFIED, MODIFIED), ('W/"x"', "", None)],
)
def test_the_version_is_a_strong_etag_or_else_the_date(server, source, file, etag, modified, version):
    served = server.files["data/a b.bin"]
    served.etag, served.modified = etag, modified
    assert source.stat("a b.bin").version == version


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 10), (5, 5000), (90_000, None), (7, len(CONTENT))])
def test_ranges_are_read(source, file, start, stop):
    assert b"".join(source.read(file, start, stop)) == CONTENT[start:stop]


@pytest.mark.parametrize("place", [0, 17, len(CONTENT)])
def test_an_empty_range_asks_nothing(server, source, file, place):
    assert list(source.read(file, place, place)) == []
    assert list(source.read(file, len(CONTENT))) == []
    assert server.requests == []


def test_bytes_come_as_they_lie_there(server, source, file):
    server.files["data/a b.bin"].headers = {"Content-Encoding": "gzip"}
    assert b"".join(source.read(file)) == CONTENT
    assert server.requests[-1].headers["Accept-Encoding"] == "identity"


def test_one_connection_serves_many_requests(server, source, file):
    seen = set()
    server.on_request = lambda *_: seen.add(threading.get_ident())
    for start in range(4):
        source.stat("a b.bin")
        list(source.read(file, start))
        list(source.read(file, start, 1000))
    assert len(seen) == 1


def test_a_cut_connection_is_transient_and_loses_nothing(server, source, file):
    server.faults.append(Fault(cut=70_001))
    got, error = received(source.read(file, 5))
    assert got == CONTENT[5:70_006]
    assert isinstance(error, TransientError)


def test_a_body_that_just_ends_is_not_taken_for_the_file(server, source, file):
    server.faults.append(Fault(cut=50_000, no_length=True))
    got, error = received(source.read(file))
    assert got == CONTENT[:50_000]
    assert "broke off a b.bin after 50,000 of 102,400" in str(error)


def test_a_body_that_is_longer_than_asked_is_not_read_on(server, source, file):
    server.faults.append(Fault(ignore_range=True))
    assert b"".join(source.read(file, 0, 1000)) == CONTENT[:1000]


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (Fault(ignore_range=True), RangeUnsupportedError, "only from its beginning"),
        (Fault(shift=4096), TransientError, "other bytes"),
        (Fault(headers={"Content-Range": "bytes 10-99/200"}), ChangedError, "has changed"),
        (Fault(headers={"Content-Range": "nonsense"}), TransientError, "other bytes"),
        (Fault(headers={"ETag": '"two"'}), ChangedError, "has changed"),
        (Fault(status=412), ChangedError, "has changed"),
        (Fault(status=416), ChangedError, "has changed"),
        (Fault(status=404), NotFoundError, "the mirror has no a b.bin"),
        (Fault(status=410), NotFoundError, "the mirror has no a b.bin"),
        (Fault(status=401), AccessError, "refuses access"),
        (Fault(status=403), AccessError, "refuses access"),
        (Fault(status=418), RunError, "answers 418"),
        *((Fault(status=status), TransientError, f"answers {status}") for status in (408, 429, 500, 502, 503, 504)),
    ],
)
def test_each_failure_has_its_error(server, source, file, fault, kind, text):
    server.faults.append(fault)
    got, error = received(source.read(file, 10, 2000))
    assert (got, type(error)) == (b"", kind)
    assert text in str(error)


def test_a_changed_file_is_noticed_by_if_range(server, source, file):
    server.add("data/a b.bin", CONTENT[::-1])
    assert isinstance(received(source.read(file, 10))[1], ChangedError)
    assert isinstance(received(source.read(file))[1], ChangedError)


def test_retry_after_is_a_number_or_a_date(server, source, file):
    server.faults.append(Fault(status=503, headers={"Retry-After": "7"}))
    assert received(source.read(file))[1].wait == 7
    server.faults.append(Fault(status=429, headers={"Retry-After": "Wed, 01 Jul 2020 10:00:00 GMT"}))
    assert received(source.read(file))[1].wait == 0
    server.faults.append(Fault(status=429, headers={"Retry-After": "soon"}))
    assert received(source.read(file))[1].wait is None


def test_a_silent_server_is_left(server, file):
    server.faults.append(Fault(hang_s=0.5))
    _, error = received(HttpSource(f"{server.url}/data", silence_s=0.1).read(file))
    assert isinstance(error, TransientError)


@pytest.mark.parametrize(("tick", "stuck"), [(20.0, False), (1e6, True)])
def test_a_trickle_is_left(server, file, tick, stuck):
    """Time by this clock goes on by one tick with every piece that comes."""
    ticks = iter(range(100_000))
    source = HttpSource(f"{server.url}/data", clock=lambda: next(ticks) * tick)
    server.add("data/a b.bin", b"x" * 400_000)
    server.faults.append(Fault(bytes_per_s=2e6))
    _, error = received(source.read(source.stat("a b.bin")))
    assert (error is not None) == stuck
    assert error is None or "almost stopped sending" in str(error)


def test_redirects_are_followed_and_the_token_stays_behind(server, file):
    from http_server import serving

    with serving(**{"blob/a": CONTENT}) as elsewhere:
        # Another name of the same machine is another host.
        target = elsewhere.url.replace("127.0.0.1", "localhost")
        server.add("data/a b.bin", b"", redirect=f"{target}/blob/a?X-Amz-Signature=s")
        source = HttpSource(f"{server.url}/data", headers={"Authorization": "Bearer token", "X-Api-Key": "key"})
        assert b"".join(source.read(RemoteFile("a b.bin"), 5, 900)) == CONTENT[5:900]
        assert server.requests[-1].headers["Authorization"] == "Bearer token"
        assert server.requests[-1].headers["X-Api-Key"] == "key"
        assert not {"Authorization", "X-Api-Key"} & set(elsewhere.requests[-1].headers)


def test_redirects_on_one_host_keep_the_token(server, file):
    server.add("data/old", b"", redirect=f"{server.url}/data/a%20b.bin")
    HttpSource(f"{server.url}/data", headers={"X-Api-Key": "key"}).stat("old")
    assert server.requests[-1].headers["X-Api-Key"] == "key"


def test_a_redirect_does_not_end_encryption():
    session, response = _Session(None), requests.Response()
    response.request = requests.Request("GET", "https://mirror.example/a?sig=verysecret").prepare()
    with pytest.raises(RunError, match=r"^mirror.example redirects to an address without encryption\.$"):
        session.rebuild_auth(requests.Request("GET", "http://mirror.example/a").prepare(), response)


def test_a_circle_of_redirects_ends(server):
    server.add("data/a", b"", redirect=f"{server.url}/data/a")
    with pytest.raises(RunError, match="circle"):
        HttpSource(f"{server.url}/data").stat("a")


def test_query_and_credentials_of_the_address_go_with_every_request(server, file):
    source = HttpSource(server.url.replace("//", "//me:p%40ss@") + "/data?sv=1&sig=abc%2B")
    assert source.stat("a b.bin") == file
    assert server.requests[-1].path == "/data/a%20b.bin?sv=1&sig=abc%2B"
    assert server.requests[-1].headers["Authorization"] == f"Basic {encoded(b'me:p@ss')}"


def test_a_netrc_does_not_replace_the_token(server, file, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password wrong\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    HttpSource(f"{server.url}/data", headers={"Authorization": "Bearer token"}).stat("a b.bin")
    assert server.requests[-1].headers["Authorization"] == "Bearer token"


@pytest.mark.parametrize("address", ["ftp://host/x", "host/x", "https://", "file:///etc", "http://[::1/x", ""])
def test_other_addresses_are_refused(address):
    with pytest.raises(UsageError, match="not an HTTP address"):
        HttpSource(address)


def test_it_has_no_list(source):
    with pytest.raises(RunError, match="no list"):
        source.files("a")


def test_offline_asks_nobody(server, source, file, monkeypatch):
    monkeypatch.setenv("MOCAPACT_OFFLINE", "1")
    with pytest.raises(RunError, match="MOCAPACT_OFFLINE is set"):
        source.stat("a b.bin")
    assert server.requests == []


def test_an_expired_signature_is_known_before_the_first_request(server):
    source = HttpSource(f"{server.url}/data?se=2020-01-01T00%3A00Z&sig=verysecret")
    with pytest.raises(AccessError, match="expired on 2020-01-01"):
        source.stat("a")
    assert server.requests == []


def unused_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def dropping():
    """A server that hangs up before it answers; also one that does not speak HTTPS."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.recv(1000)
                    connection.sendall(b"what?\r\n" if tls else b"")
                    connection.close()

        tls = False
        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_no_connection_says_why():
    with pytest.raises(UnreachableError, match="refuses connections"):
        HttpSource(f"http://127.0.0.1:{unused_port()}/x?sig=verysecret").stat("a")


def test_an_unknown_host_says_so():
    with pytest.raises(UnreachableError, match="name of its host is not known"):
        HttpSource("http://no-such-host.invalid/x").stat("a")


def test_a_dead_proxy_says_so(monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://me:verysecret@127.0.0.1:{unused_port()}")
    with pytest.raises(UnreachableError, match="proxy on the way") as caught:
        HttpSource("http://mirror.example/x").stat("a")
    assert "HTTP_PROXY" in caught.value.hint


def test_a_dropped_connection_is_transient():
    with dropping() as place, pytest.raises(TransientError, match="dropped the connection"):
        HttpSource(f"http://{place}/x").stat("a")


@pytest.fixture
def tls_place(tmp_path):
    """A server of HTTPS whose certificate nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subprocess.run(
        [*request.split(), "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with contextlib.suppress(OSError), connection:
                    context.wrap_socket(connection, server_side=True)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_certificate_that_is_not_trusted_is_final(tls_place):
    with pytest.raises(RunError, match=r"certificate of .* is not trusted") as caught:
        HttpSource(f"https://{tls_place}/x").stat("a")
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint


def test_https_where_there_is_none_is_final(server):
    with pytest.raises(RunError, match="does not speak HTTPS"):
        HttpSource(server.url.replace("http:", "https:")).stat("a")


def everything_said(error):
    """The traceback, and also the exceptions that it would not show."""
    said, seen, waiting = "".join(traceback.format_exception(error)), set(), [error]
    while waiting:
        one = waiting.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            said += f"{one} {one!r} {getattr(one, 'hint', '')}"
            waiting += [one.__cause__, one.__context__, *(arg for arg in one.args if isinstance(arg, Exception))]
    return said


@pytest.mark.parametrize("trouble", ["refused", "dns", "dropped", "tls", "proxy", "status", "denied", "cut", "silent"])
def test_no_error_holds_a_secret(server, file, monkeypatch, caplog, trouble):
    caplog.set_level(logging.DEBUG)
    places = {"refused": f"127.0.0.1:{unused_port()}", "dns": "no-such-host.invalid"}
    if trouble == "proxy":
        monkeypatch.setenv("http_proxy", f"http://me:verysecret@127.0.0.1:{unused_port()}")
        places["proxy"] = "mirror.example"
    server.always = {
        "status": Fault(status=500, methods=("GET", "HEAD")),
        "denied": Fault(status=403, methods=("GET", "HEAD")),
        "cut": Fault(cut=1000),
        "silent": Fault(hang_s=0.3),
    }.get(trouble)
    with dropping() as drops:
        place = {**places, "dropped": drops}.get(trouble, server.url.removeprefix("http://"))
        source = HttpSource(
            f"{'https' if trouble == 'tls' else 'http'}://me:verysecret@{place}/data?sv=1&sig=verysecret",
            headers={"Authorization": "Bearer verysecret"},
            silence_s=0.1,
        )
        _, error = received(source.read(file))
    assert error is not None
    assert "verysecret" not in everything_said(error) + repr(source) + source.label + caplog.text
