"""`mocapact complete`: a tiny GPT goes on from prompts of a tiny expert and of recordings."""

import pytest

from mocapact_cli.cli.complete import _told, share_at
from mocapact_cli.cli.main import invoke
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.gpt import GptConfig
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

SNIPPET = Snippet("demo_squat", 0, 45)
SHORT = ["--prompt-length", 6, "--max-steps", 8]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("completion")
    expert = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16, 16))
    write_model(root / "experts" / str(SNIPPET) / RSI_MODEL, expert)
    write_clip_info(root / "experts" / str(SNIPPET), SNIPPET, TIME_INDEX, ref_steps=[0])
    gpt = GptConfig(block_size=4, n_layer=1, n_head=1, n_embd=16)
    write_checkpoint(root / "gpt/model/last.ckpt", build_policy(gpt, seed=1))
    write_checkpoint(root / "mlp.ckpt", build_policy(MlpConfig(layers=(8,)), seed=1))
    config = RolloutConfig(n_start_rollouts=1, n_rsi_rollouts=0, min_steps=10, num_envs=1)
    record_rollouts(find_experts(root / "experts"), open_library(), root / "dataset", config)
    return root


def test_a_gpt_goes_on_from_an_expert(root, mocapact, tmp_path):
    line = ["--clip-snippet", "demo_squat-0-40", "--experts", root / "experts", "--n-eval-episodes", 3]
    others = ["--baseline", "last-action", "--baseline", "prompt", "--baseline", root / "mlp.ckpt"]
    made = ["--plot", tmp_path / "survival.png"]
    done = mocapact("complete", root / "gpt", *line, *SHORT, *others, *made, "--json")
    assert done.code == 0, done.stderr
    document = done.json
    assert (document["episodes"], document["prompt_length"]) == (3, 6)
    assert document["survival"][0][0] == 0.0
    assert document["prompt"]["snippet"] == "demo_squat-0-45"
    assert set(document["baselines"]) == {"last-action", "prompt", str(root / "mlp.ckpt")}
    assert {"norm_return", "distance_m", "mpjpe_mm", "versions"} <= set(document)
    assert (tmp_path / "survival.png").is_file()


def test_samples_of_a_recording_are_filmed(root, mocapact, tmp_path, opengl):
    spec = f"{root / 'dataset/demo_squat.hdf5'}#{SNIPPET}/0"
    film = tmp_path / "samples.png"
    done = mocapact("complete", root / "gpt", "--prompt", spec, "--samples", 2, *SHORT, "--video", film)
    assert done.code == 0, done.stderr
    assert "steps of demo_squat-0-45" in done.stdout
    assert "2 completions and the share" in done.stdout
    assert "Normalized length" in done.stdout
    assert "Warning" not in done.stderr
    assert film.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("policy", "line", "code", "said"),
    [
        ("gpt", [], 2, "no prompt"),
        ("gpt", ["--experts", "{root}/experts"], 2, "--clip-snippet"),
        ("gpt", ["--experts", "{root}/experts", "--clip-snippet", "demo_squat", *SHORT], 3, "demo_squat-0-45"),
        ("gpt", ["--experts", "{root}/experts", "--clip-snippet", str(SNIPPET), "--prompt-length", 46], 2, "has 45"),
        ("gpt", ["--prompt", "dataset.hdf5"], 2, "FILE.hdf5#SNIPPET/EPISODE"),
        ("gpt", ["--prompt", "dataset.hdf5#demo_squat-0-45/0"], 3, "dataset.hdf5"),
        ("mlp.ckpt", ["--experts", "{root}/experts", "--clip-snippet", str(SNIPPET)], 2, "ends with the clip"),
        ("gpt", ["--experts", "{root}/experts", "--clip-snippet", str(SNIPPET), "--baseline", "pd"], 2, "'pd'"),
        ("gpt", ["--prompt", "d.hdf5#demo_squat-0-45/0", "--video", "film.txt"], 2, ".mp4"),
        ("gpt", ["--samples", 2, "--n-eval-episodes", 2], 2, "--n-eval-episodes"),
        ("nothing", ["--experts", "{root}/experts", "--clip-snippet", str(SNIPPET)], 3, "nothing"),
    ],
)
def test_bad_input_is_one_line_and_the_next_step(root, fresh_out, capsys, policy, line, code, said):
    assert invoke(["complete", str(root / policy), *(str(word).format(root=root) for word in line)]) == code
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_a_share_holds_until_the_next_step():
    curve = [[0.0, 1.0], [0.3, 0.5], [2.0, 0.5]]
    assert [share_at(curve, time) for time in (0.0, 0.29, 0.3, 2.0)] == [1.0, 1.0, 0.5, 0.5]


def test_the_table_ends_with_the_first_moment_at_which_nobody_goes_on():
    survivals = [[[0.0, 1.0], [0.7, 0.0], [9.0, 0.0]], [[0.0, 1.0], [1.2, 0.5], [2.5, 0.0]]]
    assert _told([0.0, 0.5, 1.0, 2.0, 3.0, 5.0], survivals) == [0.0, 0.5, 1.0, 2.0, 3.0]
    assert _told([0.0, 0.5], [[[0.0, 1.0], [0.6, 0.5]]]) == [0.0, 0.5]
