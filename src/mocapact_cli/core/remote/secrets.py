"""Keeping signatures and tokens out of everything that is shown or logged."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

from mocapact_cli.core.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN = "***"

_PARAMETERS = (
    "sig",
    "signature",
    "policy",
    "key-pair-id",
    r"x-(?:amz|goog)-(?:signature|credential|security-token)",
    "awsaccesskeyid",
    "googleaccessid",
    "sharedaccesssignature",
    "sharedaccesskey",
    "accountkey",
    r"(?:access|auth|hf|id|refresh|session)?[-_]?token",
    r"(?:api|access)[-_]?key",
    "password",
    "secret",
)
_RULES = (
    # Names and values as they stand in a URL, in one that is itself a parameter of a URL, or in a connection string.
    (
        re.compile(rf"(?i)(?:(?<![a-z0-9])|(?<=%3F)|(?<=%26))({'|'.join(_PARAMETERS)})(\s*=\s*|%3D)[^&;\s'\"<>)\]]+"),
        rf"\1\2{HIDDEN}",
    ),
    # A password that nobody has quoted may hold any character.
    (re.compile(r"(?i)([a-z][a-z0-9+.-]*://)(?:[^/?#\s'\":]*:[^\s'\"]*|[^/?#\s'\"]*)@"), rf"\1{HIDDEN}@"),
    (
        re.compile(r"(?i)((?:proxy-)?authorization['\"]?\s*[:=]\s*['\"]?)(?:[a-z]+ +)?[^\s'\",]+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(Bearer|Basic|SharedKey) +[A-Za-z0-9._~+/=:-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\bhf_[A-Za-z0-9]{6,}"), HIDDEN),
)


def redact(text: str) -> str:
    """Return a text in which `***` stands for signatures, tokens, passwords and keys."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def without_secrets(url: str) -> str:
    """Return a URL without user, query and fragment, as it may be shown."""
    try:
        parts = urlsplit(redact(url))
    except ValueError:
        return redact(url).partition("?")[0]
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def sas_expiry(url: str) -> datetime | None:
    """Return when the shared access signature in a URL ends (UTC); None where it has none, or one without an end."""
    query = parse_qs(urlsplit(url).query)
    if "sig" not in query or "se" not in query:
        return None
    try:
        found = datetime.fromisoformat(query["se"][0])
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def check_sas_expiry(url: str, now: datetime | None = None) -> None:
    """See that the shared access signature in a URL, if it has one, is still good.

    Args:
        url: With or without a signature.
        now: With a time zone; None: the present.

    Raises:
        AccessError: It has expired.
    """
    expiry = sas_expiry(url)
    if expiry is not None and expiry <= (now or datetime.now(UTC)):
        raise AccessError(
            f"The SAS URL of {without_secrets(url)} expired on {expiry.astimezone(UTC):%Y-%m-%d %H:%M} UTC.",
            hint="Ask the owner of the container for a new one, and give it in MOCAPACT_AZURE_SAS_URL.",
        )


class _Redaction(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, with its secrets hidden."""
        record.msg, record.args = redact(record.getMessage()), ()
        return True


_redaction = _Redaction()


def guard_logs(names: Iterable[str] = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")) -> None:
    """Hide secrets in what loggers of libraries write, some of which log whole URLs; doing it twice changes nothing."""
    for name in names:
        logging.getLogger(name).addFilter(_redaction)
