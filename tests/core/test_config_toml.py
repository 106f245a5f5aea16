"""A configuration, written as TOML and read back, is the same."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.config import from_dict, load_toml
from mocapact_cli.core.config_docs import docs_of
from mocapact_cli.core.config_toml import to_toml
from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.zoo import PRESETS as POLICIES
from mocapact_cli.core.training.distillation.config import EVAL_MODES, RECIPES
from mocapact_cli.core.training.distillation.config import resolve as resolve_distillation
from mocapact_cli.core.training.expert.config import PRESETS as EXPERTS
from mocapact_cli.core.training.expert.config import ExpertConfig
from mocapact_cli.core.training.expert.config import resolve as resolve_expert
from mocapact_cli.core.training.transfer.config import PRESETS as TRANSFERS
from mocapact_cli.core.training.transfer.config import TransferConfig
from mocapact_cli.core.training.transfer.config import resolve as resolve_transfer


@dataclass(frozen=True)
class Net:
    layers: tuple[int, ...] = (64, 64)
    """Widths."""
    rate: float | None = 0.1
    """Step size; None for none."""


@dataclass(frozen=True)
class Config:
    count: int = 100
    rate: float = 1e-3
    name: str | None = None
    text: str = ""
    out: Path = Path("runs")
    start: Literal["pd", "none"] | Path = "pd"
    limit: float | None = None
    source: Path | None = None
    flag: bool = False
    span: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    net: Net = field(default_factory=Net)


texts = st.text(st.characters(exclude_categories=("Cs",)))
paths = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1).map(Path)
numbers = st.floats(allow_nan=False)
plain = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=6,
)


@given(
    st.builds(
        Config,
        count=st.integers(),
        rate=numbers,
        name=st.none() | texts,
        text=texts,
        out=paths,
        start=st.sampled_from(["pd", "none"]) | paths,
        limit=st.none() | numbers,
        source=st.none() | paths,
        flag=st.booleans(),
        span=st.tuples(numbers, numbers),
        names=st.lists(texts).map(tuple),
        more=st.dictionaries(texts, plain, max_size=4),
        net=st.builds(Net, layers=st.lists(st.integers()).map(tuple), rate=st.none() | numbers),
    )
)
def test_any_configuration_comes_back(config):
    assert from_dict(Config, tomllib.loads(to_toml(config))) == config


@pytest.mark.parametrize("path", ["none", "pd", ".", "a/none", "/none"])
def test_a_path_is_not_taken_for_a_word(path):
    config = Config(start=Path(path), source=Path(path))
    assert from_dict(Config, tomllib.loads(to_toml(config))) == config


def test_what_has_no_form_in_toml_is_refused():
    @dataclass(frozen=True)
    class Named:
        name: str | None = "x"

    with pytest.raises(UsageError, match=r"Named\.name"):
        to_toml(Named(None))
    with pytest.raises(UsageError, match="TOML"):
        to_toml(Config(more={"nothing": None}))


def test_every_setting_is_explained_above_its_line():
    text = to_toml(Net(rate=None))
    assert text == '# Widths.\nlayers = [64, 64]\n# Step size; "none" for none.\nrate = "none"\n'


def test_large_numbers_and_long_lists_are_readable():
    text = to_toml(Net(layers=tuple(range(100_000, 100_030))))
    assert "    100_000,\n    100_001,\n" in text
    assert max(map(len, text.splitlines())) <= 100


EXPERT_CHANGES = {
    "total_timesteps": st.integers(1, 10**9),
    "max_minutes": st.none() | st.floats(0.01, 1e6),
    "threads": st.none() | st.integers(1, 256),
    "learning_rate": st.floats(1e-9, 1.0),
    "desired_kl": st.none() | st.floats(1e-6, 10.0),
    "layers": st.lists(st.integers(1, 4096), max_size=5).map(tuple),
    "activation": st.sampled_from(["Tanh", "ELU", "ReLU", "SiLU"]),
    "overlap": st.none() | st.booleans(),
    "start_floor": st.none() | st.floats(0.0, 1.0),
    "warm_start": st.sampled_from(["pd", "none"]) | paths,
    "seed": st.integers(0, 2**32),
    "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
}


@given(st.sampled_from(list(EXPERTS)), st.fixed_dictionaries({}, optional=EXPERT_CHANGES))
def test_settings_of_an_expert_come_back(tmp_path_factory, preset, changes):
    config = dataclasses.replace(EXPERTS[preset], **changes)
    file = tmp_path_factory.mktemp("toml") / "expert.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert resolve_expert(None, file) == load_toml(ExpertConfig, file) == config


@given(
    st.sampled_from(list(TRANSFERS)),
    st.none() | paths,
    st.dictionaries(st.sampled_from(["max_steps", "distance_tolerance"]), st.integers(1, 99) | st.floats(0.1, 9.0)),
    st.none() | st.floats(0.1, 1.0),
)
def test_settings_of_a_transfer_come_back(tmp_path_factory, preset, policy, task_settings, target_kl):
    config = dataclasses.replace(
        TRANSFERS[preset], low_level_policy=policy, task_settings=task_settings, target_kl=target_kl
    )
    file = tmp_path_factory.mktemp("toml") / "transfer.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert resolve_transfer(None, file) == load_toml(TransferConfig, file) == config


@given(
    st.none() | st.sampled_from(list(RECIPES)),
    st.none() | st.sampled_from(list(POLICIES)),
    st.fixed_dictionaries(
        {},
        optional={
            "weighting": st.sampled_from(["bc", "cwr", "awr", "rwr"]),
            "temperature": st.floats(0.0, 100.0),
            "max_steps": st.integers(1, 10**7),
            "betas": st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)),
            "eval_modes": st.lists(st.sampled_from(EVAL_MODES), unique=True).map(tuple),
            "compile": st.sampled_from([True, False, "auto"]),
            "precision": st.sampled_from(["32", "bf16", "fp16"]),
            "split": st.sampled_from(["all", "train"]),
        },
    ),
)
def test_settings_of_a_distillation_come_back(tmp_path_factory, preset, model, changes):
    settings = resolve_distillation(None, preset=preset, model=model, **changes)
    file = tmp_path_factory.mktemp("toml") / "distill.toml"
    file.write_text(to_toml(settings.training, tables={"policy": settings.policy}), encoding="utf-8")
    assert resolve_distillation(file) == settings


def test_the_file_of_a_real_configuration_explains_each_setting():
    lines = to_toml(ExpertConfig()).splitlines()
    for name, doc in docs_of(ExpertConfig).items():
        (index,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} = ")]
        assert lines[index - 1].startswith("# "), name
        assert doc.split()[-1].strip("`.") in lines[index - 1], name
