"""Azurite, Microsoft's emulator of Azure Storage, and containers with signatures made by the SDK."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own account and key, which are the same everywhere."""


def find_azurite() -> str | None:
    """The program: beside this environment, where CI puts it, or on the path."""
    beside = Path(sys.prefix, "azurite", "node_modules", ".bin", "azurite-blob")
    return str(beside) if beside.is_file() else shutil.which("azurite-blob")


@contextlib.contextmanager
def azurite(program: str) -> Iterator[Azurite]:
    """The emulator on a port of its own, with everything in memory."""
    options = ["--skipApiVersionCheck", "--loose", "--inMemoryPersistence", "--disableTelemetry", "--blobPort", "0"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([program, *options], cwd=folder, stdout=subprocess.PIPE, text=True) as running,
    ):
        try:
            found = next(found for line in running.stdout if (found := re.search(r"listens on (http://\S+)", line)))
            yield Azurite(found[1])
        finally:
            running.kill()


@dataclass(frozen=True)
class Azurite:
    """A running emulator.

    Attributes:
        url: without a slash at the end.
    """

    url: str

    def container(self, name: str, *, public: str | None = None) -> Container:
        """A new container; `public`: `container` (anybody lists and reads) or `blob` (anybody reads)."""
        from azure.storage.blob import BlobServiceClient

        service = BlobServiceClient(f"{self.url}/{ACCOUNT}", credential=KEY)
        return Container(service.create_container(name, public_access=public), f"{self.url}/{ACCOUNT}/{name}")


@dataclass(frozen=True)
class Container:
    """One container.

    Attributes:
        client: of the SDK, with all rights.
        url: without a signature.
    """

    client: object
    url: str

    def add(self, name: str, content: bytes, *, md5: bytes | None = None) -> None:
        """Put a blob; `md5` is what it says of its content, right if left out."""
        import hashlib

        from azure.storage.blob import ContentSettings

        settings = ContentSettings(content_md5=md5 or hashlib.md5(content).digest())
        self.client.upload_blob(name, content, overwrite=True, content_settings=settings)

    def add_folder(self, prefix: str, folder: Path) -> None:
        """Put all files of a folder."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.add(f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())

    def sas_url(self, *, rights: str = "rl", hours: float = 1.0) -> str:
        """The address with a shared access signature."""
        from azure.storage.blob import generate_container_sas

        ends = datetime.now(UTC) + timedelta(hours=hours)
        signature = generate_container_sas(
            ACCOUNT, self.url.rsplit("/", 1)[1], account_key=KEY, permission=rights, expiry=ends
        )
        return f"{self.url}?{signature}"
