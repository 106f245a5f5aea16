"""Every example runs, and says what it says it does."""

import subprocess
import sys
from pathlib import Path

import pytest

from mocapact_cli.core.bench.dataset import generate_rollouts
from mocapact_cli.core.progress import NullProgress

EXAMPLES = Path(__file__).parents[2] / "examples"
ARGUMENTS = {"train_with_stable_baselines3.py": ["4096"], "clone_experts_from_a_dataset.py": [".", "40"]}
SAID = {
    "clone_experts_from_a_dataset.py": "loss",
    "step_the_environment.py": "normalized length",
    "train_with_stable_baselines3.py": "normalized length of the last",
}


def test_every_example_is_known():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAID)


@pytest.mark.parametrize("name", sorted(SAID))
def test_example(name, tmp_path):
    if name == "clone_experts_from_a_dataset.py":
        generate_rollouts(tmp_path, 1, NullProgress())
    command = [sys.executable, str(EXAMPLES / name), *ARGUMENTS.get(name, [])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert SAID[name] in done.stdout
