import json
import os

import pytest

from mocapact_cli.core.clips import names
from mocapact_cli.core.clips.built_in import NUM_STEPS
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.mocap_h5 import MocapFile, write_clips
from mocapact_cli.core.paths import cache_dir, data_dir


@pytest.fixture
def kept():
    path = data_dir("mocap") / "kept.h5"
    write_clips(path, [demo("demo_squat").slice(0, 20), demo("demo_reach").slice(0, 30)])
    return path


def test_the_names_are_those_that_a_command_would_find(kept, tmp_path):
    given = tmp_path / "given.h5"
    write_clips(given, [demo("demo_walk").slice(0, 10)])
    library = open_library([given])
    assert names.clips_at_hand([given]) == {name: library.num_steps(name) for name in library.ids()}


def test_a_file_that_is_known_is_not_opened_again(kept, monkeypatch):
    first = names.clips_in(kept)
    monkeypatch.setattr(MocapFile, "table", lambda file: pytest.fail("opened again"))
    assert names.clips_in(kept) == first == {"demo_squat": 21, "demo_reach": 31}


def test_a_file_that_changed_is_read_again(kept):
    names.clips_in(kept)
    write_clips(kept, [demo("demo_walk").slice(0, 10)], force=True)
    assert names.clips_in(kept) == {"demo_walk": 11}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"clips": 3}', '{"clips": {"a": "b"}}'])
def test_a_damaged_note_is_made_anew(kept, text):
    names.clips_in(kept)
    (note,) = (cache_dir() / "clips").iterdir()
    note.write_text(text)
    assert names.clips_in(kept) == {"demo_squat": 21, "demo_reach": 31}
    assert json.loads(note.read_text())["clips"] == {"demo_squat": 21, "demo_reach": 31}


def test_files_that_cannot_be_read_are_left_out(kept, tmp_path):
    (data_dir("mocap") / "broken.h5").write_bytes(b"no hdf5")
    assert names.clips_at_hand([tmp_path / "missing.h5"]) == {**NUM_STEPS, "demo_squat": 21, "demo_reach": 31}


def test_a_home_that_cannot_be_written_only_costs_time(kept, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(names, "write_json", full)
    assert names.clips_in(kept) == {"demo_squat": 21, "demo_reach": 31}
    assert not os.path.exists(cache_dir() / "clips")  # noqa: PTH110
