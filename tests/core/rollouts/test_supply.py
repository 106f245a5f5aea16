from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.datasets.reader import read_rollouts
from mocapact_cli.core.envs.batch import TrackingBatch
from mocapact_cli.core.envs.starts import EpisodeQueue
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.interop.expert_folder import (
    MODEL_FILE,
    RSI_MODEL,
    find_experts,
    load_expert,
    write_clip_info,
    write_model,
)
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.rollouts import recorder, supply
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.episodes import run_episodes
from mocapact_cli.core.rollouts.plan import RolloutPlan, SnippetQueue
from mocapact_cli.core.rollouts.recorder import record_rollouts
from mocapact_cli.core.rollouts.supply import SeeingExpert, SnippetSupply
from mocapact_cli.core.sim.observables import ALL_PROPRIOS, TIME_INDEX, ObservableLayout
from mocapact_cli.core.tasks.tracking import RollingTask, TrackingTask

LIBRARY = open_library()
CONFIG = RolloutConfig(n_start_rollouts=1, n_rsi_rollouts=2, min_steps=5, num_envs=4, threads=2)
MANY = [Snippet("demo_walk", first, first + 20) for first in range(0, 160, 8)]


def write_expert(root: Path, snippet: Snippet, observables=TIME_INDEX, ref_steps=(0,), seed: int = 0) -> None:
    size = ObservableLayout(observables, ref_steps).size
    policy = ExpertPolicy.fresh(observables, size, layers=(16,), seed=seed)
    policy.ref_steps = tuple(ref_steps)
    write_model(root / RSI_MODEL, policy)
    write_clip_info(root, snippet, observables, ref_steps=list(ref_steps))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory):
    root: Path = tmp_path_factory.mktemp("many")
    for number, snippet in enumerate(MANY):
        write_expert(root / str(snippet), snippet, seed=number)
    return find_experts(root)


class Still:
    def means(self, observations: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        return np.zeros((len(observations), 56), dtype=np.float32)


def test_snippets_in_turn_are_tracked_as_all_at_once(many) -> None:
    """The reference that is taken in for a while gives the same episodes as one that was there from the start."""
    pairs = [(LIBRARY.get(snippet.clip_id), snippet) for snippet in MANY]
    rolling, whole = RollingTask(MANY, CONFIG.task()), TrackingTask(pairs, CONFIG.task())
    plan = RolloutPlan(rolling, CONFIG)
    ends = []
    for task in (rolling, whole):
        layout = ObservableLayout(ALL_PROPRIOS, CONFIG.ref_steps)
        with SnippetSupply(many, LIBRARY, rolling, layout, episodes_each=plan.episodes_each) as snippets:
            starts = SnippetQueue(plan, snippets.open) if task is rolling else EpisodeQueue(e.start for e in plan)
            with TrackingBatch(task, num_envs=5, observables=ALL_PROPRIOS, starts=starts) as batch:
                listener = Closing(snippets, plan) if task is rolling else Closing(None, plan)
                ends.append((run_episodes(batch, plan, Still(), act_noise=0.1, listeners=[listener]), listener.seen))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    assert rolling.rolling.num_rows < 12 * 21 < 20 * 21


class Closing:
    """Tells the supply of ends, and sums up what was seen."""

    def __init__(self, snippets, plan) -> None:
        self.snippets, self.plan, self.seen = snippets, plan, np.zeros(2868)

    def on_tick(self, tick) -> None:
        self.seen += tick.result.observations[tick.result.active].sum(axis=0, dtype=np.float64)

    def on_end(self, index: int, episode) -> None:
        if self.snippets is not None:
            self.snippets.ended(index // self.plan.episodes_each)


def test_experts_are_read_late_and_forgotten(many, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    class Watched(SnippetSupply):
        def open(self, index: int) -> None:
            super().open(index)
            held.append(len(self._experts) + len(self._references))

        def __exit__(self, *exception: object) -> None:
            assert not self._experts
            super().__exit__(*exception)

    monkeypatch.setattr(recorder, "SnippetSupply", Watched)
    record_rollouts(many, LIBRARY, tmp_path / "dataset", CONFIG)
    # Four environments with a waiting episode each need three or four snippets of three episodes, some of them ending.
    assert len(held) == len(MANY)
    assert max(held) <= 4 + supply.READ_AHEAD + 3


def test_a_batch_is_full_until_its_plan_runs_out(many, tmp_path: Path) -> None:
    busy: list[int] = []

    class Busy:
        def on_tick(self, tick) -> None:
            busy.append(int((tick.episodes >= 0).sum()))

        def on_end(self, index: int, episode) -> None: ...

    by_clip = {"demo_walk": many}
    list(recorder.record_clips(by_clip, LIBRARY, tmp_path, CONFIG, listeners=[Busy()]))
    drained = np.flatnonzero(np.array(busy) < 4)
    assert len(busy) - drained[0] <= 20


def test_an_expert_may_see_some_of_the_reference_steps(tmp_path: Path) -> None:
    seen = (*TIME_INDEX, "walker/reference_rel_joints", "walker/reference_appendages_pos")
    write_expert(tmp_path / "mixed" / "a", Snippet("demo_walk", 0, 30), seen, ref_steps=(2, 4))
    write_expert(tmp_path / "mixed" / "b", Snippet("demo_walk", 30, 60))
    experts = find_experts(tmp_path / "mixed")
    record_rollouts(experts, LIBRARY, tmp_path / "dataset", CONFIG)
    policy = load_expert(experts[0]).policy
    with read_rollouts(tmp_path / "dataset") as rollouts:
        for episode in rollouts["demo_walk-0-30"]:
            steps = {name: episode.observable(name)[:-1] for name in seen}
            for name in seen[-2:]:
                blocks = steps[name].reshape(len(steps[name]), 5, -1)
                steps[name] = blocks[:, [1, 3]].reshape(len(steps[name]), -1)
            np.testing.assert_allclose(policy.predict(steps)[0], np.clip(episode.mean_actions, -1, 1), atol=1e-5)


def test_an_expert_that_looks_further_than_what_is_recorded_is_named(tmp_path: Path) -> None:
    seen = (*TIME_INDEX, "walker/reference_rel_joints")
    write_expert(tmp_path / "far", Snippet("demo_walk", 0, 30), seen, ref_steps=(7,))
    layout = ObservableLayout(ALL_PROPRIOS, (1, 2))
    with pytest.raises(UsageError, match="far looks 7 steps ahead") as refused:
        SeeingExpert.of(load_expert(tmp_path / "far"), layout, (1, 2))
    assert "--ref-steps 1,2,7" in refused.value.hint
    with pytest.raises(UsageError, match="looks 7 steps ahead"):
        record_rollouts(find_experts(tmp_path / "far"), LIBRARY, tmp_path / "dataset", CONFIG)
    assert not list(tmp_path.glob("dataset/*"))


def test_damage_is_noticed_before_anything_is_replaced(many, tmp_path: Path) -> None:
    record_rollouts(many[:2], LIBRARY, tmp_path / "dataset", CONFIG)
    shutil.copytree(many[0].root, tmp_path / "broken")
    (tmp_path / "broken" / RSI_MODEL / MODEL_FILE).write_bytes(b"PK cut")
    with pytest.raises(InvalidInputError, match="broken"):
        record_rollouts(find_experts(tmp_path / "broken"), LIBRARY, tmp_path / "dataset", CONFIG, force=True)
    gone = dataclasses.replace(many[0], snippet=Snippet("demo_wal", 0, 20))
    with pytest.raises(NotFoundError, match="demo_wal"):
        record_rollouts([gone], LIBRARY, tmp_path / "dataset", CONFIG, force=True)
    outside = dataclasses.replace(many[0], snippet=Snippet("demo_walk", 0, 999))
    with pytest.raises(InvalidInputError, match="outside its clip"):
        record_rollouts([outside], LIBRARY, tmp_path / "dataset", CONFIG, force=True)
    assert (tmp_path / "dataset/demo_walk.hdf5").exists()


def test_damaged_weights_end_the_recording_and_keep_complete_clips(many, tmp_path: Path) -> None:
    """What lies deep in a file shows only when it is read, shortly before the expert acts."""
    write_expert(tmp_path / "experts/good", Snippet("demo_reach", 0, 30))
    shutil.copytree(many[-1].root, tmp_path / "experts/late")
    _spoil_weights(tmp_path / "experts/late" / RSI_MODEL / MODEL_FILE)
    config = dataclasses.replace(CONFIG, num_envs=1)
    with pytest.raises(InvalidInputError, match="late"):
        record_rollouts(find_experts(tmp_path / "experts"), LIBRARY, tmp_path / "dataset", config)
    assert [path.name for path in (tmp_path / "dataset").iterdir()] == ["demo_reach.hdf5"]


def _spoil_weights(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["policy.pth"] = members["policy.pth"][:1000]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
