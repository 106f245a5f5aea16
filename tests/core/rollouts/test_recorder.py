from __future__ import annotations

import dataclasses
import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.datasets.check import check_rollouts
from mocapact_cli.core.datasets.metrics_npz import read_metrics
from mocapact_cli.core.datasets.reader import Episode, read_rollouts
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import load_expert
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.gae import generalized_advantages
from mocapact_cli.core.rollouts.plan import RolloutPlan
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, ObservableLayout
from mocapact_cli.core.tasks.tracking import TrackingTask

CONFIG = RolloutConfig(n_start_rollouts=2, n_rsi_rollouts=3, min_steps=10, num_envs=7)
LIBRARY = open_library()
SETTINGS = {"gamma": 0.9, "gae_lambda": 0.8}
ARRAYS = ("observations", "actions", "mean_actions", "rewards", "values", "advantages")


@pytest.fixture(scope="session")
def recorded(experts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "dataset"
    record_rollouts(experts, LIBRARY, folder, CONFIG)
    return folder


def assert_equal(one: Path, other: Path) -> None:
    with read_rollouts(one) as ours, read_rollouts(other) as theirs:
        assert ours.snippets == theirs.snippets
        for first, second in zip(ours, theirs, strict=True):
            for name in ARRAYS:
                np.testing.assert_array_equal(getattr(first, name), getattr(second, name), strict=True)
        for name, array in ours.statistics().arrays().items():
            np.testing.assert_array_equal(array, theirs.statistics().arrays()[name])


def test_the_dataset_has_the_published_layout(recorded: Path) -> None:
    assert sorted(path.name for path in recorded.iterdir()) == [
        "dataset_metrics.npz", "demo_reach.hdf5", "demo_squat.hdf5",
    ]  # fmt: skip
    for path in recorded.glob("*.hdf5"):
        check_rollouts(path)
    layout = ObservableLayout(ALL_PROPRIOS, (1, 2, 3, 4, 5))
    with read_rollouts(recorded) as rollouts:
        file = rollouts.file("demo_reach")
        assert file.snippets == ("demo_reach-0-40", "demo_reach-20-70")
        assert file.observables == layout.slices
        assert layout.size == 2868


def test_starts_come_first_and_rsi_spreads(recorded: Path) -> None:
    with read_rollouts(recorded) as rollouts:
        episodes = list(rollouts["demo_reach-20-70"])
        times = [float(episode.observable("walker/time_in_clip")[0, 0]) for episode in episodes]
    assert times[:2] == [times[0]] * 2
    assert min(times[2:]) >= times[0]
    assert len(set(times[2:])) > 1


def test_what_was_recorded_is_what_the_experts_did(recorded: Path, experts) -> None:
    by_snippet = {str(place.snippet): load_expert(place) for place in experts}
    with read_rollouts(recorded) as rollouts:
        for episode in rollouts:
            _check_episode(episode, by_snippet[episode.snippet])


def _check_episode(episode: Episode, expert) -> None:
    policy = expert.policy
    seen = {name: episode.observable(name)[:-1] for name in policy.observables}
    np.testing.assert_allclose(policy.predict(seen)[0], episode.mean_actions, atol=1e-5)
    np.testing.assert_allclose(policy.values(seen), episode.values, atol=1e-5)
    expected = generalized_advantages(episode.rewards, episode.values, gamma=0.9, gae_lambda=0.8)
    np.testing.assert_allclose(episode.advantages, expected, atol=1e-5)
    noise = episode.actions - episode.mean_actions
    assert 0.08 < noise.std() < 0.12
    assert np.abs(np.diff(episode.observations, axis=0)).max(axis=1).min() > 0


def test_metrics_agree_with_the_episodes(recorded: Path) -> None:
    with read_rollouts(recorded) as rollouts:
        for snippet in rollouts.snippets:
            own = rollouts[snippet]
            np.testing.assert_array_equal(own.lengths, [episode.length for episode in own])
            np.testing.assert_allclose(own.returns, [episode.rewards.sum() for episode in own], rtol=1e-5)
            np.testing.assert_allclose(own.norm_returns, own.returns / own.lengths * own.norm_lengths)
            assert not own.early_termination[own.norm_lengths == 1.0].any()
        metrics = read_metrics(recorded)
        for snippet, values in metrics.values.items():
            np.testing.assert_array_equal(values, np.concatenate([episode.values for episode in rollouts[snippet]]))


@pytest.mark.parametrize(("num_envs", "threads"), [(1, 1), (15, 2), (4, 2)])
def test_one_seed_gives_equal_data_in_any_batch(
    recorded: Path, experts, tmp_path: Path, num_envs: int, threads: int
) -> None:
    config = dataclasses.replace(CONFIG, num_envs=num_envs, threads=threads)
    record_rollouts(experts, LIBRARY, tmp_path / "again", config)
    assert_equal(recorded, tmp_path / "again")
    for name in ("dataset_metrics.npz",):
        assert (recorded / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_another_seed_gives_other_data(recorded: Path, experts, tmp_path: Path) -> None:
    record_rollouts(experts[:1], LIBRARY, tmp_path / "other", dataclasses.replace(CONFIG, seed=1))
    with read_rollouts(recorded) as ours, read_rollouts(tmp_path / "other") as theirs:
        first, second = (rollouts["demo_reach-0-40"][0].actions for rollouts in (ours, theirs))
        assert not np.array_equal(first[:5], second[:5])


def test_resuming_records_only_what_is_missing_and_the_same(recorded: Path, experts, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    record_rollouts(experts, LIBRARY, folder, CONFIG)
    (folder / "demo_squat.hdf5").unlink()
    for name in ("demo_squat.hdf5", "dataset_metrics.npz"):
        (folder / f".{name}.abc.partial").write_bytes(b"left by a killed run")
    stamp = (folder / "demo_reach.hdf5").stat().st_mtime_ns
    summary = record_rollouts(experts, LIBRARY, folder, CONFIG, resume=True)
    assert (summary.recorded, summary.skipped) == (("demo_squat",), ("demo_reach",))
    assert (folder / "demo_reach.hdf5").stat().st_mtime_ns == stamp
    assert not list(folder.glob(".*"))
    assert_equal(recorded, folder)
    assert record_rollouts(experts, LIBRARY, folder, CONFIG, resume=True).recorded == ()


def test_a_folder_with_content_is_left_alone_unless_told(experts, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty") as refused:
        record_rollouts(experts[:1], LIBRARY, tmp_path, CONFIG)
    assert "--resume" in refused.value.hint
    assert "--force" in refused.value.hint


def test_forcing_replaces_rollouts_and_nothing_else(recorded: Path, experts, tmp_path: Path) -> None:
    for path in recorded.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("notes.txt", "mocap.h5"):
        (tmp_path / name).write_text("mine")
    record_rollouts(experts[2:], LIBRARY, tmp_path, dataclasses.replace(CONFIG, seed=9), force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset_metrics.npz", "demo_squat.hdf5", "mocap.h5", "notes.txt",
    ]  # fmt: skip


def test_resuming_with_other_settings_is_refused(recorded: Path, experts, tmp_path: Path) -> None:
    (tmp_path / "demo_squat.hdf5").write_bytes((recorded / "demo_squat.hdf5").read_bytes())
    other = dataclasses.replace(CONFIG, act_noise=0.2)
    with pytest.raises(UsageError, match="other config"):
        record_rollouts(experts[2:], LIBRARY, tmp_path, other, resume=True)
    (tmp_path / "demo_squat.hdf5").write_bytes(b"cut")
    with pytest.raises(InvalidInputError, match="demo_squat"):
        record_rollouts(experts[2:], LIBRARY, tmp_path, CONFIG, resume=True)


def test_an_interrupted_recording_leaves_no_half_files(
    experts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mocapact_cli.core.datasets.writer import RolloutWriter

    calls = itertools.count()
    add = RolloutWriter.add

    def interrupted(self, *arguments) -> None:
        if next(calls) == 8:
            raise KeyboardInterrupt
        add(self, *arguments)

    monkeypatch.setattr(RolloutWriter, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        record_rollouts(experts, LIBRARY, tmp_path / "dataset", CONFIG)
    for path in (tmp_path / "dataset").iterdir():
        check_rollouts(path)


KILLED = """
import itertools, os, sys
from pathlib import Path
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.datasets import writer
from mocapact_cli.core.datasets.writer import RolloutWriter
from mocapact_cli.core.interop.expert_folder import find_experts
from mocapact_cli.core.rollouts import recorder
from mocapact_cli.core.rollouts.config import RolloutConfig

calls = itertools.count()


def dies(moment, function):
    def dying(*arguments, **named):
        if moment == sys.argv[3] and next(calls) == int(sys.argv[4]):
            os.kill(os.getpid(), 9)
        return function(*arguments, **named)

    return dying


RolloutWriter.add = dies("add", RolloutWriter.add)
RolloutWriter._write_summaries = dies("summaries", RolloutWriter._write_summaries)
os.replace = dies("rename", os.replace)
Path.replace = dies("rename", Path.replace)
recorder.write_metrics = dies("metrics", recorder.write_metrics)
config = RolloutConfig(**{CONFIG})
recorder.record_rollouts(find_experts(sys.argv[1]), open_library(), Path(sys.argv[2]), config, resume=True)
"""


@pytest.mark.parametrize(
    ("moments", "kept"),
    [
        ((("add", 0), ("add", 12), ("metrics", 0)), [0, 1, 2]),
        ((("summaries", 1), ("rename", 0)), [1, 1]),
    ],
)
def test_a_recording_killed_anywhere_resumes_to_the_same_data(
    recorded: Path, experts, tmp_path: Path, moments, kept
) -> None:
    folder = tmp_path / "dataset"
    script = KILLED.replace("{CONFIG}", repr(dataclasses.asdict(CONFIG)))
    for (moment, count), complete in zip(moments, kept, strict=True):
        command = [sys.executable, "-c", script, str(experts[0].root.parent), str(folder), moment, str(count)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert len(list(folder.glob("demo_*.hdf5"))) == complete
    record_rollouts(experts, LIBRARY, folder, CONFIG, resume=True)
    assert_equal(recorded, folder)
    assert (recorded / "dataset_metrics.npz").read_bytes() == (folder / "dataset_metrics.npz").read_bytes()
    assert not list(folder.glob(".*"))


def test_numbers_agree_with_a_plain_computation(recorded: Path) -> None:
    """Advantages by their definition as a sum, moments by NumPy over all rows, from the files alone."""
    everything: dict[str, list[np.ndarray]] = {"proprio": [], "act": [], "mean_act": []}
    for path in sorted(recorded.glob("*.hdf5")):
        own: dict[str, list[np.ndarray]] = {"proprio": [], "act": [], "mean_act": []}
        with h5py.File(path) as file:
            for episode in (file[f"{name}/{slot}"] for name in file if "-" in name for slot in range(5)):
                own["proprio"].append(episode["observations/proprioceptive"][()])
                own["act"].append(episode["actions"][()])
                own["mean_act"].append(episode["mean_actions"][()])
                np.testing.assert_allclose(episode["advantages"], _summed_advantages(episode), rtol=1e-4, atol=1e-5)
            _check_moments({name: file["stats"][name][()] for name in file["stats"]}, own)
        for name, rows in own.items():
            everything[name] += rows
    with np.load(recorded / "dataset_metrics.npz", allow_pickle=True) as metrics:
        _check_moments(metrics, everything)
        values, returns = metrics["values"].item(), metrics["snippet_returns"].item()
        advantages = metrics["advantages"].item()
    with h5py.File(recorded / "demo_squat.hdf5") as file:
        group = file["demo_squat-0-45"]
        for name, found in (("values", values), ("advantages", advantages)):
            whole = np.concatenate([group[f"{slot}/{name}"][()] for slot in range(5)])
            np.testing.assert_array_equal(found["demo_squat-0-45"], whole)
        norm = np.concatenate([group[f"{kind}_metrics/norm_episode_returns"][()] for kind in ("start", "rsi")])
        assert returns["demo_squat-0-45"] == norm.mean()


def _summed_advantages(episode) -> np.ndarray:
    rewards, values = (episode[name][()].astype(np.float64) for name in ("rewards", "values"))
    gamma, lam = SETTINGS["gamma"], SETTINGS["gae_lambda"]
    after = np.append(values[1:], 0.0)
    deltas = rewards + gamma * after - values
    count = len(rewards)
    return np.array(
        [sum((gamma * lam) ** (later - now) * deltas[later] for later in range(now, count)) for now in range(count)]
    )


def _check_moments(stats, parts: dict[str, list[np.ndarray]]) -> None:
    for name, rows in parts.items():
        whole = np.concatenate(rows).astype(np.float64)
        np.testing.assert_allclose(stats[f"{name}_mean"], whole.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(stats[f"{name}_var"], whole.var(axis=0), rtol=1e-4, atol=1e-6)
    assert int(stats["count"]) == sum(map(len, parts["proprio"]))
    assert int(stats["act_count"]) == sum(map(len, parts["act"]))


def test_a_snippet_with_two_experts_is_refused(experts, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two experts"):
        record_rollouts([experts[0], experts[0]], LIBRARY, tmp_path, CONFIG)
    with pytest.raises(NotFoundError):
        record_rollouts([], LIBRARY, tmp_path, CONFIG)


def test_plans_hold_every_episode_of_every_snippet(pairs) -> None:
    task = TrackingTask(pairs, CONFIG.task())
    plan = RolloutPlan(task, CONFIG)
    assert len(plan) == len(list(plan)) == 15
    for index, (_, snippet) in enumerate(pairs):
        own = [episode for episode in plan if episode.start.snippet_index == index]
        assert [episode.key[1] for episode in own] == list(range(5))
        assert [episode.start.start_step for episode in own[:2]] == [snippet.start_step] * 2
        assert all(episode.start.start_step + 5 + 9 <= snippet.end_step for episode in own)
    assert plan.snippets_of(np.array([-1, 0, 4, 5, 14])).tolist() == [-1, 0, 0, 1, 2]
    # A snippet's episodes do not depend on its company.
    alone = RolloutPlan(TrackingTask(pairs[1:], CONFIG.task()), CONFIG)
    assert [(episode.start.start_step, episode.key) for episode in alone] == [
        (episode.start.start_step, episode.key) for episode in plan[5:]
    ]


def test_a_file_says_how_it_was_made(recorded: Path) -> None:
    with read_rollouts(recorded) as rollouts:
        attributes = dict(rollouts.file("demo_squat").handle.attrs)
    assert json.loads(attributes["config"])["n_rsi_rollouts"] == 3
    assert "num_envs" not in json.loads(attributes["config"])
    assert list(json.loads(attributes["experts"])) == ["demo_squat-0-45"]


def test_no_rollouts_at_all_are_no_request() -> None:
    with pytest.raises(UsageError, match="At least one"):
        RolloutConfig(n_start_rollouts=0, n_rsi_rollouts=0)
