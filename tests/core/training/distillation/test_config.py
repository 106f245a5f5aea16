"""Settings of distillation."""

import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.mcp import McpConfig
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.training.distillation.config import COMPLETION_MODES, EVAL_MODES, RECIPES, DistillConfig, resolve


def parts(settings):
    return settings.training, settings.policy


def test_the_paper_by_default():
    config, network = parts(resolve(None))
    assert isinstance(network, NpmpConfig)
    assert (config.max_steps, config.batch_size, config.learning_rate) == (100_000, 256, 5e-4)
    config, network = parts(resolve(None, model="gpt"))
    assert isinstance(network, GptConfig)
    assert (config.learning_rate, config.weight_decay, config.betas) == (3e-6, 0.1, (0.9, 0.95))


def test_the_networks_are_the_papers():
    npmp = parts(resolve(None))[1]
    assert (npmp.embed_size, npmp.encoder_layers, npmp.decoder_layers) == (60, (1024,) * 2, (1024,) * 3)
    assert (npmp.activation, npmp.layer_norm, npmp.recurrent_encoder, npmp.std_dev) == ("ELU", True, True, 0.1)
    assert (npmp.embedding_kl_weight, npmp.embedding_correlation, npmp.seq_steps) == (0.1, 0.0, 30)
    for model in ("mlp-reference", "mlp-time-index"):
        mlp = parts(resolve(None, model=model))[1]
        assert isinstance(mlp, MlpConfig)
        assert mlp.layers == (1024,) * 3
    mcp = parts(resolve(None, model="mcp"))[1]
    assert isinstance(mcp, McpConfig)
    assert (mcp.n_primitives, mcp.gating_layers, mcp.shared_layers, mcp.primitive_layers) == (
        8,
        (512, 512),
        (512, 512),
        (512,),
    )
    gpt = parts(resolve(None, model="gpt"))[1]
    assert (gpt.n_layer, gpt.n_head, gpt.n_embd, gpt.block_size) == (8, 8, 768, 32)


def test_the_training_is_the_papers():
    config = DistillConfig()
    assert (config.gradient_clip, config.weight_decay, config.clip_len_upsampling) == (1.0, 0.0, True)
    assert (config.eval_every, config.n_eval_episodes, config.act_noise, config.min_steps) == (10_000, 1000, 0.0, 10)
    assert set(config.eval_modes) == set(EVAL_MODES)
    gpt = resolve(None, model="gpt").training
    assert (gpt.max_steps, gpt.batch_size, gpt.eval_modes) == (3_000_000, 256, COMPLETION_MODES)


@pytest.mark.parametrize(
    ("preset", "model", "weighting", "embed_size", "split"),
    [
        ("all", "npmp", "rwr", 60, "train"),
        ("locomotion", "npmp", "rwr", 20, "locomotion"),
        ("completion", "gpt", "bc", None, "train"),
        ("completion-fast", "gpt", "bc", None, "all"),
    ],
)
def test_presets(preset, model, weighting, embed_size, split):
    settings = resolve(None, preset=preset)
    assert (settings.training.model, settings.training.weighting, settings.training.split) == (model, weighting, split)
    assert getattr(settings.policy, "embed_size", None) == embed_size
    assert set(RECIPES) == {"all", "locomotion", "completion", "completion-fast"}


def test_the_small_gpt_is_small_and_the_papers_stays_the_papers():
    fast, paper = (resolve(None, preset=name) for name in ("completion-fast", "completion"))
    assert (fast.policy.n_layer, fast.policy.n_embd, fast.policy.block_size) == (3, 192, 16)
    assert (fast.training.skip_last_steps, fast.policy.obs_noise) == (10, 0.1)
    assert (paper.policy.n_layer, paper.policy.n_embd, paper.policy.block_size) == (8, 768, 32)
    assert (paper.training.skip_last_steps, paper.policy.obs_noise, paper.training.learning_rate) == (0, 0.0, 3e-6)


def test_options_win_over_a_preset_and_a_preset_over_the_run_that_goes_on():
    settings = resolve(None, preset="locomotion", model="mcp", weighting="bc")
    assert (settings.training.model, settings.training.weighting, settings.policy.embed_size) == ("mcp", "bc", 20)
    assert isinstance(resolve(None, preset="locomotion", model="mlp-reference").policy, MlpConfig)
    assert resolve(None, resumed="gpt").training.model == "gpt"
    assert resolve(None, preset="all", resumed="gpt").training.model == "npmp"
    with pytest.raises(UsageError, match="no preset 'locomoton'") as raised:
        resolve(None, preset="locomoton")
    assert "locomotion" in raised.value.hint


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
    with pytest.raises(UsageError, match="devices is 0"):
        DistillConfig(devices=0)
    with pytest.raises(UsageError, match="no evaluation 'train_rs'") as raised:
        DistillConfig(eval_modes=("train_rs",))
    assert "train_rsi" in raised.value.hint


@pytest.mark.parametrize(("written", "expected"), [("true", True), ("false", False), ('"auto"', "auto")])
def test_whether_to_compile_stands_in_a_file(tmp_path, written, expected):
    (tmp_path / "a.toml").write_text(f"compile = {written}\n")
    assert resolve(tmp_path / "a.toml").training.compile is expected or expected == "auto"
    (tmp_path / "a.toml").write_text('compile = "ato"\n')
    with pytest.raises(UsageError, match="compile"):
        resolve(tmp_path / "a.toml")


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


def test_a_file_may_name_its_preset(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('preset = "locomotion"\nbatch_size = 8\n')
    settings = resolve(file)
    assert settings == resolve(None, preset="locomotion", batch_size=8)
    assert (settings.training.preset, settings.training.split) == ("locomotion", "locomotion")
    assert resolve(file, preset="all").policy == resolve(None, preset="all").policy


@pytest.mark.parametrize(("text", "says"), [('policy = "npmp"', "are a table"), ('preset = "al"', "'al'")])
def test_a_bad_file_is_refused(tmp_path, text, says):
    file = tmp_path / "settings.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        resolve(file)
    assert says in caught.value.message + caught.value.hint


@pytest.mark.parametrize(("name", "value"), [("max_minutes", 0), ("threads", 0), ("seed", -1), ("n_eval_episodes", -1)])
def test_impossible_numbers_are_named(name, value):
    with pytest.raises(UsageError, match=f"^{name} is {value}"):
        resolve(None, **{name: value})
