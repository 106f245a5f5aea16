"""A copy of the published files behind any web server.

Web servers have no common way to list files, and the pages that some make for people differ. So the names are known
(those of the original layout), or stand in a plain text file `index.txt` at the top, one path a line, as
`find . -type f > index.txt` writes them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, RunError
from mocapact_cli.core.remote.files import RemoteFile
from mocapact_cli.core.remote.http import HttpSource

if TYPE_CHECKING:
    from collections.abc import Iterator

INDEX = "index.txt"
_LARGEST_INDEX = 1 << 26


class NoListError(RunError):
    """A source does not say which files it has."""


class MirrorSource(HttpSource):
    """The files below one URL."""

    _names: tuple[str, ...] | None = None

    def files(self, prefix: str) -> Iterator[RemoteFile]:
        """The files in `index.txt` whose name starts with a prefix; their sizes are not known.

        Raises:
            NoListError: There is no index.
            TransientError: The connection broke off.
            InvalidInputError: It is not a text of names.
        """
        if self._names is None:
            self._names = tuple(sorted(set(self._index())))
        for name in self._names:
            if name.startswith(prefix):
                yield RemoteFile(name)

    def _index(self) -> Iterator[str]:
        try:
            response = self.send("GET", INDEX)
        except NotFoundError:
            response = None
        if response is None:
            raise NoListError(f"{self.label} has no {INDEX} that lists its files.", hint="Name the files.")
        with contextlib.closing(response):
            content = self.body(response, INDEX, _LARGEST_INDEX)
        try:
            lines = content.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise InvalidInputError(f"{INDEX} of {self.label} is not a text.", hint="One path a line.") from None
        return (line.strip().removeprefix("./") for line in lines if line.strip())
