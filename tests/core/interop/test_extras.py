from __future__ import annotations

import json
import json.decoder
import sys

import pytest

from mocapact_cli.core.errors import MissingDependencyError
from mocapact_cli.core.interop.extras import require


def test_the_last_package_is_returned() -> None:
    assert require("json", "json.decoder", purpose="tests") is json.decoder


@pytest.mark.parametrize("name", ["minari", "minari.dataset.minari_storage"])
def test_a_missing_package_is_named_with_the_command_that_brings_it(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="minari is not installed, which Minari datasets need") as it:
        require(name, purpose="Minari datasets")
    assert it.value.hint == "pip install 'mocapact[export]'"
