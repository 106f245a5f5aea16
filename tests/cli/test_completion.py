"""What the shell offers after Tab, asked as the shells ask."""

import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from mocapact_cli.cli import completion
from mocapact_cli.core.clips.built_in import DEMOS
from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.published import published_snippets
from mocapact_cli.core.clips.subsets import SUBSETS
from mocapact_cli.core.evaluation import completion as completions
from mocapact_cli.core.evaluation import transfer as transfer_evaluation
from mocapact_cli.core.interop.exporters import targets
from mocapact_cli.core.paths import data_dir
from mocapact_cli.core.policies import zoo
from mocapact_cli.core.remote.catalog import TYPES
from mocapact_cli.core.rollouts import controllers
from mocapact_cli.core.tasks.registry import TASKS
from mocapact_cli.core.training.distillation import config as distillation
from mocapact_cli.core.training.expert import config as expert
from mocapact_cli.core.training.transfer import config as transfer

PROGRAM = shutil.which("mocapact", path=os.path.dirname(sys.executable))  # noqa: PTH120


@pytest.fixture
def offered(installed):
    """Return a function that asks the installed program as bash does: what it offers for the end of a line."""

    def ask(line):
        place = str(len(line.split(" ")) - 1)
        result = installed(_MOCAPACT_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place)
        assert (result.code, result.stderr) == (0, "")
        return result.stdout.split()

    return ask


def renamed(clip, name, times=1):
    arrays = {key: np.concatenate([part] * times) for key, part in vars(clip).items() if isinstance(part, np.ndarray)}
    return type(clip)(**{**vars(clip), **arrays, "id": name})


@pytest.fixture
def walks(mocapact_home, tmp_path):
    """A short and a long clip in MOCAPACT_HOME, and a file of another one."""
    clips = [renamed(demo("demo_walk").slice(0, 40), "CMU_900_01"), renamed(demo("demo_walk"), "CMU_900_02", times=2)]
    write_clips(data_dir("mocap") / "walks.h5", clips)
    write_clips(tmp_path / "given.h5", [renamed(demo("demo_squat"), "CMU_901_01")])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mocapact distill train --model ", list(zoo.PRESETS)),
        ("mocapact distill train --preset ", list(distillation.RECIPES)),
        ("mocapact expert train x --preset ", list(expert.PRESETS)),
        ("mocapact transfer train --preset ", list(transfer.PRESETS)),
        ("mocapact transfer train --task ", list(TASKS)),
        ("mocapact transfer eval x --baseline ", list(transfer_evaluation.BASELINES)),
        ("mocapact expert eval x --baseline ", list(controllers.BASELINES)),
        ("mocapact complete x --baseline ", [completions.LAST_ACTION, completions.PROMPTER]),
        ("mocapact export x --to ", list(targets.TARGETS)),
        ("mocapact download --type ", list(TYPES)),
        ("mocapact distill train --weighting ", list(distillation.WEIGHTINGS)),
        ("mocapact expert train demo_squat --warm-start n", ["none"]),
        ("mocapact clips list --subset ", list(SUBSETS)),
        ("mocapact doct", ["doctor"]),
        ("mocapact expert train --print", ["--print-config"]),
    ],
)
def test_words_are_those_that_the_command_takes(offered, line, words):
    assert offered(line) == words


def test_clips_at_hand_are_offered_from_files_and_built_in(offered, walks):
    assert offered("mocapact expert train ") == ["CMU_900_01", "CMU_900_02", *DEMOS]
    assert offered("mocapact clips show demo_s") == ["demo_squat", "demo_step"]
    assert offered("mocapact expert train --mocap given.h5 CMU_901") == ["CMU_901_01", "CMU_901_01-0-60"]


def test_the_snippets_of_a_clip_are_offered_once_it_is_clear_which(offered, walks):
    pieces = ["CMU_900_02-0-207", "CMU_900_02-174-381"]
    assert offered("mocapact expert train CMU_900_02") == ["CMU_900_02", *pieces]
    assert offered("mocapact expert train CMU_900_02-1") == pieces[1:]


def test_lists_go_on_behind_a_comma(offered):
    assert offered("mocapact download -t experts -c walk") == ["walk_tiny"]
    published = [str(piece) for piece in published_snippets()["CMU_001_01"]]
    found = offered("mocapact download -t experts -c CMU_016_22,CMU_001_01-")
    assert found == [f"CMU_016_22,{piece}" for piece in published]
    assert len(offered("mocapact distill train --clips CMU_")) == len(published_snippets())


def test_a_policy_offers_the_snippets_that_it_was_trained_on(offered, tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "best.ckpt").write_bytes(b"")
    (tmp_path / "run" / "config.json").write_text(json.dumps({"snippets": ["CMU_016_22-0-82", "demo_walk-0-190"]}))
    for policy in ("run", "run/model/best.ckpt"):
        assert offered(f"mocapact distill eval {policy} --snippets ") == ["CMU_016_22-0-82", "demo_walk-0-190"]
    assert offered("mocapact complete nowhere --clip-snippet demo_sq") == ["demo_squat", "demo_squat-0-60"]


def test_zsh_and_fish_are_told_what_each_is(installed):
    zsh = installed(_MOCAPACT_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="mocapact clips show demo_sq")
    assert (zsh.code, zsh.stdout) == (0, '_arguments \'*: :(("demo_squat":"61 poses"))\'\n')
    asked = {"_MOCAPACT_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "mocapact clips show demo_sq"}
    fish = installed(**asked, _TYPER_COMPLETE_FISH_ACTION="get-args")
    assert (fish.code, fish.stdout) == (0, "demo_squat\t61 poses\n")
    assert installed(**asked, _TYPER_COMPLETE_FISH_ACTION="is-args").code == 0


def bash(script, home):
    bare = {"PATH": f"{os.path.dirname(PROGRAM)}:{os.environ['PATH']}", "HOME": str(home)}  # noqa: PTH120
    kept = {name: os.environ[name] for name in ("MOCAPACT_HOME", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        ["bash", "--norc", "-c", script],
        env=bare | kept,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_what_is_installed_works_in_bash(tmp_path):
    said = bash("mocapact --install-completion; true", tmp_path)
    installed = tmp_path / ".bash_completions" / "mocapact.sh"
    assert str(installed) in said
    assert str(installed) in (tmp_path / ".bashrc").read_text()
    script = """
    source ~/.bashrc
    COMP_WORDS=(mocapact expert train demo_squ); COMP_CWORD=3
    $(complete -p mocapact | sed 's/.*-F \\([^ ]*\\) .*/\\1/') mocapact
    printf '%s\\n' "${COMPREPLY[@]}"
    """
    assert bash(script, tmp_path).split() == ["demo_squat", "demo_squat-0-60"]


@pytest.mark.parametrize(
    "line",
    [
        "mocapact expert train --mocap missing.h5 demo_sq",
        "mocapact expert train --mocap broken.h5 demo_sq",
        "mocapact expert train --no-such-option demo_sq",
        "mocapact nothing ",
        "mocapact expert train 'demo",
        "mocapact distill eval broken.json --snippets ",
        "mocapact expert train demo_squat-0-60-0-1-",
        "mocapact download -t experts -c ,,",
    ],
)
def test_odd_lines_never_disturb_the_prompt(installed, tmp_path, line):
    (tmp_path / "broken.h5").write_bytes(b"no hdf5")
    (tmp_path / "config.json").write_text('{"snippets": 3}')
    (data_dir("mocap")).mkdir(parents=True)
    (data_dir("mocap") / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    place = str(len(line.split(" ")) - 1)
    result = installed(_MOCAPACT_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=place)
    assert result.stderr == ""


def test_a_failure_offers_nothing_and_says_nothing():
    context = SimpleNamespace(params={"mocap": [3]})
    assert completion.clips(context, "") == []
    assert completion.snippets_of_run(context, "demo") == []


def test_nothing_heavy_is_imported_once_a_file_is_known(mocapact_home, walks, installed):
    ask = {"_MOCAPACT_COMPLETE": "complete_bash", "COMP_WORDS": "mocapact expert train CMU_9", "COMP_CWORD": "3"}
    first = installed(**ask).stdout
    script = (
        "import sys\n"
        "from mocapact_cli.cli import main\n"
        "try: main.run([])\n"
        "except SystemExit: pass\n"
        "print(*sorted({'numpy', 'h5py', 'torch', 'mujoco', 'requests', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    environment = {**os.environ, "MOCAPACT_HOME": str(mocapact_home), **ask}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (first, "\n")
