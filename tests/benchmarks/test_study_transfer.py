"""The study of transfer runs end to end, uses what is finished again and says what came of it."""

import runpy
import sys
from pathlib import Path

import pytest

from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy

SCRIPT = Path(__file__).with_name("study_transfer.py")


@pytest.mark.slow
def test_the_study_reuses_what_is_finished(tmp_path, mocapact_home):
    config = NpmpConfig(embed_size=4, encoder_layers=(8,), decoder_layers=(8,))
    skills = write_checkpoint(tmp_path / "skills.ckpt", build_policy(config, seed=0))
    study = runpy.run_path(str(SCRIPT))
    study["main"].__globals__["EPISODES"] = 4
    options = ["--low-level-policy", skills, "--steps", 8192, "--episode-steps", 20, "--seeds", 0, 1]
    made = {}
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [str(part) for part in (SCRIPT, *options, "--out", tmp_path / "study")])
            study["main"]()
        models = {path: path.stat().st_mtime_ns for path in mocapact_home.rglob("best_model.zip")}
        made = made or models
        assert models == made
    assert len(made) == 4
    text = (tmp_path / "study" / "transfer.md").read_text()
    assert text.count("| 8,192 |") == 2
    assert (tmp_path / "study" / "transfer.png").stat().st_size < 300_000


def test_the_table_gives_means_over_seeds_with_the_extremes():
    def run(way, value):
        scores = {"return": {"mean": value}, "length": {"mean": 10 * value}, "early_termination_rate": 0.5}
        return {"way": way, "curve": [[0, 0.0, 0.0], [4096, value, 10 * value]], "seconds": 8.0, **scores}

    results = [run(way, value) for way in ("low-level policy", "joints") for value in (1.0, 3.0)]
    lines = runpy.run_path(str(SCRIPT))["table"](results).splitlines()
    assert lines[2] == "| low-level policy | 2.0 (1.0 to 3.0) | 20 (10 to 30) | 0.50 (0.50 to 0.50) | 4,096 | 8 |"
