import dataclasses
import subprocess
import sys
from dataclasses import dataclass

import pytest

from mocapact_cli.core.config_docs import declared_in, docs_of, keys_in
from mocapact_cli.core.policies.zoo import PRESETS as POLICIES
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.transfer.config import TransferConfig


@dataclass
class Base:
    size: int = 3
    """How large."""
    plain: float = 0.0


@dataclass
class Derived(Base):
    size: int = 4
    """How large,
    in two lines."""
    name: "str | None" = None
    """Of it; None for none."""


def test_docstrings_are_read_with_those_that_are_inherited():
    assert docs_of(Derived) == {"size": "How large, in two lines.", "name": "Of it; None for none."}
    assert docs_of(Base) == {"size": "How large."}


def test_what_a_class_declares():
    declared = declared_in(__name__, "Derived")
    assert list(declared) == ["size", "name"]
    assert declared["name"].annotation.strip("'") == "str | None"
    assert declared_in(__name__, "Missing") == declared_in("no.such.module", "X") == declared_in("json", "X") == {}


@pytest.mark.parametrize(
    "config", [ExpertConfig, DistillConfig, TransferConfig, *dict.fromkeys(map(type, POLICIES.values()))]
)
def test_every_setting_says_what_it_is(config):
    docs = docs_of(config)
    assert [field.name for field in dataclasses.fields(config) if not docs.get(field.name)] == []


def test_nothing_is_imported_for_it():
    script = (
        "import sys; from mocapact_cli.core.config_docs import declared_in\n"
        "declared = declared_in('mocapact_cli.core.training.transfer.config', 'TransferConfig')\n"
        "assert 'low_level_policy' in declared; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_without_the_source_there_is_just_no_help(tmp_path, monkeypatch):
    (tmp_path / "broken_source.py").write_text("class X:\n    def (")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert declared_in("broken_source", "X") == {}


TABLE: dict[str, int] = {"one": 1, "two": 2}
WORDS = ("a", "b")


def test_tables_are_read_without_importing_their_module():
    assert keys_in(__name__, "TABLE") == ["one", "two"]
    assert keys_in(__name__, "WORDS") == ["a", "b"]
    assert keys_in(__name__, "MISSING") == keys_in("no.such.module", "X") == keys_in(__name__, "Base") == []
