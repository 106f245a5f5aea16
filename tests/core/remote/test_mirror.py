from __future__ import annotations

import pytest
from http_server import Fault

from mocapact_cli.core.errors import InvalidInputError
from mocapact_cli.core.remote.files import TransientError
from mocapact_cli.core.remote.mirror import INDEX, MirrorSource, NoListError


@pytest.fixture
def source(server) -> MirrorSource:
    return MirrorSource(server.url)


def test_the_index_names_the_files(server, source: MirrorSource) -> None:
    server.add(INDEX, b"./b/2.txt\na/1.txt\n\nb/1.txt\n")
    assert [file.name for file in source.files("b/")] == ["b/1.txt", "b/2.txt"]


def test_without_an_index_or_with_another_file_in_its_place_there_is_no_list(server, source: MirrorSource) -> None:
    with pytest.raises(NoListError, match=INDEX):
        list(source.files(""))
    server.add(INDEX, b"\xff\xfe\xff")
    with pytest.raises(InvalidInputError, match="not a text"):
        list(source.files(""))


def test_an_index_that_breaks_off_is_worth_another_attempt(server, source: MirrorSource) -> None:
    server.add(INDEX, b"a.txt\nb.txt\n")
    server.faults.append(Fault(cut=3))
    with pytest.raises(TransientError, match=r"broke off index\.txt"):
        list(source.files(""))
    assert [file.name for file in source.files("")] == ["a.txt", "b.txt"]
