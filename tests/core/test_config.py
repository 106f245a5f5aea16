from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocapact_cli.core.config import apply_overrides, from_dict, load_toml, to_dict
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError


@dataclass(frozen=True)
class Net:
    layers: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "elu"] = "tanh"


@dataclass(frozen=True)
class Config:
    steps: int = 100
    rate: float = 1e-3
    name: str | None = None
    out: Path = Path("runs")
    span: tuple[float, float] = (0.0, 1.0)
    flag: bool = False
    net: Net = field(default_factory=Net)


def test_a_config_survives_the_round_trip():
    config = Config(steps=3, name="x", net=Net(layers=(1, 2, 3)))
    assert from_dict(Config, to_dict(config)) == config


@given(
    steps=st.integers(),
    rate=st.floats(allow_nan=False),
    name=st.none() | st.text(),
    layers=st.lists(st.integers(), max_size=5),
    flag=st.booleans(),
)
def test_any_config_survives_the_round_trip(steps, rate, name, layers, flag):
    config = Config(steps=steps, rate=rate, name=name, net=Net(layers=tuple(layers)), flag=flag)
    assert from_dict(Config, to_dict(config)) == config


def test_a_file_says_none_where_a_number_may_be_missing():
    @dataclass(frozen=True)
    class Limits:
        minutes: float | None = 3.0
        name: str | None = None

    assert apply_overrides(Limits(), {"minutes": "none", "name": "none"}) == Limits(None, "none")
    with pytest.raises(UsageError):
        apply_overrides(Limits(), {"minutes": "nine"})


def test_the_dictionary_holds_plain_values_only():
    assert to_dict(Config())["out"] == "runs"
    assert to_dict(Config())["net"] == {"layers": [64, 64], "activation": "tanh"}


def test_an_integer_will_do_for_a_float():
    rate = from_dict(Config, {"rate": 1}).rate
    assert rate == 1.0
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        ({"setps": 1}, "no setting 'setps'", "Did you mean steps"),
        ({"zzz": 1}, "no setting 'zzz'", "There are steps, "),
        ({"net": {"layer": []}}, "no setting 'net.layer'", "layers"),
        ({"steps": "many"}, "^steps must be a whole number, not 'many'", ""),
        ({"steps": True}, "^steps must be a whole number, not True", ""),
        ({"flag": 1}, "^flag must be true or false", ""),
        ({"name": 3}, "^name must be a text, not 3", ""),
        ({"rate": "high"}, "^rate must be a number, not 'high'", ""),
        ({"net": {"layers": [0.5]}}, r"^net\.layers must be a whole number", ""),
        ({"span": [1.0]}, "must have 2 values, not 1", ""),
        ({"span": 3}, "must be a list", ""),
        ({"net": 3}, "must be a table", ""),
        ({"net": {"activation": "tan"}}, r"^net\.activation cannot be 'tan'", "tanh"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(data, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        from_dict(Config, data)
    assert hint in caught.value.hint


def test_a_missing_value_is_a_usage_error():
    @dataclass(frozen=True)
    class Needs:
        clip: str

    with pytest.raises(UsageError, match="clip must be given"):
        from_dict(Needs, {})


def test_load_toml(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('steps = 7\n[net]\nlayers = [8]\nactivation = "elu"\n')
    assert load_toml(Config, path) == Config(steps=7, net=Net((8,), "elu"))


def test_load_toml_says_what_is_wrong(tmp_path):
    (tmp_path / "bad.toml").write_text("steps = \n")
    with pytest.raises(InvalidInputError, match=r"bad\.toml is not a TOML file"):
        load_toml(Config, tmp_path / "bad.toml")
    with pytest.raises(NotFoundError):
        load_toml(Config, tmp_path / "none.toml")


def test_overrides_that_are_not_given_keep_what_is_there():
    assert apply_overrides(Config(steps=5), {"steps": None, "rate": 2}) == Config(steps=5, rate=2.0)


def test_an_unknown_override_is_refused():
    with pytest.raises(UsageError, match="no setting 'stps'"):
        apply_overrides(Config(), {"stps": 1})
