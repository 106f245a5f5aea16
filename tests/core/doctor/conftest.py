"""What tests of the doctor share."""

from __future__ import annotations

import os

import pytest

from mocapact_cli.core.doctor import packages


@pytest.fixture
def only():
    """A function that returns the one finding of a name."""

    def pick(findings, name):
        (found,) = [finding for finding in findings if finding.name == name]
        return found

    return pick


@pytest.fixture
def installed_package(tmp_path, monkeypatch):
    """A function that puts a package's record before those that are installed: name, version, what it asks for."""
    site = tmp_path / "site"

    def install(name, version, *requires, python=">=3.11"):
        record = site / f"{name.replace('-', '_')}-{version}.dist-info"
        record.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Requires-Python: {python}"]
        (record / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {one}" for one in requires)]) + "\n")

    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    packages.requirements.cache_clear()
    yield install
    packages.requirements.cache_clear()


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """A function that writes modules which child processes import in place of the installed ones: name -> source."""
    folder = tmp_path / "stand_ins"

    def write(package=None, **modules):
        for name, source in {**(package or {}), **modules}.items():
            path = folder / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))

    return write
