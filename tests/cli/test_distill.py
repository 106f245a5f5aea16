"""`mocapact distill`, from recorded rollouts to a policy that acts."""

import pytest

from mocapact_cli.core.interop.expert_folder import RSI_MODEL, find_experts, write_clip_info, write_model

SNIPPETS = ("demo_squat-0-40", "demo_reach-0-40")
SETTINGS = """
batch_size = 16
eval_every = 20
n_eval_episodes = 4
[policy]
encoder_layers = [32, 32]
decoder_layers = [32, 32]
embed_size = 8
seq_steps = 10
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.rollouts.config import RolloutConfig
    from mocapact_cli.core.rollouts.recorder import record_rollouts
    from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

    root = tmp_path_factory.mktemp("distilled")
    policy = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16, 16))
    for snippet in (Snippet("demo_squat", 0, 40), Snippet("demo_reach", 0, 40)):
        write_model(root / "experts" / str(snippet) / RSI_MODEL, policy)
        write_clip_info(root / "experts" / str(snippet), snippet, TIME_INDEX, ref_steps=[0])
    config = RolloutConfig(n_start_rollouts=3, n_rsi_rollouts=1, termination_error_threshold=9.0)
    record_rollouts(find_experts(root / "experts"), open_library(), root / "dataset", config)
    (root / "small.toml").write_text(SETTINGS)
    return root


def options(root, *more):
    return ["--dataset", str(root / "dataset"), "--config", str(root / "small.toml"), *map(str, more)]


def test_a_policy_is_trained_resumed_and_evaluated(dataset, tmp_path, mocapact):
    run = tmp_path / "run"
    done = mocapact("distill", "train", *options(dataset, "--output-root", run, "--max-steps", 20, "--json"))
    assert done.code == 0, done.stderr
    document = done.json
    assert document["steps"] == 20
    assert document["last_evaluation"]["train_rsi_norm_length"] > 0
    again = mocapact(
        "distill", "train", *options(dataset, "--output-root", run, "--max-steps", 40, "--resume", "--json")
    )
    assert again.code == 0, again.stderr
    assert again.json["steps"] == 40
    compared = ["--n-eval-episodes", "6", "--baseline", "zero", "--stochastic"]
    evaluated = mocapact("distill", "eval", str(run), *compared, "--json")
    assert evaluated.code == 0, evaluated.stderr
    scores = evaluated.json
    assert scores["episodes"] == 6
    assert {row["snippet"]: row["episodes"] for row in scores["snippets"]} == dict.fromkeys(SNIPPETS, 3)
    assert scores["baselines"]["zero"]["episodes"] == 6
    assert scores["policy"] == str(run / "model/best.ckpt")
    assert {row["snippet"] for row in scores["failing"]} <= set(SNIPPETS)
    one = ["--snippets", "demo_squat-0-40", "--always-init-at-clip-start", "--norm-length", "1"]
    files = ["--plot", "eval.png", "--save", "eval.npz"]
    shown = mocapact("distill", "eval", str(run), *one, "--termination-error-threshold", "0.05", *files)
    assert shown.code == 0, shown.stderr
    assert "1 episode on 1 snippet\n" in "".join(f"{line.rstrip()}\n" for line in shown.stdout.splitlines())
    assert "demo_reach" not in shown.stdout
    assert "below 1. 1 of 1 episode ended early, at " in shown.stdout
    for name in ("Plot: eval.png", "Numbers: eval.npz"):
        assert name in shown.stdout
        assert (tmp_path / name.split()[1]).stat().st_size > 1000


def test_a_film_shows_several_snippets(test_data, mocapact, opengl, tmp_path):
    from PIL import Image

    line = ["--snippets", "demo_squat-0-30", "--snippets", "demo_reach-0-30", "--n-eval-episodes", 0, "--json"]
    published = test_data / "published/multi_clip/mcp"
    done = mocapact("distill", "eval", published, *line, "--video", "film.png", MUJOCO_GL=opengl)
    assert done.code == 0, done.stderr
    assert done.json["video_snippets"] == ["demo_squat-0-30", "demo_reach-0-30"]
    with Image.open(tmp_path / "film.png") as strip:
        assert strip.size == (1920, 364)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["train"], 3, "--dataset"),
        (["train", "--dataset", "nowhere"], 3, "nowhere"),
        (["train", "--model", "gtp"], 2, "gpt"),
        (["train", "--weighting", "best"], 2, "bc, cwr, awr, rwr"),
        (["train", "--resume"], 2, "--output-root"),
        (["eval", "nowhere"], 3, "nowhere"),
        (["eval", "experts"], 2, "Evaluate it with `mocapact expert eval"),
        (["eval", "nowhere", "--video", "film.avi"], 2, ".mp4"),
        (["eval", "nowhere", "--save", "small.toml/eval.npz"], 2, "no folder that can be written"),
    ],
)
def test_bad_input_is_one_line_and_the_next_step(dataset, mocapact, line, code, said):
    if "--dataset" not in line and line != ["train"] and line[0] == "train":
        line = [*line, "--dataset", str(dataset / "dataset")]
    line = [str(dataset / part) if (dataset / part.split("/")[0]).exists() else part for part in line]
    done = mocapact("distill", *line)
    assert done.code == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_published_policies_are_evaluated_as_they_are(test_data, mocapact):
    published = test_data / "published"
    line = ["--snippets", "CMU_902_01-0-89", "--mocap", str(published / "cmu_test_2020.h5"), "--n-eval-episodes", "4"]
    done = mocapact("distill", "eval", str(published / "multi_clip" / "npmp_rwr"), *line, "--json")
    assert done.code == 0, done.stderr
    assert done.json["norm_length"]["mean"] > 0
