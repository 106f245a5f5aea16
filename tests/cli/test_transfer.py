"""`mocapact transfer` on published folders and on runs of its own."""

import shutil

import pytest


@pytest.fixture(scope="module")
def published(test_data):
    return test_data / "published"


def test_a_published_policy_is_evaluated_as_it_is(published, mocapact):
    line = ["transfer", "eval", published / "transfer" / "go_to_target", "--n-eval-episodes", "4"]
    done = mocapact(*line, "--baseline", "zero", "--mocap", published / "cmu_test_2020.h5", "--json")
    assert done.code == 0, done.stderr
    document = done.json
    assert (document["episodes"], document["start_pose"]) == (4, "CMU_040_12")
    # An untrained policy falls at once, as in the original's own evaluations.
    assert document["length"]["mean"] == pytest.approx(16.0, abs=2.0)
    assert document["task"] == {"success_rate": 0.0, "targets_reached": 0.0, "time_to_target_s": None}
    assert "zero" in document["baselines"]
    shown = mocapact(*line)
    assert "acting by embeddings of 20" in shown.stdout
    assert "demo_squat" in shown.stdout


def test_it_is_filmed(published, mocapact, opengl, tmp_path):
    folder = published / "transfer" / "go_to_target_no_low_level"
    done = mocapact(
        "transfer", "eval", folder, "--n-eval-episodes", "0", "--video", "film.png", "--json", MUJOCO_GL=opengl
    )
    assert done.code == 0, done.stderr
    assert done.json == {"video": "film.png"}


def test_a_folder_without_its_low_level_policy_is_invalid(published, tmp_path, mocapact):
    shutil.copytree(published / "transfer" / "go_to_target", tmp_path / "run")
    (tmp_path / "run/0/eval/model/low_level_policy.ckpt").unlink()
    done = mocapact("transfer", "eval", tmp_path / "run")
    assert done.code == 4
    assert "low_level_policy.ckpt" in done.stderr


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--task", "go-to-targt"], 2, "go-to-target"),
        (["--baseline", "randm"], 2, "random"),
        (["--n-eval-episodes", "0"], 2, "--video"),
        (["--video", "film.avi"], 2, ".mp4"),
    ],
)
def test_a_wrong_option_is_refused_at_once(published, mocapact, more, code, said):
    done = mocapact("transfer", "eval", published / "transfer" / "go_to_target", *more)
    assert done.code == code
    assert said in done.stderr


def test_a_folder_with_nothing_in_it_is_not_found(tmp_path, mocapact):
    done = mocapact("transfer", "eval", tmp_path)
    assert done.code == 3
    assert "eval/model" in done.stderr


def test_distill_eval_leads_on(published, mocapact):
    done = mocapact("distill", "eval", published / "transfer" / "go_to_target")
    assert done.code == 2
    assert "mocapact transfer eval" in done.stderr
