"""Containers of Azure Blob Storage: listed by its SDK, read like every other HTTP server.

The SDK hands out a range only when all of it has come, so that a dropped connection costs megabytes; over plain HTTP
nothing that was received is lost. A shared access signature in the container's address goes with every request.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from mocapact_cli.core.errors import AccessError, NotFoundError, RunError
from mocapact_cli.core.remote.files import Checksum, RemoteFile, TransientError
from mocapact_cli.core.remote.http import HttpSource, check_online
from mocapact_cli.core.remote.http_failures import of_request
from mocapact_cli.core.remote.secrets import check_sas_expiry, guard_logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

SAS_VARIABLE = "MOCAPACT_AZURE_SAS_URL"
HOST_ENDING = ".blob.core.windows.net"

_API_VERSION = "2021-08-06"
_PAGE = 5000
_CONNECT_S, _SILENCE_S = 15, 60
# A container that nobody may read anonymously says so in different ways.
_REFUSALS = frozenset({"PublicAccessNotPermitted", "NoAuthenticationInformation", "KeyBasedAuthenticationNotPermitted"})
_HIDDEN = "A private container answers the same without a signature: give one by MOCAPACT_AZURE_SAS_URL."


class AzureSource(HttpSource):
    """The blobs of one container.

    Args:
        container_url: Of a public container, or with a shared access signature that allows reading and listing.

    Raises:
        AccessError: The signature has expired.
        RunError: The address names no container.
    """

    def __init__(self, container_url: str) -> None:
        super().__init__(container_url, headers={"x-ms-version": _API_VERSION})
        check_sas_expiry(container_url)
        if not urlsplit(container_url).path.strip("/"):
            raise RunError(
                f"{self.label} names a storage account, but no container.", hint="Add the container's name to the URL."
            )
        self._signed = "sig=" in urlsplit(container_url).query
        self._container_url = container_url

    def condition(self, file: RemoteFile) -> dict[str, str]:
        """Azure knows no `If-Range`; it answers 412 where another version is there."""
        return {} if file.version is None else {"If-Match": file.version}

    def files(self, prefix: str) -> Iterator[RemoteFile]:
        """All blobs whose name starts with a prefix.

        Raises:
            AccessError: The signature does not allow listing, or the container is not public.
            NotFoundError: There is no such container.
            TransientError: The server is busy, or the connection failed.
            RunError: No network.
        """
        from azure.core.exceptions import AzureError

        check_online(self.label)
        check_sas_expiry(self._container_url)
        blobs = self._container().list_blobs(name_starts_with=prefix, results_per_page=_PAGE)
        while True:
            try:
                blob = next(blobs, None)
            except AzureError as error:
                failure = self._of_sdk(error)
            else:
                if blob is None:
                    return
                yield _remote_file(blob)
                continue
            # Not inside the block: the SDK's exception holds the whole address and would be chained to this one.
            raise failure

    def _container(self) -> Any:
        from azure.storage.blob import ContainerClient

        guard_logs(("azure.core.pipeline.policies.http_logging_policy", "azure.storage.blob"))
        # Attempts are counted and repeated by our own retries, as for all sources.
        return ContainerClient.from_container_url(
            self._container_url, retry_total=0, connection_timeout=_CONNECT_S, read_timeout=_SILENCE_S
        )

    def _of_sdk(self, error: Exception) -> Exception:
        """The error for what the SDK raised, in our words."""
        response = getattr(error, "response", None)
        if response is not None:
            code = response.headers.get("x-ms-error-code", "")
            return self._of_status(response.status_code, code, "its list of blobs")
        return of_request(_of_requests(getattr(error, "inner_exception", None)), self.label)

    def _failure(self, name: str, response: requests.Response) -> Exception:
        code = response.headers.get("x-ms-error-code", "")
        if response.status_code in (401, 403, 404, 409):
            return self._of_status(response.status_code, code, name)
        return super()._failure(name, response)

    def _of_status(self, status: int, code: str, what: str) -> Exception:
        if status in (401, 403) or code in _REFUSALS:
            return self._refusal(what, status, code)
        if status == 404:
            return NotFoundError(
                f"{self.label} has no {what}.", hint="Check the name." if self._signed else f"Check the name. {_HIDDEN}"
            )
        if status in (408, 429) or status >= 500:
            return TransientError(f"{self.label} answers {status} for {what}")
        return RunError(f"{self.label} answers {status} {code} for {what}.", hint="Check the address.")

    def _refusal(self, what: str, status: int, code: str) -> AccessError:
        try:
            check_sas_expiry(self._container_url)
        except AccessError as expired:
            return expired
        why = f"HTTP {status} {code}".strip()
        if not self._signed:
            hint = f"Ask its owner for a SAS URL, and give it in {SAS_VARIABLE}."
        else:
            hint = "The signature is wrong, revoked or does not allow reading and listing: ask for another SAS URL."
        return AccessError(f"{self.label} refuses access to {what} ({why}).", hint=hint)


def _of_requests(error: BaseException | None) -> requests.RequestException:
    """What the SDK has wrapped; it takes some connections from below requests."""
    return error if isinstance(error, requests.RequestException) else requests.ConnectionError(error)


def _remote_file(blob: Any) -> RemoteFile:
    # The SDK takes the quotes off the ETag in lists, but it stands with them in the headers.
    tag = blob.etag if blob.etag.startswith('"') else f'"{blob.etag}"'
    md5 = blob.content_settings.content_md5
    checksum = Checksum("md5", _hexadecimal(md5)) if md5 else None
    return RemoteFile(blob.name, int(blob.size), tag, checksum)


def _hexadecimal(md5: bytes | bytearray | str) -> str:
    return base64.b64decode(md5).hex() if isinstance(md5, str) else bytes(md5).hex()
