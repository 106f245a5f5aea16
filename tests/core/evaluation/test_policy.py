from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.mocap_h5 import write_clips
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.evaluation.policy import open_subjects, policy_file
from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
from mocapact_cli.core.interop.lightning_ckpt import write_checkpoint
from mocapact_cli.core.policies.mlp import MlpConfig
from mocapact_cli.core.policies.zoo import build_policy
from mocapact_cli.core.sim.observables import TIME_INDEX


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that was evaluated on a built-in clip and on one that lies in a file."""
    reach = demo("demo_reach")
    renamed = type(reach)(**{**{name: getattr(reach, name) for name in reach.__dataclass_fields__}, "id": "own"})
    write_clips(tmp_path / "own.h5", [renamed])
    write_checkpoint(tmp_path / "run/model/last.ckpt", build_policy(MlpConfig(layers=(8,)), seed=0))
    record = {"snippets": ["own-0-40", "demo_squat-0-40"], "mocap": [str(tmp_path / "own.h5"), "gone.h5"]}
    (tmp_path / "run/config.json").write_text(json.dumps(record))
    return tmp_path / "run"


def names(pairs) -> list[str]:
    return [str(snippet) for _, snippet in pairs]


def test_a_run_knows_what_it_was_evaluated_on(run: Path) -> None:
    _, pairs = open_subjects(run, None, None)
    assert names(pairs) == ["own-0-40", "demo_squat-0-40"]
    assert pairs[0][0].id == "own"
    assert names(open_subjects(run / "model/last.ckpt", None, None)[1]) == names(pairs)
    assert policy_file(run) == run / "model/last.ckpt"


@pytest.mark.parametrize("damage", [5, [None, 7], {"a": 1}])
def test_a_record_whose_files_are_damaged_is_one_without_files(run: Path, damage: object) -> None:
    (run / "config.json").write_text(json.dumps({"snippets": ["demo_squat-0-40"], "mocap": damage}))
    assert names(open_subjects(run, None, None)[1]) == ["demo_squat-0-40"]


def test_named_snippets_and_whole_clips_are_taken_once_each(run: Path) -> None:
    _, pairs = open_subjects(run, ["demo_squat", "demo_squat-0-60", "demo_reach-5-20"], None)
    assert names(pairs) == ["demo_squat-0-60", "demo_reach-5-20"]


@pytest.mark.parametrize(
    ("name", "error", "hint"),
    [
        ("demo_squad-0-40", NotFoundError, r"Did you mean demo_squat.*Or give the file that holds it with --mocap"),
        ("CMU_016_22", NotFoundError, r"^Give the file that holds it with --mocap\.$"),
        ("demo_squat-0-99", InvalidInputError, "mocapact clips snippets demo_squat"),
    ],
)
def test_a_wrong_name_leads_on(run: Path, name: str, error: type, hint: str) -> None:
    with pytest.raises(error) as raised:
        open_subjects(run, [name], None)
    assert re.search(hint, raised.value.hint)


def test_motion_that_is_gone_is_asked_for_without_guesses(run: Path) -> None:
    (run.parent / "own.h5").unlink()
    with pytest.raises(NotFoundError, match="'own'") as raised:
        open_subjects(run, None, None)
    assert raised.value.hint == "Give the file that holds it with --mocap, or name others with --snippets."


def test_experts_and_folders_without_a_policy_lead_on(run: Path, policy, tmp_path: Path) -> None:
    experts = tmp_path / "experts"
    for snippet in (Snippet("demo_reach", 0, 40), Snippet("demo_squat", 0, 40)):
        write_model(experts / str(snippet) / RSI_MODEL, policy)
        write_clip_info(experts / str(snippet), snippet, TIME_INDEX)
    with pytest.raises(UsageError, match="holds 2 experts"):
        open_subjects(experts, ["demo_reach"], None)
    with pytest.raises(UsageError, match="is an expert, which tracks one snippet") as raised:
        open_subjects(experts / "demo_reach-0-40", ["demo_reach"], None)
    assert f"mocapact expert eval {experts / 'demo_reach-0-40'}" in raised.value.hint
    (run / "model/last.ckpt").unlink()
    with pytest.raises(NotFoundError, match="no policy in"):
        open_subjects(run, ["demo_reach"], None)
