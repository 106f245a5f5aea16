"""Every example runs, and says what it says it does."""

import subprocess
import sys
from pathlib import Path

import pytest
from recordings import amc_text, asf_text, swaying

from mocapact_cli.core.bench.dataset import generate_rollouts
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.interop.onnx_export import to_onnx
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

EXAMPLES = Path(__file__).parents[2] / "examples"
ARGUMENTS = {
    "train_with_stable_baselines3.py": ["2048"],
    "clone_experts_from_a_dataset.py": [".", "40"],
    "act_with_onnxruntime.py": ["npmp.onnx"],
    "load_published.py": ["expert", "npmp.ckpt", "demo_squat.hdf5"],
    "custom_task.py": ["1024"],
    "import_your_motion.py": ["07_01.amc"],
    "train_an_expert.py": ["4096", "1"],
    "record_rollouts.py": ["expert"],
}
NPMP = NpmpConfig(
    encoder_observables=("walker/body_height", "walker/world_zaxis"),
    decoder_observables=("walker/body_height",),
    encoder_layers=(8,),
    decoder_layers=(8,),
)
SAID = {
    "act_with_onnxruntime.py": "npmp: 4 columns in, 56 actions out, embedding carried over 40 steps",
    "clone_experts_from_a_dataset.py": "loss",
    "import_your_motion.py": "CMU_007_01: joints (",
    "load_published.py": "actions (35, 56), joints (36, 56), values (35,)",
    "custom_task.py": "1024 steps: cosine",
    "record_rollouts.py": "20 episodes",
    "step_the_environment.py": "normalized length",
    "train_an_expert.py": "pd: normalized length 0.9",
    "train_with_stable_baselines3.py": "normalized length of the last",
}


def write_published(folder):
    """A small expert and a small policy for many clips, in the layout of the published ones."""
    expert = ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(8,))
    write_model(folder / "expert" / RSI_MODEL, expert)
    write_clip_info(folder / "expert", Snippet("demo_squat", 0, 40), TIME_INDEX)
    write_checkpoint(folder / "npmp.ckpt", build_policy(NPMP, seed=0))


def test_every_example_is_known():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", sorted(SAID))
def test_example(name, tmp_path, write_rollouts):
    if name == "clone_experts_from_a_dataset.py":
        generate_rollouts(tmp_path, 1, NullProgress())
    if name == "act_with_onnxruntime.py":
        to_onnx(build_policy(NPMP, seed=0).eval(), tmp_path / "npmp.onnx")
    if name in {"load_published.py", "record_rollouts.py"}:
        write_published(tmp_path)
    if name == "import_your_motion.py":
        (tmp_path / "07.asf").write_text(asf_text())
        (tmp_path / "07_01.amc").write_text(amc_text(swaying(160)))
    if name == "load_published.py":
        write_rollouts(tmp_path, ["demo_squat-0-40"])
    command = [sys.executable, str(EXAMPLES / name), *ARGUMENTS.get(name, [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout
