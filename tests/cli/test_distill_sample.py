"""`mocapact distill sample`: the decoder of a tiny policy by itself."""

import json

import pytest

from mocapact_cli.cli.main import invoke
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    root = tmp_path_factory.mktemp("policies")
    npmp = NpmpConfig(encoder_layers=(16,), decoder_layers=(16,), embed_size=4, embedding_correlation=0.9)
    for name, config in (("npmp", npmp), ("mlp", MlpConfig(layers=(16,)))):
        write_checkpoint(root / name / "model/last.ckpt", build_policy(config, seed=1))
        record = {"snippets": ["demo_reach-0-40", "demo_squat-0-30"]}
        (root / name / "config.json").write_text(json.dumps(record))
    return root


def test_walkers_follow_the_prior_and_are_filmed(policies, tmp_path, mocapact, opengl):
    made = ["--plot", tmp_path / "plane.png", "--video", tmp_path / "strip.png"]
    done = mocapact("distill", "sample", policies / "npmp", "--n-walkers", 1, "--max-steps", 8, *made, "--json")
    assert done.code == 0, done.stderr
    document = done.json
    assert document["correlation"] == 0.9
    assert [group["kind"] for group in document["groups"]] == ["prior", "held", "zero"]
    assert all(group["walkers"] == 1 and 0 < group["seconds"] <= 0.24 for group in document["groups"])
    assert {row["snippet"] for row in document["encoded"]} == {"demo_reach-0-40", "demo_squat-0-30"}
    assert (tmp_path / "plane.png").stat().st_size > 10_000
    assert (tmp_path / "strip.png").stat().st_size > 10_000


def test_walkers_go_from_one_snippet_to_another(policies, mocapact):
    line = ["--interpolate", "demo_squat-0-30", "demo_reach", "--max-steps", 6]
    done = mocapact("distill", "sample", policies / "npmp", *line)
    assert done.code == 0, done.stderr
    assert "From demo_squat-0-30 (A) to demo_reach-0-" in done.stdout
    for word in ("25 % B", "moving", "zero", "From A (rad)"):
        assert word in done.stdout


@pytest.mark.parametrize(
    ("model", "line", "code", "said"),
    [
        ("mlp", [], 2, "no embedding"),
        ("npmp", ["--interpolate", "demo_squat", "demo_nothing"], 3, "demo_nothing"),
        ("npmp", ["--video", "film.txt"], 2, ".mp4"),
        ("npmp", ["--plot", "plane.txt"], 2, ".png"),
        ("npmp", ["--interpolate", "demo_squat", "demo_reach", "--correlation", "0"], 2, "--interpolate"),
        ("npmp", ["--correlation", "1.5"], 2, "--correlation"),
    ],
)
def test_bad_input_is_one_line_and_the_next_step(policies, fresh_out, capsys, model, line, code, said):
    assert invoke(["distill", "sample", str(policies / model), *line]) == code
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
