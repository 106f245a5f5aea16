"""From what a user gives as a source to the source: Hugging Face, Azure, a mirror, a folder or an archive."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

from mocapact_cli.core.errors import NotFoundError, UsageError, did_you_mean
from mocapact_cli.core.remote.azure import HOST_ENDING, SAS_VARIABLE, AzureSource
from mocapact_cli.core.remote.catalog import MOCAP, MOCAP_HOME
from mocapact_cli.core.remote.http import HttpSource
from mocapact_cli.core.remote.huggingface import HuggingFaceSource
from mocapact_cli.core.remote.local import LocalSource
from mocapact_cli.core.remote.mirror import MirrorSource
from mocapact_cli.core.remote.secrets import without_secrets
from mocapact_cli.core.safe.archives import TAR_SUFFIXES

if TYPE_CHECKING:
    from mocapact_cli.core.remote.catalog import Kind
    from mocapact_cli.core.remote.files import Source

HUB, AZURE = "hf", "azure"


@dataclass(frozen=True)
class Opened:
    """A source.

    Attributes:
        source: Where files come from.
        file: The one file in it that was given; empty: all of them.
    """

    source: Source
    file: str = ""

    @property
    def is_hub(self) -> bool:
        """Whether it has the layout of the published repositories on Hugging Face."""
        return isinstance(self.source, HuggingFaceSource)


def open_source(text: str | None, sas_url: str | None, kind: Kind) -> Opened:
    """The source that a user means.

    Args:
        text: `hf`, `azure`, a URL, a folder or an archive; None: Azure where a signature is given, else `hf`.
        sas_url: Address of an Azure container.
        kind: What is to be fetched; `hf` is another repository for each, and dm_control's bucket for the motion.

    Raises:
        UsageError: It is no source, or the address of the container is missing.
        NotFoundError: There is no such folder or archive.
        AccessError: The signature has expired.
    """
    text = text or (AZURE if sas_url else HUB)
    if sas_url and text != AZURE:
        raise UsageError("--sas-url is the address of an Azure container.", hint=f"Use it with --source {AZURE}.")
    suffixes = (".h5",) if kind.name == MOCAP else TAR_SUFFIXES
    if text == HUB and kind.name == MOCAP:
        return Opened(HttpSource(MOCAP_HOME))
    if text == HUB:
        return Opened(HuggingFaceSource(kind.repository, kind.repository_kind))
    if text == AZURE:
        return Opened(AzureSource(_container(sas_url)))
    return open_address(text, suffixes) if "://" in text else open_path(text, suffixes)


def _container(sas_url: str | None) -> str:
    url = sas_url or os.environ.get(SAS_VARIABLE, "")
    if urlsplit(url).scheme not in ("http", "https"):
        what = (
            "has no address to go to" if not url else f"needs an address that begins with https://, not {_shown(url)}"
        )
        raise UsageError(
            f"--source azure {what}: the original's containers are closed.",
            hint=f"Give a container's SAS URL in {SAS_VARIABLE}, or a public container's as --source.",
        )
    return url


def _shown(url: str) -> str:
    return repr(without_secrets(url))


def open_address(url: str, suffixes: tuple[str, ...] = TAR_SUFFIXES) -> Opened:
    """The container, mirror or single file behind a URL.

    Args:
        url: May have a signature.
        suffixes: Endings of those that are single files.

    Raises:
        UsageError: It is not one of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{_shown(url)} is not an address that can be read.", hint="It begins with https://.")
    if parts.path.lower().endswith(suffixes):
        return _one_file(parts)
    if parts.hostname.endswith(HOST_ENDING) or "sig" in parse_qs(parts.query):
        return Opened(AzureSource(url))
    return Opened(MirrorSource(url))


def _one_file(parts: SplitResult) -> Opened:
    folder, _, name = parts.path.rpartition("/")
    return Opened(HttpSource(urlunsplit(parts._replace(path=folder))), unquote(name))


def open_path(text: str, suffixes: tuple[str, ...] = TAR_SUFFIXES) -> Opened:
    """A folder, or one file in it.

    Raises:
        NotFoundError: There is nothing there.
        UsageError: It is a file of another kind.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        return Opened(LocalSource(path))
    if not path.is_file():
        hint = did_you_mean(text, (HUB, AZURE)) or f"Give {HUB}, {AZURE}, a URL, a folder or a tarball."
        raise NotFoundError(f"There is no source {text!r}: no such folder or file.", hint=hint)
    if not PurePosixPath(path.name.lower()).name.endswith(suffixes):
        raise UsageError(f"{path} is not a source.", hint=f"Give a folder, or a file that ends in {suffixes[0]}.")
    return Opened(LocalSource(path.parent), path.name)
