import json
import subprocess
import sys

import pytest

from mocapact_cli.core.errors import InvalidInputError, RunError
from mocapact_cli.core.remote.files import Checksum, RemoteFile
from mocapact_cli.core.remote.folder import RECORDS_NAME, Records, check_space, inside, locked

ONE = RemoteFile("data/a", 3, '"one"')


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data" / "a"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    return path


def test_one_process_at_a_time(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from mocapact_cli.core.remote.folder import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): pass\n"
    )
    folder = tmp_path / "new" / "folder"
    with locked(folder):
        other = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
        assert f"Another process is fetching files into {folder}." in other.stderr
        with pytest.raises(RunError, match="Another process"), locked(folder):
            pass
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file") as caught, locked(tmp_path / "file" / "folder"):
        pass
    assert str(caught.value.filename).startswith(str(tmp_path / "file"))


@pytest.mark.parametrize("name", ["a", "a/b.hdf5", "a b/ü.gz", "...", "a/.hidden"])
def test_names_become_places_below_the_folder(tmp_path, name):
    assert inside(tmp_path, name).relative_to(tmp_path).as_posix() == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../a", "a/../../b", "a//b", "a/", ".", "a\\..\\b", "a\0b", "a\nb", "x/\x1b[2J"),
        *(".mocapact.lock", RECORDS_NAME, "a/.b.partial", ".b.partial.json", ".b.partial.json.new"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="no safe name"):
        inside(tmp_path, name)


def test_too_little_space_is_named(tmp_path):
    check_space(tmp_path / "not" / "made", 1)
    with pytest.raises(RunError, match="are still to come"):
        check_space(tmp_path / "not" / "made", 1 << 60)


def test_a_record_outlives_the_process(tmp_path, path):
    Records(tmp_path).add(path, ONE)
    assert Records(tmp_path).complete(path, ONE)
    assert not Records(tmp_path).complete(path, RemoteFile("data/a", 3, '"two"'))
    assert not Records(tmp_path).complete(path, RemoteFile("data/a", 4, '"one"'))


def test_what_was_never_recorded_is_not_complete(tmp_path, path):
    assert not Records(tmp_path).complete(path, ONE)


def test_a_file_that_is_gone_or_shorter_is_not_complete(tmp_path, path):
    records = Records(tmp_path)
    records.add(path, ONE)
    path.write_bytes(b"ab")
    assert not records.complete(path, ONE)
    path.unlink()
    assert not records.complete(path, ONE)


def test_equal_checksums_outweigh_versions(tmp_path, path):
    checksum = Checksum("md5", "00" * 16)
    records = Records(tmp_path)
    records.add(path, RemoteFile("data/a", 3, '"one"', checksum))
    assert records.complete(path, RemoteFile("data/a", 3, '"elsewhere"', checksum))
    assert not records.complete(path, RemoteFile("data/a", 3, '"one"', Checksum("md5", "11" * 16)))


def test_a_file_with_a_checksum_that_was_touched_is_read_again(tmp_path, path):
    file = RemoteFile("data/a", 3, '"one"', Checksum("md5", "00" * 16))
    records = Records(tmp_path)
    records.add(path, file)
    path.write_bytes(b"xyz")
    assert not records.complete(path, file)


def test_files_of_a_source_without_versions_are_taken_for_what_they_were(tmp_path, path):
    records = Records(tmp_path)
    records.add(path, RemoteFile("data/a", 3))
    assert records.complete(path, RemoteFile("data/a", 3))
    assert records.complete(path, RemoteFile("data/a"))
    assert not records.complete(path, RemoteFile("data/a", 4))
    assert not records.complete(path, ONE)


@pytest.mark.parametrize(
    "damage", [b'{"path": "x", "na', b"\xff\xfe\n", b"[1]\n", b"null\n", b'{"path": "a"}\n', b"{" * 9999]
)
def test_damaged_lines_cost_only_themselves(tmp_path, path, damage):
    Records(tmp_path).add(path, ONE)
    with (tmp_path / RECORDS_NAME).open("ab") as stream:
        stream.write(damage)
    other = path.with_name("b")
    other.write_bytes(b"abc")
    Records(tmp_path).add(other, RemoteFile("data/b", 3, '"one"'))
    records = Records(tmp_path)
    assert records.complete(path, ONE)
    assert records.complete(other, RemoteFile("data/b", 3, '"one"'))


def note(path, **changes):
    content = {
        "format": 1,
        "name": "data/a",
        "size": 3,
        "version": '"one"',
        "checksum": None,
        "mismatched": False,
        "finished": True,
        "done": [[0, 3]],
    }
    sidecar = path.with_name(f".{path.name}.partial.json")
    sidecar.write_text(json.dumps(content | changes))
    return sidecar


def test_a_file_put_in_place_by_a_process_that_died_before_it_said_so_is_complete(tmp_path, path):
    sidecar = note(path)
    assert Records(tmp_path).complete(path, ONE)
    assert not sidecar.exists()
    assert Records(tmp_path).complete(path, ONE)


def test_a_process_that_died_before_that_step_has_completed_nothing(tmp_path, path):
    note(path)
    path.with_name(".a.partial").write_bytes(b"new")
    assert not Records(tmp_path).complete(path, ONE)
    path.with_name(".a.partial").unlink()
    note(path, finished=False)
    assert not Records(tmp_path).complete(path, ONE)
    note(path, size=4)
    assert not Records(tmp_path).complete(path, ONE)


def test_a_read_only_folder_is_named(small_disk):
    disk = small_disk(100)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(OSError, match="Read-only") as caught, locked(disk):
        pass
    assert caught.value.filename == str(disk)
