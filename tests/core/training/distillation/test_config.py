"""Settings of distillation."""

import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.training.distillation.config import DistillConfig, resolve


def parts(settings):
    return settings.training, settings.policy


def test_the_paper_by_default():
    config, network = parts(resolve(None))
    assert isinstance(network, NpmpConfig)
    assert (config.max_steps, config.batch_size, config.learning_rate) == (100_000, 256, 5e-4)
    config, network = parts(resolve(None, model="gpt"))
    assert isinstance(network, GptConfig)
    assert (config.learning_rate, config.weight_decay, config.betas) == (3e-6, 0.1, (0.9, 0.95))


def test_a_file_and_then_the_options(tmp_path):
    file = tmp_path / "small.toml"
    file.write_text('model = "npmp"\nbatch_size = 8\nseed = 3\n[policy]\nembed_size = 7\n')
    config, network = parts(resolve(file, seed=4))
    assert (config.batch_size, config.seed) == (8, 4)
    assert network.embed_size == 7


@pytest.mark.parametrize(
    ("content", "said"), [("batchsize = 8", "batch_size"), ("[policy]\nembedsize = 7", "embed_size")]
)
def test_an_unknown_setting_names_the_nearest(tmp_path, content, said):
    (tmp_path / "wrong.toml").write_text(content)
    with pytest.raises(UsageError) as raised:
        resolve(tmp_path / "wrong.toml")
    assert said in raised.value.hint


def test_bad_values_are_refused():
    with pytest.raises(UsageError, match="no model 'foo'"):
        resolve(None, model="foo")
    with pytest.raises(UsageError, match="batch_size is 0"):
        DistillConfig(batch_size=0)


@pytest.mark.parametrize(
    ("weighting", "temperature", "expected"),
    [
        ("bc", None, {}),
        ("bc", 3.0, {}),
        ("cwr", None, {"clip_weighted": True, "temperature": 0.2}),
        ("awr", 3.0, {"temperature": 3.0}),
        ("rwr", None, {"advantage_weights": False, "temperature": 4.0}),
    ],
)
def test_weightings(weighting, temperature, expected):
    assert DistillConfig(weighting=weighting, temperature=temperature).weights() == expected
