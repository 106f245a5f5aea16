"""Sending a parcel to a repository on Hugging Face, in one commit: it arrives whole or not at all."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mocapact_cli.core.errors import AccessError, RunError, UsageError, first_line
from mocapact_cli.core.interop.extras import require
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.publish.card import LICENCE, make_card
from mocapact_cli.core.publish.parcel import CARD
from mocapact_cli.core.remote.http import check_online
from mocapact_cli.core.remote.huggingface import TOKEN_VARIABLE, endpoint, token
from mocapact_cli.core.remote.secrets import redact, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TypeVar

    from mocapact_cli.core.progress import Progress
    from mocapact_cli.core.publish.parcel import Parcel

    T = TypeVar("T")

_TOGETHER = 64
"""Files that are sent together; the bar moves after each lot."""


@dataclass(frozen=True)
class Pushed:
    """What was sent.

    Attributes:
        repository: Its full name.
        url: Where it can be looked at.
        commit: Which it is now.
        created: Whether the repository was made for it.
    """

    repository: str
    url: str
    commit: str
    created: bool


def with_card(parcel: Parcel, repository: str, *, licence: str = LICENCE) -> dict[str, Path | bytes]:
    """Return all that is sent, with its page; one that lies in the folder already is taken instead."""
    page: Mapping[str, Path | bytes] = {CARD: make_card(parcel, repository, licence=licence).encode()}
    return {**page, **parcel.files}


def push(
    parcel: Parcel,
    repository: str,
    *,
    files: Mapping[str, Path | bytes],
    private: bool = False,
    message: str = "",
    progress: Progress | None = None,
) -> Pushed:
    """Send a parcel to a repository, which is made where there is none.

    Args:
        parcel: What is sent.
        repository: `owner/name`, or a name below the token's account.
        files: All files, from `with_card`.
        private: Whether a new repository is private.
        message: Of the commit.
        progress: Told how much is sent.

    Raises:
        MissingDependencyError: The package huggingface_hub is not installed.
        UsageError: The name is none of a repository.
        AccessError: There is no token, or it is wrong, expired or not allowed to write there.
        RunError: The server cannot be reached or refuses.
    """
    library = require("huggingface_hub", purpose="pushes", extra="push")
    _check_name(repository)
    known = _token()
    check_online(without_secrets(endpoint()))
    require("huggingface_hub.utils", purpose="pushes", extra="push").disable_progress_bars()
    api = library.HfApi(endpoint=endpoint(), token=known, library_name="mocapact")
    kind = parcel.repository_kind
    repository = _full_name(api, repository)
    created = not _asked(api, lambda: api.repo_exists(repository, repo_type=kind))
    if private and not created:
        _check_private(api, repository, kind)
    place = _asked(api, lambda: api.create_repo(repository, repo_type=kind, private=private or None, exist_ok=True))
    operations = [
        library.CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]
    with (progress or NullProgress()).task(f"Sending to {place.repo_id}", _bytes(operations), "B") as task:
        for lot in _lots(operations):
            send = functools.partial(api.preupload_lfs_files, place.repo_id, lot, repo_type=kind, free_memory=False)
            _asked(api, send)
            task.advance(_bytes(lot))
        commit = _asked(
            api,
            lambda: api.create_commit(
                place.repo_id, operations, commit_message=message or f"Add {parcel.kind}", repo_type=kind
            ),
        )
    return Pushed(place.repo_id, str(place), str(commit.oid), created)


def _full_name(api: Any, repository: str) -> str:
    """The name with its owner: the token's account where it has none."""
    return repository if "/" in repository else f"{_asked(api, api.whoami)['name']}/{repository}"


def _check_private(api: Any, repository: str, kind: str) -> None:
    """See that a repository which is there is private: asking for it again does not make it so."""
    if not _asked(api, lambda: api.repo_info(repository, repo_type=kind)).private:
        raise UsageError(
            f"{repository} is there already, and public.", hint="Make it private there first, or leave out --private."
        )


def _token() -> str:
    known = token()
    if known is None:
        raise AccessError(
            "There is no token for Hugging Face.",
            hint=f"Run `hf auth login`, or give one that may write in {TOKEN_VARIABLE}.",
        )
    return known


def _check_name(repository: str) -> None:
    """See that a name could be a repository's, before anything is asked for that another name would need too."""
    errors = require("huggingface_hub.errors", purpose="pushes", extra="push")
    try:
        require("huggingface_hub.utils", purpose="pushes", extra="push").validate_repo_id(repository)
    except errors.HFValidationError as error:
        raise UsageError(
            f"No repository can be called {repository!r}.", hint="A repository is called owner/name."
        ) from error


def _lots(operations: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(operations), _TOGETHER):
        yield operations[start : start + _TOGETHER]


def _bytes(operations: list[Any]) -> int:
    return sum(operation.upload_info.size for operation in operations)


def _asked(api: Any, act: Callable[[], T]) -> T:
    """Do something at the server; what goes wrong is said in our words."""
    errors = require("huggingface_hub.errors", purpose="pushes", extra="push")
    where = without_secrets(api.endpoint)
    failure: Exception
    try:
        return act()
    except errors.HfHubHTTPError as error:
        failure = _of_answer(error, where)
    except (errors.HTTPError, OSError) as error:
        hint = "Check the network, then run the same command again."
        failure = RunError(f"{where} cannot be reached: {_said(error)}.", hint=hint)
    except ValueError as error:
        failure = RunError(f"{where} makes no sense: {_said(error)}.", hint="Check HF_ENDPOINT.")
    # Not inside the block: the library's exception holds the request, token and all, and would be chained to this one.
    raise failure


def _of_answer(error: Any, where: str) -> Exception:
    status = error.response.status_code
    said = redact(str(error.server_message or "").strip().partition("\n")[0])
    about = f"HTTP {status}{f': {said}' if said else ''}"
    if status in (401, 403):
        hint = f"The token in {TOKEN_VARIABLE} (or stored by `hf auth login`) is wrong, expired or may not write there."
        return AccessError(f"{where} refuses the push ({about}).", hint=hint)
    if status == 404:
        return AccessError(f"{where} has no such place for this token ({about}).", hint="Check the owner's name.")
    return RunError(f"{where} refuses the push ({about}).", hint="Run the same command again, perhaps later.")


def _said(error: BaseException) -> str:
    """Return what a library says, without the token that may stand in it."""
    return redact(first_line(error))
