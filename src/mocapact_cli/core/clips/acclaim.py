"""What both of Acclaim's text formats, skeletons and motions, have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, NoReturn

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.paths import existing_file

if TYPE_CHECKING:
    from pathlib import Path


def read_text(path: Path) -> str:
    """Return the text of a file; what is not UTF-8 becomes question marks.

    Raises:
        NotFoundError: There is no such file.
    """
    return existing_file(path).read_bytes().decode("utf-8", errors="replace")


class Parser(ABC):
    """Reads a text line by line; what follows a `#` is a comment.

    Args:
        path: Named in messages.
    """

    kind: ClassVar[str]
    """What the text should be, with the ending of such files."""

    def __init__(self, path: str) -> None:
        self.path, self.line = path, 0

    def read_lines(self, text: str) -> None:
        """Read all lines.

        Raises:
            InvalidInputError: One of them makes no sense; the message names it.
        """
        for number, line in enumerate(text.splitlines(), start=1):
            self.line = number
            words = line.split("#", maxsplit=1)[0].split()
            if words:
                self.read(words)

    @abstractmethod
    def read(self, words: list[str]) -> None:
        """Read the words of a line, at least one."""

    def fail(self, problem: str) -> NoReturn:
        """Say what is wrong with the present line.

        Raises:
            InvalidInputError: Always.
        """
        raise InvalidInputError(
            f"{self.path}, line {self.line}: {problem}.", hint=f"Is this an Acclaim {self.kind}, and complete?"
        )
