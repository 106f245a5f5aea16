import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tar_archives import Entry, tar

from mocapact_cli.core.remote.gzip_stream import DamagedError
from mocapact_cli.core.remote.tar_headers import next_member


def members(data):
    content, found = io.BytesIO(data), []
    while (member := next_member(content)) is not None:
        found.append(member)
        content.seek(member.end)
    return found


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=150)


@pytest.mark.parametrize("layout", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(NAMES.filter(lambda name: name not in (".", "..")), st.binary(max_size=2000)), max_size=4))
def test_members_are_those_that_tarfile_finds(layout, entries):
    if layout == tarfile.USTAR_FORMAT:
        entries = [(f"{index}.hdf5", content) for index, (_, content) in enumerate(entries)]
    data = tar(entries, layout)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        expected = [(info.name, info.size, info.offset, info.offset_data) for info in archive]
    assert [(one.name, one.size, one.header, one.data) for one in members(data)] == expected
    assert [data[one.data : one.data + one.size] for one in members(data)] == [content for _, content in entries]


@pytest.mark.parametrize(
    ("flag", "kind"),
    [
        (tarfile.REGTYPE, "file"),
        (tarfile.DIRTYPE, "folder"),
        (tarfile.SYMTYPE, "link"),
        (tarfile.LNKTYPE, "link"),
        (tarfile.CHRTYPE, "other"),
        (tarfile.FIFOTYPE, "other"),
    ],
)
def test_kinds_are_told_apart(flag, kind):
    assert [one.kind for one in members(tar([Entry("a", b"", flag, "b"), Entry("c", b"x")]))] == [kind, "file"]


def test_a_sparse_file_is_no_plain_file():
    info = tarfile.TarInfo("a")
    info.size, info.pax_headers = 512, {"GNU.sparse.size": "99999999", "GNU.sparse.map": "0,512"}
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(bytes(512)))
    assert [one.kind for one in members(output.getvalue())] == ["other"]


@pytest.mark.parametrize("size", [0, 1, 511, 1024 + 511])
def test_an_archive_that_ends_in_a_header_is_damaged(size):
    with pytest.raises(DamagedError, match="ends early"):
        members(tar([("a", b"x"), ("b", b"y")])[:size])


def test_what_is_no_archive_is_said_to_be_none():
    with pytest.raises(DamagedError, match="not a tar archive"):
        members(b"<html>" * 200)
    with pytest.raises(DamagedError, match="no member begins at byte 1,024"):
        members(tar([("a", b"x")])[:1024] + b"x" * 1024)


def long_header(size):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("size", [2 << 20, 1 << 40])
def test_headers_are_bounded(size):
    with pytest.raises(DamagedError, match="absurdly long"):
        members(long_header(size) + b"n" * 3_000_000)


@pytest.mark.parametrize("flag", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_chain_of_headers_is_bounded(flag):
    info = tarfile.TarInfo("x")
    info.type = flag
    with pytest.raises(DamagedError):
        members(info.tobuf(tarfile.GNU_FORMAT) * 50_000)


def test_a_negative_size_is_damage():
    info = tarfile.TarInfo("a")
    info.size = -1024
    with pytest.raises(DamagedError, match="negative size"):
        members(tar([("b", b"")])[:512] + info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 2000))
def test_damage_is_always_named(noise, place):
    data = tar([("a", b"x" * 600), ("b", b"y")])
    try:
        members(data[:place] + noise + data[place + len(noise) :])
    except DamagedError:
        return
