"""A small dataset that something can be learned from."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def rollouts(tmp_path_factory: pytest.TempPathFactory, write_rollouts) -> list[Path]:
    return sorted(write_rollouts(tmp_path_factory.mktemp("rollouts")).glob("*.hdf5"))
