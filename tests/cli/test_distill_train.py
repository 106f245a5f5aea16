"""What `mocapact distill train` learns from, and what it refuses before it begins."""

import json
import os
import shutil
import signal

import h5py
import numpy as np
import pytest

from mocapact_cli.cli import main
from mocapact_cli.core.policies.mlp import MlpPolicy

TRAIN, OTHER, VALIDATION = "CMU_001_01-0-40", "CMU_005_01-0-40", "CMU_002_02-0-40"
SETTINGS = """
batch_size = 8
n_eval_episodes = 0
threads = 1
max_steps = 2
[policy]
layers = [8]
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory, write_rollouts):
    """A dataset with clips of both parts of the paper's split."""
    return write_rollouts(tmp_path_factory.mktemp("dataset"), (TRAIN, OTHER, VALIDATION))


@pytest.fixture
def train(tmp_path, fresh_out, capsys, monkeypatch):
    """Return a function that runs the command in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SETTINGS)

    def run(*options):
        line = ["distill", "train", "--model", "mlp-reference", "--config", "small.toml", *map(str, options)]
        code = main.invoke(line)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def record(root):
    return json.loads((root / "config.json").read_text())


@pytest.mark.parametrize(
    ("options", "learns", "held"),
    [
        (["--split", "train"], {TRAIN, OTHER}, {VALIDATION}),
        (["--hold-out", "held.txt"], {TRAIN}, {OTHER, VALIDATION}),
        (["--preset", "locomotion", "--clips", "CMU_001_01,CMU_005_01"], {TRAIN}, set()),
        (["--split", "train", "--val", "DATASET/CMU_005_01.hdf5"], {TRAIN, OTHER}, {OTHER}),
    ],
)
def test_what_is_learned_from_and_what_is_held_out(published, train, tmp_path, options, learns, held):
    (tmp_path / "held.txt").write_text("CMU_005_01  # the second\nCMU_002_02\n")
    given = [option.replace("DATASET", str(published)) for option in options]
    code, printed, said = train("--dataset", published, "--output-root", "run", "--json", *given)
    assert code == 0, said
    found = record(tmp_path / "run")
    assert set(found["dataset"]["snippets"]) == learns == set(found["snippets"])
    assert set((found["val_dataset"] or {"snippets": []})["snippets"]) == held
    assert ("val_loss" in (json.loads(printed)["last_evaluation"] or {})) == bool(held)
    assert f"Learns from {len(learns)} snippet" in said


@pytest.mark.parametrize(
    ("snippets", "said"),
    [
        ((TRAIN, OTHER, VALIDATION), "Learns from 2 snippets of 2 clips, validates with 1 snippet of 1 clip."),
        ((TRAIN, OTHER), "Learns from 2 snippets of 2 clips."),
    ],
)
def test_a_bare_call_takes_the_downloaded_dataset_and_the_papers_split(
    published, train, mocapact_home, tmp_path, snippets, said
):
    place = mocapact_home / "data" / "small_dataset"
    place.mkdir(parents=True)
    for snippet in snippets:
        shutil.copy(published / f"{snippet.split('-')[0]}.hdf5", place)
    code, _, shown = train()
    assert code == 0, shown
    assert said in shown
    (run,) = (mocapact_home / "runs" / "distill").iterdir()
    assert (run / "model" / "last.ckpt").is_file()


def test_a_run_goes_on_with_what_it_began_with(published, train, tmp_path):
    options = ("--output-root", "run", "--max-steps")
    assert train("--dataset", published, "--split", "train", *options, 2)[0] == 0
    (code, printed, said) = train(*options, 4, "--resume", "--json")
    assert code == 0, said
    assert json.loads(printed)["steps"] == 4
    code, _, said = train("--dataset", published, *options, 6, "--resume")
    assert code == 2
    assert "samples of 2 snippets" in said
    code, _, said = train(*options, 6, "--resume", "--model", "mlp-time-index")
    assert code == 2
    assert "trains mlp-reference, not mlp-time-index" in said
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    assert train("--dataset", published, "--output-root", "other", "--force", "--model", "gpt", *GPT)[0] == 0
    shutil.copy(tmp_path / "other" / "model" / "last.ckpt", tmp_path / "run" / "model" / "last.ckpt")
    code, _, said = train(*options, 6, "--resume")
    assert code == 4
    assert "holds another policy (gpt) than the run trains (mlp)" in said


GPT = ("--config", "gpt.toml")


def test_ctrl_c_names_the_command_that_goes_on_also_where_no_folder_was_given(
    published, train, mocapact_home, monkeypatch
):
    honest = MlpPolicy.loss

    def loss(self, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return honest(self, batch)

    monkeypatch.setattr(MlpPolicy, "loss", loss)
    monkeypatch.setattr("sys.argv", ["mocapact", "distill", "train", "--dataset", "somewhere"])
    code, printed, said = train("--dataset", published)
    assert (code, printed) == (130, "")
    (run,) = (mocapact_home / "runs" / "distill").iterdir()
    assert f"distill train --dataset somewhere --output-root {run} --resume" in said


@pytest.fixture(autouse=True)
def gpt_settings(tmp_path):
    sizes = SETTINGS.replace("layers = [8]", "n_layer = 1\nn_head = 1\nn_embd = 4\nblock_size = 4")
    (tmp_path / "gpt.toml").write_text(sizes)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--split", "trian"], 2, "Did you mean train"),
        (["--preset", "locomotoin"], 2, "Did you mean locomotion"),
        (["--model", "mlp-referense"], 2, "Did you mean mlp-reference"),
        (["--weighting", "bcc"], 2, "Did you mean bc"),
        (["--precision", "fp8"], 2, "32, bf16, fp16"),
        (["--precision", "fp16", "--device", "cpu"], 2, "needs a GPU"),
        (["--devices", "3", "--device", "cpu"], 2, "cannot be divided among 3"),
        (["--hold-out", "CMU_005_02"], 3, "Did you mean CMU_005_01"),
        (["--hold-out", "all"], 3, "nothing to learn from"),
        (["--hold-out", "CMU_005_01", "--val", "DATASET"], 2, "--hold-out or by --val"),
        (["--clips", "CMU_005_01", "--split", "train"], 3, "to validate with"),
        (["--clips", "CMU_005_01", "--split", "locomotion"], 3, "nothing of the split locomotion"),
        (["--val", "nowhere"], 3, "nowhere does not exist"),
    ],
)
def test_bad_choices_are_named_before_anything_begins(published, train, tmp_path, options, code, said):
    given = [option.replace("DATASET", str(published)) for option in options]
    found, printed, shown = train("--dataset", published, "--output-root", "run", *given)
    assert (found, printed) == (code, "")
    assert said in shown
    assert not (tmp_path / "run").exists()


def damaged(published, tmp_path, write_rollouts, kind):
    folder = tmp_path / "damaged"
    if kind == "references":
        folder.mkdir()
        write_rollouts(folder, (OTHER,), ref_steps=(1, 2))
        shutil.copy(published / "CMU_001_01.hdf5", folder)
        return folder
    shutil.copytree(published, folder)
    with h5py.File(folder / "CMU_001_01.hdf5", "r+") as file:
        if kind == "observable":
            del file["observable_indices/walker/sensors_touch"]
        else:
            file[f"{TRAIN}/1/{kind}"][3, 5] = np.nan if kind == "mean_actions" else np.inf
    return folder


@pytest.mark.parametrize(
    ("kind", "options", "code", "said"),
    [
        ("observable", ["--clips", "CMU_001_01"], 3, "has no observable 'walker/sensors_touch'"),
        ("observable", [], 4, "differ in their observables"),
        ("references", [], 4, "differ in their ref_steps"),
        ("mean_actions", [], 4, f"CMU_001_01.hdf5: {TRAIN}/1: mean_actions holds values that are not finite"),
        (
            "observations/proprioceptive",
            ["--hold-out", "CMU_001_01"],
            4,
            f"{TRAIN}/1: observations/proprioceptive holds values",
        ),
    ],
)
def test_bad_data_are_named_before_anything_begins(
    published, train, tmp_path, write_rollouts, kind, options, code, said
):
    folder = damaged(published, tmp_path, write_rollouts, kind)
    found, printed, shown = train("--dataset", folder, "--output-root", "run", *options)
    assert (found, printed) == (code, ""), shown
    assert said in shown.replace("\n", " ")
    assert not (tmp_path / "run").exists()
