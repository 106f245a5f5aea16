"""What went wrong with an HTTP request, in one line of our own words.

Messages of the libraries hold whole addresses, with signatures, so that nothing of them is passed on.
"""

from __future__ import annotations

import ssl
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import requests
import urllib3.exceptions

from mocapact_cli.core.errors import RunError
from mocapact_cli.core.remote.files import TransientError
from mocapact_cli.core.remote.retries import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529})
_NETWORK = "Check the network connection, then run the same command again: it goes on from where it stopped."
_PROXY = "Check the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
_TLS = "Check the clock and the address; behind a proxy that opens connections, set REQUESTS_CA_BUNDLE."


def of_status(response: requests.Response, what: str) -> Exception:
    """The error for a status that is neither good nor one about the file."""
    status = response.status_code
    if status in _TRANSIENT:
        return TransientError(what, retry_after(response.headers.get("Retry-After", ""), time.time()))
    if status == 407:
        return RunError(f"{what}: the proxy wants a name and a password.", hint=_PROXY)
    return RunError(f"{what}.", hint="Check the address.")


def retry_after(text: str, now: float) -> float | None:
    """Seconds that a server asks to wait, which it says as a number or as a date; None where it does not."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError):
        return None


def of_request(error: requests.RequestException, label: str) -> Exception:
    """The error for a request that got no answer."""
    kinds: list[tuple[type[Exception], Callable[[], Exception]]] = [
        (requests.exceptions.ProxyError, lambda: _of_proxy(error, label)),
        (requests.exceptions.SSLError, lambda: _of_tls(error, label)),
        (
            requests.exceptions.ConnectTimeout,
            lambda: UnreachableError(f"{label} cannot be reached: no connection in time", _NETWORK),
        ),
        (requests.exceptions.Timeout, lambda: TransientError(f"{label} does not answer")),
        (
            requests.exceptions.TooManyRedirects,
            lambda: RunError(f"{label} redirects in a circle.", hint="Check the address."),
        ),
        # An address that is none, here or where it redirects to.
        (ValueError, lambda: RunError(f"{label} is not an address that can be asked.", hint="Check the address.")),
        (Exception, lambda: _of_connection(error, label)),
    ]
    return next(make() for kind, make in kinds if isinstance(error, kind))


def of_body(error: Exception, what: str) -> TransientError:
    """The error for a body that broke off; `what` says whose."""
    silent = isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError)
    return TransientError(f"{what}: it fell silent" if silent else what)


def _of_connection(error: requests.RequestException, label: str) -> Exception:
    causes = list(_causes(error))
    if any(isinstance(cause, urllib3.exceptions.NameResolutionError) for cause in causes):
        return UnreachableError(f"{label} cannot be reached: the name of its host is not known (DNS)", _NETWORK)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return UnreachableError(f"{label} cannot be reached: it refuses connections", _NETWORK)
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        return UnreachableError(f"{label} cannot be reached: there is no way to its host", _NETWORK)
    return TransientError(f"{label} dropped the connection")


def _of_proxy(error: requests.RequestException, label: str) -> Exception:
    if any("407" in str(cause) for cause in _causes(error)):
        return RunError(f"The proxy on the way to {label} wants a name and a password.", hint=_PROXY)
    return UnreachableError(f"The proxy on the way to {label} cannot be reached or refuses", _PROXY)


def _of_tls(error: requests.RequestException, label: str) -> Exception:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return RunError(f"The certificate of {label} is not trusted: {cause.verify_message}.", hint=_TLS)
        if isinstance(cause, ssl.SSLError) and cause.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
            return RunError(f"{label} does not speak HTTPS.", hint="Check the address; it may begin with http://.")
    return TransientError(f"{label} dropped the encrypted connection")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and everything that the libraries wrapped in it."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [item for item in inner if isinstance(item, BaseException)]
