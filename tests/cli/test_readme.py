"""The README's commands run, one after the other, in one folder; what takes minutes is cut short."""

import re
import shlex
from pathlib import Path

import pytest
from recordings import amc_text, asf_text, swaying

README = Path(__file__).parents[2] / "README.md"
TINY = {
    "expert": "num_envs = 8\nsteps_per_update = 64\nbatch_size = 64\nn_rsi_episodes = 2\nn_start_episodes = 1\n"
    "eval_every = 1000\nlayers = [64]\ntotal_timesteps = 64\n",
    "distill": "batch_size = 8\nn_eval_episodes = 2\nmax_steps = 2\n",
    "transfer": "num_envs = 8\nsteps_per_update = 64\nbatch_size = 64\nn_eval_episodes = 2\neval_every = 1000\n"
    "layers = [8]\ntotal_timesteps = 64\n",
}
"""Settings of training commands, by group."""
BRIEF = {"--n-eval-episodes": "4", "--n-start-rollouts": "2", "--n-rsi-rollouts": "2"}
"""Options of other commands that say how much is done."""
ELSEWHERE = ("mocapact download", "mocapact clips fetch", "mocapact quickstart", "mocapact push", "mocapact view")
"""What needs the network, or is tried by tests of its own."""


def blocks(text):
    """The commands of every block of shell lines, continued lines joined, without comments."""
    for block in re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = [line.split(" #")[0].strip() for line in block.replace("\\\n", " ").splitlines()]
        yield [line for line in lines if line.startswith("mocapact ")]


def shortened(line, folder):
    """The arguments of a command that do the same in seconds."""
    arguments = shlex.split(line)[1:]
    group, *rest = arguments
    if rest and rest[0] == "train":
        kept = [*re.sub(r"--(max-minutes|max-steps|total-timesteps) \S+", "", line).split()[1:]]
        if group == "fleet":
            return [*kept, "--config", folder / "expert.toml"]
        return [*kept, "--config", folder / f"{group}.toml", "--threads", 1]
    for name, value in BRIEF.items():
        arguments += [name, value] if name in OPTIONS.get(tuple(arguments[:2]), OPTIONS.get(group, ())) else []
    return arguments


OPTIONS = {
    ("expert", "eval"): ("--n-eval-episodes",),
    ("distill", "eval"): ("--n-eval-episodes",),
    ("transfer", "eval"): ("--n-eval-episodes",),
    "complete": ("--n-eval-episodes",),
    "rollout": ("--n-start-rollouts", "--n-rsi-rollouts"),
}
"""Which of them a command has."""


def test_every_command_of_the_readme_exists_and_is_spelled_as_there(mocapact):
    for line in (line for block in blocks(README.read_text(encoding="utf-8")) for line in block):
        words = shlex.split(line)[1:]
        named = [word for word in words if word.startswith("--")]
        command = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
        shown = mocapact(*command, "--help")
        if shown.code != 0:
            shown = mocapact(command[0], "--help")
        assert shown.code == 0, line
        assert not [name for name in named if name not in shown.stdout], line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a recording and small settings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "07.asf").write_text(asf_text())
    (tmp_path / "07_01.amc").write_text(amc_text(swaying(200)))
    for group, settings in TINY.items():
        (tmp_path / f"{group}.toml").write_text(settings)
    return tmp_path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(len(list(blocks(README.read_text(encoding="utf-8"))))))
def test_the_commands_of_a_block_run_one_after_the_other(number, folder, mocapact, opengl):
    for line in list(blocks(README.read_text(encoding="utf-8")))[number]:
        if line.startswith(ELSEWHERE):
            continue
        done = mocapact(*shortened(line, folder), MUJOCO_GL=opengl)
        assert done.code == 0, f"{line}\n{done.stderr}"
