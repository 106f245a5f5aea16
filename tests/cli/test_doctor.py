import re

import pytest


@pytest.fixture
def published(hub, no_proxy):
    """A server in the place of Hugging Face, which answers for its repositories."""
    hub.add("datasets/microsoft/mocapact-data", "sample/small.tar.gz", b"x")
    hub.add("microsoft/mocapact-models", "sample/experts.tar.gz", b"x")
    return hub


def test_a_machine_without_problems(mocapact, published):
    result = mocapact("doctor", "--json", HF_ENDPOINT=published.url, MUJOCO_GL="disable")
    document = result.json
    # Where the looks take long, progress is told.
    told = [line for line in result.stderr.splitlines() if not line.startswith("Looking: ")]
    assert (result.code, told, document["problems"]) == (0, [], 0)
    assert document["counts"]["ok"] >= 5
    subjects = list(dict.fromkeys(finding["subject"] for finding in document["findings"]))
    assert subjects == [
        "Packages", "GPU", "Processors and memory", "Graphics and film", "Storage", "Network", "Shell",
    ]  # fmt: skip
    named = {finding["name"]: finding for finding in document["findings"]}
    assert named["microsoft/mocapact-data"]["level"] == "ok"
    assert named["OpenGL"]["text"] == "switched off: MUJOCO_GL is disable"
    assert all(finding["remedy"] for finding in document["findings"] if finding["level"] in ("warning", "problem"))
    assert all("\n" not in finding["text"] for finding in document["findings"])
    # A look that failed itself, such as one whose name is wrong.
    assert not [finding for finding in document["findings"] if "could not be looked at" in finding["text"]]


def test_a_problem_is_shown_with_its_remedy_and_exits_with_1(mocapact, tmp_path):
    (tmp_path / "file").write_text("")
    result = mocapact("doctor", MOCAPACT_HOME=str(tmp_path / "file"), MOCAPACT_OFFLINE="1", MUJOCO_GL="disable")
    assert result.code == 1
    assert re.search(r"problem +home +\S+ is no folder *\n +→ export MOCAPACT_HOME=", result.stdout)
    assert re.search(r"note +sources +were not asked: MOCAPACT_OFFLINE is set", result.stdout)
    assert re.search(r"\n1 problem, .*\d s\.\n$", result.stdout)
    assert "\x1b" not in result.stdout


def test_quiet_names_problems_alone(mocapact, tmp_path):
    (tmp_path / "file").write_text("")
    result = mocapact("doctor", "-q", MOCAPACT_HOME=str(tmp_path / "file"), MOCAPACT_OFFLINE="1", MUJOCO_GL="disable")
    assert (result.code, result.stderr) == (1, "")
    assert result.stdout == f"home: {tmp_path / 'file'} is no folder\n"
