"""Synthetic recordings, and the real ones converted once."""

from __future__ import annotations

from pathlib import Path

import pytest
from recordings import amc_text, asf_text, swaying

from mocapact_cli.core.clips.asf import read_asf
from mocapact_cli.core.clips.importing import import_recording
from mocapact_cli.core.clips.recordings import find_skeleton
from mocapact_cli.core.walker import Walker, get_walker


@pytest.fixture(scope="session")
def walker() -> Walker:
    return get_walker()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """A recording with its skeleton beside it."""
    (tmp_path / "07.asf").write_text(asf_text())
    path = tmp_path / "07_01.amc"
    path.write_text(amc_text(swaying(160)))
    return path


@pytest.fixture(scope="session")
def cmu(test_data: Path) -> Path:
    """The folder of real recordings."""
    return test_data / "mocap" / "cmu"


@pytest.fixture(scope="session")
def converted(cmu: Path, walker: Walker):
    """Every real recording: stem -> (clip, report)."""
    result = {}
    for path in sorted(cmu.glob("*.amc")):
        skeleton = find_skeleton(path)
        result[path.stem] = import_recording(path, read_asf(skeleton) if skeleton else None, walker=walker)
    return result
