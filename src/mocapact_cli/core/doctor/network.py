"""The sources of published data: whether each answers, by one small request, and what stands in the way."""

from __future__ import annotations

import os
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mocapact_cli.core.doctor.check import Check
from mocapact_cli.core.doctor.findings import NETWORK
from mocapact_cli.core.errors import AccessError, MocapactError
from mocapact_cli.core.remote.azure import SAS_VARIABLE, AzureSource
from mocapact_cli.core.remote.catalog import KINDS, MOCAP_FILE, MOCAP_HOME
from mocapact_cli.core.remote.files import TransientError
from mocapact_cli.core.remote.http import OFFLINE_VARIABLE, HttpSource, is_offline
from mocapact_cli.core.remote.huggingface import ENDPOINT, ENDPOINT_VARIABLE, HuggingFaceSource, endpoint
from mocapact_cli.core.remote.recordings import CMU
from mocapact_cli.core.remote.secrets import sas_expiry, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mocapact_cli.core.doctor.findings import Finding

CONNECT_S, SILENCE_S = 3.0, 4.0
"""Seconds that a source may take to be reached, and to answer."""
LIMIT_S = CONNECT_S + SILENCE_S + 1.0
"""Seconds that a look may take: more than a source may, whose own message says more than that nothing came."""
SOON = timedelta(days=1)
"""A signature that expires within it is a warning."""
_SAMPLES = "sample"
"""A folder of every repository, with few files."""
_SKELETON = "subjects/09/09.asf"
"""A small file of the CMU recordings."""
_REMEDY = "Check the network and the proxy; `mocapact download --source` takes a mirror or a folder"


def all_checks() -> list[Check]:
    """Return what is looked at: the settings, and each published source, unless the network is switched off."""
    settings = Check(NETWORK, "settings", look_at_settings, LIMIT_S)
    return [settings, *([] if is_offline() else _sources())]


def look_at_settings() -> Iterator[Finding]:
    """Say which settings decide where data comes from, and whether a signature among them is still good."""
    if is_offline():
        yield NETWORK.note("sources", f"were not asked: {OFFLINE_VARIABLE} is set", f"unset {OFFLINE_VARIABLE}")
    if endpoint() != ENDPOINT:
        yield NETWORK.note(ENDPOINT_VARIABLE, f"{without_secrets(endpoint())} stands in for {ENDPOINT}")
    proxies = {name: url for name, url in urllib.request.getproxies().items() if name != "no"}
    if proxies:
        shown = ", ".join(f"{name} by {without_secrets(url)}" for name, url in sorted(proxies.items()))
        yield NETWORK.note("proxy", shown)
    url = os.environ.get(SAS_VARIABLE)
    if url:
        yield from _signature(url, datetime.now(UTC))


def _signature(url: str, now: datetime) -> Iterator[Finding]:
    expiry = sas_expiry(url)
    if expiry is None:
        return
    when = f"{expiry.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    remedy = f"Ask the owner of the container for a new one, and give it in {SAS_VARIABLE}"
    if expiry <= now:
        yield NETWORK.problem(SAS_VARIABLE, f"expired on {when}", remedy)
    elif expiry - now < SOON:
        yield NETWORK.warning(SAS_VARIABLE, f"expires on {when}", remedy)
    else:
        yield NETWORK.ok(SAS_VARIABLE, f"good until {when}")


def _sources() -> list[Check]:
    checks = [
        _asking(repository, _listing(HuggingFaceSource, repository, kind, folder=_SAMPLES))
        for repository, kind in sorted({(one.repository, one.repository_kind) for one in KINDS.values()})
        if repository
    ]
    checks.append(_asking("reference motion", lambda: _hurried(HttpSource(MOCAP_HOME)).stat(MOCAP_FILE)))
    checks.append(_asking("CMU recordings", lambda: _hurried(HttpSource(CMU)).stat(_SKELETON)))
    url = os.environ.get(SAS_VARIABLE)
    expiry = sas_expiry(url) if url else None
    if url and (expiry is None or expiry > datetime.now(UTC)):
        checks.append(_asking("Azure container", _listing(AzureSource, url)))
    return checks


def _listing(source: Callable[..., HttpSource], *address: str, folder: str = "") -> Callable[[], object]:
    return lambda: next(iter(_hurried(source(*address)).files(folder)), None)


def _hurried(source: HttpSource) -> HttpSource:
    source.hurry(CONNECT_S, SILENCE_S)
    return source


def _asking(name: str, question: Callable[[], object]) -> Check:
    """Return the check that asks what a download would ask first; what is found is whether it is answered."""

    def look() -> Iterator[Finding]:
        began = time.monotonic()
        try:
            question()
        except AccessError as error:
            yield NETWORK.problem(name, error.message, error.hint)
        except MocapactError as error:
            yield NETWORK.warning(name, error.message, error.hint or _REMEDY)
        except TransientError as error:
            yield NETWORK.warning(name, error.reason, _REMEDY)
        else:
            seconds = time.monotonic() - began
            yield NETWORK.ok(name, f"answers in {seconds:.2f} s", seconds=seconds)

    return Check(NETWORK, name, look, LIMIT_S)
