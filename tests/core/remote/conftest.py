"""Nothing stands between the tests and their servers."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _straight(no_proxy: None) -> None:
    """Leave the machine's own proxy out."""
