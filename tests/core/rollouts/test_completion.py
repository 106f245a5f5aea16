"""One acts during the prompt, another goes on, and has seen the prompt."""

import numpy as np
import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.rollouts.completion import Cast, CompletionActor, Paths, run_completions
from mocapact_cli.core.rollouts.episodes import PlannedEpisode
from mocapact_cli.core.tasks.completion import CompletionTask
from mocapact_cli.core.tasks.tracking import Start, TrackingConfig

SNIPPET = Snippet("demo_squat", 0, 12)
LENGTH, BEYOND = 5, 6


class Saying:
    """Always says the same, and notes which observations it was shown for how many steps of an episode."""

    ref_steps = (0,)

    def __init__(self, action: float, observables=("walker/joints_pos",), ref_steps=(0,)) -> None:
        self.action, self.observables, self.ref_steps = action, observables, ref_steps
        self.seen: list[np.ndarray] = []

    def predict(self, observations, state=None, deterministic=True):
        state = np.zeros(len(observations), int) if state is None else state
        self.seen.append(np.array(observations))
        return np.full((len(observations), 56), self.action, np.float32), state + 1

    def reset_state(self, state, started, deterministic=True):
        return np.where(started, 0, state)


class Heard:
    """Keeps the actions of each planned episode."""

    def __init__(self) -> None:
        self.actions: dict[int, list[np.ndarray]] = {}

    def on_tick(self, tick) -> None:
        for env in np.flatnonzero(tick.episodes >= 0):
            self.actions.setdefault(int(tick.episodes[env]), []).append(tick.actions[env])

    def on_end(self, index, episode) -> None:
        """Nothing."""


def run(cast: Cast, starts=(0, 3, 7, 1), **options):
    """Run episodes two at a time; returns their actions (steps, 56) and ends."""
    task = CompletionTask(
        [(demo("demo_squat"), SNIPPET)],
        TrackingConfig(ref_steps=cast.ref_steps or (0,), termination_error_threshold=9.0),
        prompt_length=LENGTH,
        max_steps=BEYOND,
    )
    plan = [PlannedEpisode(Start(0, start), (number,)) for number, start in enumerate(starts)]
    heard = Heard()
    ends = run_completions(task, plan, cast, listen=lambda _: [heard], num_envs=2, threads=1, **options)
    return [np.stack(heard.actions[index]) for index in range(len(plan))], ends


def test_the_prompt_comes_first_in_every_episode_and_whoever_goes_on_has_seen_it():
    prompt, goes_on = Saying(0.25), Saying(-0.5)
    actions, ends = run(Cast(prompt, goes_on=goes_on))
    for own, end in zip(actions, ends, strict=True):
        assert end.length == len(own) == 12 - end.start_step + BEYOND
        assert (own[:LENGTH] == 0.25).all()
        assert (own[LENGTH:] == -0.5).all()
    np.testing.assert_array_equal(goes_on.seen[0], prompt.seen[0])
    # Nobody prompts where all environments are past it.
    assert len(prompt.seen) < len(goes_on.seen)


def test_a_recorded_prompt_is_repeated_and_its_last_action_may_be_held():
    recorded = [np.random.default_rng(n).uniform(-0.5, 0.5, (LENGTH + 3, 56)).astype(np.float32) for n in range(4)]
    actions, _ = run(Cast(recorded=recorded))
    for own, wanted in zip(actions, recorded, strict=True):
        np.testing.assert_array_equal(own[:LENGTH], wanted[:LENGTH])
        np.testing.assert_array_equal(own[LENGTH:], np.broadcast_to(wanted[LENGTH - 1], own[LENGTH:].shape))


def test_noise_begins_after_the_prompt():
    actions, _ = run(Cast(Saying(0.25), goes_on=Saying(0.0)), act_noise=0.1, seed=3)
    assert all((own[:LENGTH] == 0.25).all() for own in actions)
    after = np.concatenate([own[LENGTH:] for own in actions])
    assert 0.09 < after.std() < 0.11
    assert not np.allclose(actions[0][LENGTH : LENGTH + 4], actions[1][LENGTH : LENGTH + 4])


def test_each_sees_the_reference_steps_that_it_knows():
    name = "walker/reference_rel_joints"
    near, far = Saying(0.1, (name,), (1,)), Saying(0.1, (name,), (2, 4))
    cast = Cast(near, goes_on=far)
    assert cast.ref_steps == (1, 2, 4)
    run(cast, starts=(0, 0))
    assert near.seen[0].shape[1] == 56
    assert far.seen[0].shape[1] == 112
    clip = demo("demo_squat").joints
    difference = far.seen[0][0, :56] - near.seen[0][0]
    expected = np.sort(clip[2] - clip[1])
    np.testing.assert_allclose(np.sort(difference), expected, atol=1e-5)


def test_paths_are_measured_from_the_prompts_end():
    task = CompletionTask([(demo("demo_squat"), SNIPPET)], TrackingConfig(), prompt_length=LENGTH, max_steps=40)
    plan = [PlannedEpisode(Start(0, 0), (number,)) for number in range(2)]
    kept = {}

    def listen(batch):
        kept["paths"] = Paths(batch, LENGTH, len(plan), filmed=[1])
        return [kept["paths"]]

    ends = run_completions(task, plan, Cast(Saying(0.0), goes_on=Saying(-1.0)), listen=listen, threads=1)
    walker, reference = kept["paths"].poses(1)
    assert len(walker) == len(reference) == ends[1].length
    expected = np.linalg.norm(walker[-1, :2] - walker[LENGTH - 1, :2])
    assert kept["paths"].distances == pytest.approx([expected, expected])
    assert expected > 0.01
    np.testing.assert_array_equal(reference[-1], demo("demo_squat").qpos()[12])


def test_an_episode_that_ends_inside_its_prompt_has_gone_nowhere():
    pairs = [(demo("demo_reach"), Snippet("demo_reach", 0, 80))]
    task = CompletionTask(pairs, TrackingConfig(), prompt_length=70, max_steps=5)
    kept = {}

    def listen(batch):
        kept["paths"] = Paths(batch, 70, 1)
        return [kept["paths"]]

    (end,) = run_completions(task, [PlannedEpisode(Start(0, 0), (0,))], Cast(Saying(-1.0)), listen=listen, threads=1)
    assert end.early_termination
    assert end.length < 70
    assert kept["paths"].distances.tolist() == [0.0]


def test_who_goes_on_after_nothing_is_held():
    actor = CompletionActor(Constant(0.3), None, 2)
    episodes = np.array([0, -1])
    seen = np.zeros((2, 3), np.float32)
    said = [actor.means(seen, episodes)[:, 0].tolist() for _ in range(4)]
    np.testing.assert_allclose(said, [[0.3, 0.0]] * 4)


class Constant:
    def __init__(self, action: float) -> None:
        self.action = action

    def means(self, observations, episodes):
        return np.full((len(observations), 56), self.action, np.float32)
