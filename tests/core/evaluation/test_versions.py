from __future__ import annotations

import importlib.metadata

from mocapact_cli import __version__
from mocapact_cli.core.evaluation.versions import versions


def test_versions_are_those_that_are_installed() -> None:
    installed = {name: importlib.metadata.version(name) for name in ("mujoco", "numpy")}
    found = versions()
    assert {name: found[name] for name in installed} == installed
    assert found["mocapact"] == __version__
    assert found["torch"]
