"""What is learned from and what is held out."""

import pytest

from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.policies.zoo import build_policy, preset
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.training.distillation.config import DistillConfig
from mocapact_cli.core.training.distillation.data import SPLITS, divide, open_part, recorded_division

TRAIN, OTHER, VALIDATION = "CMU_001_01-0-40", "CMU_005_01-0-40", "CMU_002_02-0-40"
ALL = {TRAIN, OTHER, VALIDATION}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_rollouts):
    return write_rollouts(tmp_path_factory.mktemp("dataset"), (TRAIN, OTHER, VALIDATION))


@pytest.mark.parametrize(
    ("choice", "learns", "held"),
    [
        ({}, ALL, set()),
        ({"split": "all"}, ALL, set()),
        ({"split": "train"}, {TRAIN, OTHER}, {VALIDATION}),
        ({"split": "auto"}, {TRAIN, OTHER}, {VALIDATION}),
        ({"split": "auto", "clips": "CMU_001_01"}, {TRAIN}, set()),
        ({"split": "locomotion"}, {TRAIN}, set()),
        ({"split": "validation"}, {VALIDATION}, set()),
        ({"split": "val"}, {VALIDATION}, set()),
        ({"clips": "locomotion_small"}, {TRAIN}, set()),
        ({"clips": f"{TRAIN},CMU_002_02", "split": "train"}, {TRAIN}, {VALIDATION}),
        ({"hold_out": "CMU_005_01"}, {TRAIN, VALIDATION}, {OTHER}),
        ({"hold_out": OTHER, "split": "train"}, {TRAIN}, {OTHER}),
    ],
)
def test_the_paper_s_split_and_names_divide_a_dataset(folder, choice, learns, held):
    data = divide([folder], **choice)
    assert set(data.train.snippets) == learns
    assert set(data.val.snippets if data.val else ()) == held
    assert {file.stem for file in data.train.files} == {name.rsplit("-", 2)[0] for name in learns}
    assert recorded_division(data.record()) == data


def test_other_files_validate(folder):
    data = divide([folder], split="train", val=[folder / "CMU_005_01.hdf5"])
    assert (set(data.train.snippets), data.val.snippets) == ({TRAIN, OTHER}, (OTHER,))
    assert str(data) == "Learns from 2 snippets of 2 clips, validates with 1 snippet of 1 clip."
    assert str(divide([folder / "CMU_005_01.hdf5"] * 2)) == "Learns from 1 snippet of 1 clip."


def test_what_cannot_be_divided_is_named(folder):
    with pytest.raises(UsageError, match="no split 'locomotive'") as raised:
        divide([folder], split="locomotive")
    assert "locomotion" in raised.value.hint
    with pytest.raises(NotFoundError, match="nothing of the split validation") as raised:
        divide([folder], split="validation", clips="CMU_001_01")
    assert "CMU_001_01, CMU_002_02, CMU_005_01" in raised.value.hint
    with pytest.raises(InvalidInputError, match="does not say what it learns from"):
        recorded_division({"dataset": ["a.hdf5"]})
    assert SPLITS == ("train", "validation", "locomotion", "all")


def test_part_of_a_file_is_part_of_a_dataset(tmp_path, write_rollouts):
    folder = write_rollouts(tmp_path, ("demo_squat-0-40",))
    whole = divide([folder])
    policy, config = build_policy(preset("mlp-reference")), DistillConfig()
    assert whole.train.whole
    part = divide([folder], clips="demo_squat-0-40").train
    sizes = {
        upsampling: len(open_part(part, policy, config, None, NullProgress(), upsampling=upsampling))
        for upsampling in (False, True)
    }
    assert sizes == {False: 4 * 35, True: 4 * 35 * int(210 / 40 * 10)}
