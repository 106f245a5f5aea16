import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.built_in import DEMOS
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import MocapFile, write_clips
from mocapact_cli.core.walker import get_walker
from mocapact_cli.core.walker.model import _DEFAULT_ARENA, _cache_key


@pytest.fixture
def mocapact(mocapact, mocapact_home: Path):
    """The program, with the walker compiled already."""
    get_walker().save(
        mocapact_home / "cache" / "walker" / _cache_key(importlib.metadata.version("dm_control"), _DEFAULT_ARENA)
    )
    return mocapact


@pytest.fixture
def cmu(test_data: Path) -> Path:
    return test_data / "mocap" / "cmu"


def fails(result, code, *texts):
    """One clear line (and perhaps a hint) on stderr, nothing on stdout, the right exit code."""
    assert (result.code, result.stdout) == (code, ""), result
    lines = [line for line in result.stderr.splitlines() if line]
    assert 1 <= len(lines) <= 2, result.stderr
    assert lines[0].startswith("Error: ")
    for text in texts:
        assert text in result.stderr


def test_list_shows_the_built_in_clips(mocapact):
    human, document, quiet = (
        mocapact("clips", "list"),
        mocapact("clips", "list", "--json"),
        mocapact("clips", "list", "-q"),
    )
    assert human.code == document.code == quiet.code == 0
    assert quiet.stdout.split() == list(DEMOS)
    assert all(clip in human.stdout for clip in DEMOS)
    assert document.json["clips"][1] == {
        "id": "demo_squat",
        "num_steps": 61,
        "dt": 0.03,
        "duration": pytest.approx(1.8),
        "source": "built-in",
        "snippets": 1,
    }


def test_list_of_a_file_and_a_subset(mocapact, test_data):
    file = test_data / "published" / "cmu_test_2020.h5"
    assert mocapact("clips", "list", "-q", "--mocap", file).stdout.split()[:2] == ["CMU_016_22", "CMU_040_12"]
    subset = mocapact("clips", "list", "-q", "--mocap", file, "--subset", "walk_tiny")
    assert (subset.stdout, subset.stderr) == ("CMU_016_22\n", "")
    fails(mocapact("clips", "list", "--subset", "walk_tinny"), 3, "walk_tiny")


def test_a_damaged_file_at_home_is_a_warning(mocapact, mocapact_home):
    folder = mocapact_home / "data" / "mocap"
    folder.mkdir(parents=True)
    (folder / "half.h5").write_bytes(b"\x89HDF")
    result = mocapact("clips", "list", "--json")
    assert (result.code, len(result.json["clips"])) == (0, len(DEMOS))
    assert "Warning" in result.stderr
    assert "half.h5" in result.stderr


def test_show(mocapact):
    document = mocapact("clips", "show", "demo_walk", "--json").json
    assert (document["num_steps"], document["snippets"]) == (191, ["demo_walk-0-190"])
    assert document["max_joint_velocity"] == pytest.approx(np.abs(demo("demo_walk").joints_velocity).max())
    human = mocapact("clips", "show", "demo_walk").stdout
    for text in ("demo_walk", "Foot skate", "Lowest point", "built-in"):
        assert text in human


def test_snippets(mocapact):
    result = mocapact("clips", "snippets", "demo_walk", "demo_reach", "-q")
    assert result.stdout.split() == ["demo_walk-0-190", "demo_reach-0-150"]
    document = mocapact("clips", "snippets", "demo_walk", "--json").json
    assert document["snippets"] == [
        {"snippet": "demo_walk-0-190", "clip": "demo_walk", "start_step": 0, "end_step": 190}
    ]


@pytest.mark.parametrize("command", ["show", "snippets"])
def test_an_unknown_clip_suggests_the_nearest(mocapact, command):
    fails(mocapact("clips", command, "demo_wark"), 3, "demo_wark", "demo_walk")


def test_import_reports_as_table_and_json(mocapact, cmu, tmp_path):
    human = mocapact("clips", "import", cmu / "07_01.amc", "--asf", cmu / "07.asf", "-o", "walk.h5")
    assert human.code == 0, human.stderr
    for text in ("CMU_007_01", "1.219", "rhumerusrz", "walk.h5"):
        assert text in human.stdout
    document = mocapact("clips", "import", cmu / "07_01.amc", "-o", "again.h5", "--json").json
    (clip,) = document["clips"]
    assert (clip["clip_id"], clip["num_steps"], clip["scale_source"]) == ("CMU_007_01", 85, "skeleton")
    assert {"clamped_share", "repaired_share", "lowest_point", "foot_skate", "root_speed", "max_joint_velocity",
            "worst_clamped", "height_offset", "notes"} <= set(clip)  # fmt: skip
    ours, again = (MocapFile(tmp_path / name).get("CMU_007_01") for name in ("walk.h5", "again.h5"))
    assert ours.qpos().tobytes() == again.qpos().tobytes()


def test_import_without_a_skeleton_is_a_note(mocapact, cmu):
    result = mocapact("clips", "import", cmu / "141_01.amc", cmu / "16_35.amc", "-o", "x.h5")
    assert result.code == 0
    assert "Note: no skeleton" in result.stderr
    assert "CMU_141_01, CMU_016_35" in result.stderr
    assert "est." in result.stdout
    quiet = mocapact("clips", "import", cmu / "141_01.amc", "-o", "y.h5", "--quiet")
    assert (quiet.code, quiet.stdout, quiet.stderr) == (0, "y.h5\n", "")


def test_import_names_clips_and_finds_skeletons(mocapact, cmu, tmp_path):
    result = mocapact("clips", "import", cmu / "charleston1.amc", "-o", "x.h5", "--json")
    assert result.json["clips"][0]["clip_id"] == "charleston1"
    assert result.json["clips"][0]["skeleton"].endswith("charleston.asf")
    assert mocapact("clips", "import", cmu / "09_01.amc", "-o", "x.h5", "--append", "--id", "run").code == 0
    assert MocapFile(tmp_path / "x.h5").ids() == ("charleston1", "run")


def test_import_refuses_what_exists(mocapact, cmu, tmp_path):
    write_clips(tmp_path / "walk.h5", [demo("demo_walk")])
    before = (tmp_path / "walk.h5").read_bytes()
    fails(mocapact("clips", "import", cmu / "09_01.amc", "-o", "walk.h5"), 2, "already exists", "--append", "--force")
    assert (tmp_path / "walk.h5").read_bytes() == before
    fails(
        mocapact("clips", "import", cmu / "09_01.amc", "-o", "walk.h5", "--append", "--id", "demo_walk"),
        2, "already holds demo_walk",
    )  # fmt: skip
    assert mocapact("clips", "import", cmu / "09_01.amc", "-o", "walk.h5", "--force").code == 0
    assert MocapFile(tmp_path / "walk.h5").ids() == ("CMU_009_01",)


def test_import_of_bad_files(mocapact, cmu, tmp_path):
    text = (cmu / "09_01.amc").read_text()
    (tmp_path / "cut.amc").write_text(text[: len(text) // 2])
    (tmp_path / "empty.amc").touch()
    (tmp_path / "tail.amc").write_text(text.replace("lthumb", "ltail"))
    (tmp_path / "film.amc").write_bytes(b"\x00\x01\xff" * 1000)
    for name, problem in (("cut", "line "), ("empty", "line 0"), ("tail", "ltail"), ("film", "line 1")):
        result = mocapact("clips", "import", f"{name}.amc", "-o", "x.h5")
        fails(result, 4, f"{name}.amc", problem)
    good = cmu / "09_01.amc"
    fails(mocapact("clips", "import", good, "--asf", "none.asf", "-o", "x.h5"), 3, "none.asf does not exist")
    fails(mocapact("clips", "import", good, "--asf", cmu / "07.asf", "-o", "x.h5"), 4, "another subject")
    fails(mocapact("clips", "import", good, "--asf", good, "-o", "x.h5"), 4, "09_01.amc, line")
    fails(mocapact("clips", "import", "none.amc", "-o", "x.h5"), 3, "none.amc does not exist")
    fails(mocapact("clips", "import", good, "-o", "."), 2, "is a folder")
    assert not list(tmp_path.glob("*.h5"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_import_into_a_read_only_folder(mocapact, cmu, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    fails(mocapact("clips", "import", cmu / "09_01.amc", "-o", folder / "x.h5"), 1, "Permission denied")


def test_import_below_a_file(mocapact, cmu, tmp_path):
    (tmp_path / "file").touch()
    fails(mocapact("clips", "import", cmu / "09_01.amc", "-o", "file/x.h5"), 2, "file is not a folder")


def test_errors_as_json(mocapact):
    result = mocapact("clips", "show", "demo_wark", "--json")
    assert result.code == 3
    assert result.json["error"]["type"] == "NotFoundError"
    assert "demo_walk" in result.json["error"]["hint"]


def test_play_films_a_snippet(mocapact, opengl, tmp_path):
    result = mocapact("clips", "play", "demo_walk-0-20", "-o", "walk.gif", "--width", 64, "--height", 64, "--json")
    assert result.code == 0, result.stderr
    assert result.json == {"path": "walk.gif", "snippet": "demo_walk-0-20"}
    assert (tmp_path / "walk.gif").read_bytes().startswith(b"GIF8")
    before = (tmp_path / "walk.gif").read_bytes()
    fails(mocapact("clips", "play", "demo_walk", "-o", "walk.gif"), 2, "already exists")
    assert (tmp_path / "walk.gif").read_bytes() == before
    (tmp_path / "folder.gif").mkdir()
    fails(mocapact("clips", "play", "demo_walk", "-o", "folder.gif"), 2, "is a folder")
    fails(mocapact("clips", "play", "demo_walk", "-o", "walk.avi"), 2, ".mp4, .gif or .png")


def test_play_of_what_is_not_there(mocapact):
    fails(mocapact("clips", "play", "demo_wark-0-20", "-o", "x.mp4"), 3, "demo_walk")
    fails(mocapact("clips", "play", "demo_walk-0-500", "-o", "x.mp4"), 4, "ends at step 190")
    fails(mocapact("clips", "play", "demo_walk-9-5", "-o", "x.mp4"), 4)


def test_listing_imports_nothing_heavy():
    code = (
        "import sys; from mocapact_cli.cli.main import invoke; invoke(['clips', 'list', '-q']);"
        "sys.exit(any(name in sys.modules for name in ('dm_control', 'torch', 'mujoco')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_people_see_no_noise_of_rounding(mocapact):
    shown = mocapact("clips", "show", "demo_walk").stdout
    assert "e-" not in shown
    assert ["demo_step", "201", "6.00"] in [line.split()[:3] for line in mocapact("clips", "list").stdout.splitlines()]
