"""Every example runs, and says what it says it does."""

import subprocess
import sys
from pathlib import Path

import pytest

from mocapact_cli.core.bench.dataset import generate_rollouts
from mocapact_cli.core.interop.onnx_export import to_onnx
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.progress import NullProgress

EXAMPLES = Path(__file__).parents[2] / "examples"
ARGUMENTS = {
    "train_with_stable_baselines3.py": ["2048"],
    "clone_experts_from_a_dataset.py": [".", "40"],
    "act_with_onnxruntime.py": ["npmp.onnx"],
    "custom_task.py": ["1024"],
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
    "custom_task.py": "1024 steps: cosine",
    "step_the_environment.py": "normalized length",
    "train_with_stable_baselines3.py": "normalized length of the last",
}


def test_every_example_is_known():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", sorted(SAID))
def test_example(name, tmp_path):
    if name == "clone_experts_from_a_dataset.py":
        generate_rollouts(tmp_path, 1, NullProgress())
    if name == "act_with_onnxruntime.py":
        to_onnx(build_policy(NPMP, seed=0).eval(), tmp_path / "npmp.onnx")
    command = [sys.executable, str(EXAMPLES / name), *ARGUMENTS.get(name, [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout
