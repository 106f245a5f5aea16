"""Samples for imitation: against plain reading of the files, and against the original project's numbers."""

import math

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import mocapact_cli
from mocapact_cli.core.datasets.expert_dataset import ExpertDataset
from mocapact_cli.core.datasets.metrics import write_metrics
from mocapact_cli.core.errors import InvalidInputError, NotFoundError, UsageError
from mocapact_cli.core.sim.observables import BASE, HIGH_LEVEL, MULTI_CLIP_SANS_ID

SNIPPETS = ["CMU_001_01-0-50", "CMU_001_01-30-80"]
JOINTS_AND_AXIS = ["walker/world_zaxis", "walker/joints_pos"]
COLUMNS = [5, 6, 7, 1, 2, 3, 4]


@pytest.fixture
def path(tmp_path, rolls):
    rolls.write(tmp_path / "CMU_001_01.hdf5", SNIPPETS)
    write_metrics(tmp_path)
    return tmp_path / "CMU_001_01.hdf5"


def make(path, observables=JOINTS_AND_AXIS, **settings):
    return ExpertDataset([path], observables, in_memory=True, **settings)


def steps(path, array):
    """An array of all episodes with its first T rows, in the order of a dataset without upsampling."""
    with h5py.File(path) as file:
        groups = [file[f"{snippet}/{slot}"] for snippet in SNIPPETS for slot in range(3)]
        return np.concatenate([group[array][: len(group["actions"])] for group in groups])


def test_it_is_a_public_name():
    assert mocapact_cli.ExpertDataset is ExpertDataset


def test_single_steps_are_those_of_the_file(path):
    data = make(path)
    assert np.array_equal(np.stack([row[0] for row in data]), steps(path, "observations/proprioceptive")[:, COLUMNS])
    assert np.array_equal(np.stack([row[1] for row in data]), steps(path, "mean_actions"))
    assert [row[2] for row in data] == [1.0] * len(data)
    sampled = make(path, return_mean_act=False)
    assert np.array_equal(np.stack([row[1] for row in sampled]), steps(path, "actions"))


def test_normalized_by_the_statistics_of_the_dataset(path):
    data = make(path, normalize_obs=True, normalize_act=True)
    with np.load(path.parent / "dataset_metrics.npz") as metrics:
        mean, std = metrics["proprio_mean"][COLUMNS], np.sqrt(metrics["proprio_var"][COLUMNS]) + 1e-4
        act_mean, act_std = metrics["mean_act_mean"], np.sqrt(metrics["mean_act_var"]) + 1e-4
    seen = (steps(path, "observations/proprioceptive")[:, COLUMNS] - mean) / std
    assert np.stack([row[0] for row in data]) == pytest.approx(seen, rel=1e-5)
    assert np.stack([row[1] for row in data]) == pytest.approx((steps(path, "mean_actions") - act_mean) / act_std, 1e-5)
    assert np.array_equal(data.act_mean, act_mean)


def test_upsampling_repeats_the_steps_of_short_snippets(path):
    plain, repeated = make(path), make(path, max_clip_len=100, clip_len_upsampling=True)
    assert len(repeated) == 20 * len(plain)
    assert np.array_equal(repeated[59][0], plain[2][0])
    assert np.array_equal(repeated[60][0], plain[3][0])


def test_windows_and_their_ends(path):
    data = make(path, min_seq_steps=2, max_seq_steps=4)
    with h5py.File(path) as file:
        first = file[f"{SNIPPETS[0]}/0"]
        assert len(first["actions"]) == 3
        seen, acted, weight = data[0]
        assert np.array_equal(seen, first["observations/proprioceptive"][:4][:, COLUMNS])
        assert np.array_equal(acted, first["mean_actions"][:3])
        assert weight.tolist() == [1.0] * 4
        seen, acted, weight = data[1]
        assert np.array_equal(seen, first["observations/proprioceptive"][1:4][:, COLUMNS])
        assert np.array_equal(acted, first["mean_actions"][1:3])
        # Windows of at least two steps begin at all of an episode's steps but the last.
        assert np.array_equal(data[2][1], file[f"{SNIPPETS[0]}/1/mean_actions"][:4])


def test_episodes_shorter_than_the_shortest_window_give_nothing(path):
    assert len(make(path, min_seq_steps=5, max_seq_steps=5)) == (0 + 0 + 1) + (2 + 3 + 4)


def test_steps_before_an_episodes_end_may_be_skipped(path):
    whole, shorter = (make(path, min_seq_steps=3, max_seq_steps=3, skip_last_steps=n) for n in (0, 2))
    for data, missing in ((whole, 2), (shorter, 4)):
        assert len(data) == sum(max(episode.length - missing, 0) for episode in data.episodes)
    for number in range(len(shorter)):
        rows = shorter.rows(np.array([number]))
        episode, last = whole.episodes[rows.episodes[0]], int(rows.steps[0] + rows.lengths[0])
        assert last <= episode.length - 2
    mixed = make(path, min_seq_steps=1, max_seq_steps=3, skip_last_steps=2)
    assert min(mixed.rows(np.arange(len(mixed))).lengths) == 1
    with pytest.raises(UsageError, match="-1 steps cannot be skipped"):
        make(path, skip_last_steps=-1)


@pytest.mark.parametrize(("name", "settings"), [("awr", {}), ("rwr", {"advantage_weights": False})])
def test_weights_of_samples(path, name, settings):
    data = make(path, temperature=2.0, **settings)
    energy = steps(path, "advantages").astype(np.float64)
    energy += steps(path, "values") if name == "rwr" else 0.0
    expected = np.exp(energy / 2.0) / np.exp(energy / 2.0).mean()
    assert np.array([row[2] for row in data]) == pytest.approx(expected, rel=1e-5)
    limited = make(path, temperature=2.0, max_weight=1.1, **settings)
    assert np.array([row[2] for row in limited]) == pytest.approx(np.minimum(expected, 1.1), rel=1e-5)


def test_weights_of_snippets(path):
    data = make(path, temperature=0.2, clip_weighted=True)
    returns = np.array(list(data.snippet_returns.values()))
    expected = np.exp(returns / 0.2) / np.exp(returns / 0.2).mean()
    assert sorted({float(row[2]) for row in data}) == pytest.approx(sorted(expected), rel=1e-6)
    assert data[0][2] == pytest.approx(expected[0])
    assert data[-1][2] == pytest.approx(expected[1])


def test_an_endless_temperature_is_none(path):
    assert make(path, temperature=math.inf)[0][2] == 1.0


def test_observables_come_as_they_were_asked_for(path):
    views = {"high": JOINTS_AND_AXIS, "low": ["walker/body_height"]}
    whole = make(path)[5][0]
    assert np.array_equal(make(path, views)[5][0]["high"], whole)
    assert make(path, views)[5][0]["low"].shape == (1,)
    apart = make(path, concat_observables=False)[5][0]
    assert list(apart) == JOINTS_AND_AXIS
    assert np.array_equal(np.concatenate(list(apart.values())), whole)
    assert make(path, views, concat_observables=False)[5][0]["low"]["walker/body_height"].shape == (1,)


def test_spaces_and_statistics_by_observable(path):
    data = make(path)
    assert data.observation_space.shape == (7,)
    assert data.action_space.shape == (5,)
    assert data.full_observation_space["walker/joints_pos"].shape == (4,)
    assert make(path, concat_observables=False).observation_space["walker/world_zaxis"].shape == (3,)
    assert make(path, {"a": JOINTS_AND_AXIS}).observation_space["a"].contains(data[0][0])
    rows = steps(path, "observations/proprioceptive")
    assert data.obs_rms["walker/joints_pos"].mean.shape == (4,)
    assert data.obs_rms["walker/joints_pos"].count == data.count > len(rows)
    assert data.ref_steps.tolist() == [1, 2]
    assert data.clip_snippets_flat == tuple(SNIPPETS)


def test_numbers_count_from_the_end_and_stop_at_the_ends(path):
    data = make(path)
    assert np.array_equal(data[-1][0], data[len(data) - 1][0])
    for index in (len(data), -len(data) - 1):
        with pytest.raises(IndexError, match=f"has {len(data)} samples"):
            data[index]


def test_samples_are_copies(path):
    data = make(path)
    data[0][0][:] = 7.0
    assert not (data[0][0] == 7.0).any()


@pytest.mark.parametrize("workers", [0, 2])
def test_pytorchs_loader_takes_it(path, workers):
    data = ExpertDataset([path], JOINTS_AND_AXIS)
    batches = list(DataLoader(data, batch_size=4, num_workers=workers))
    assert torch.equal(torch.cat([batch[0] for batch in batches]), torch.from_numpy(np.stack([row[0] for row in data])))


def test_metrics_of_the_files_serve_where_there_are_none_beside(path):
    beside = make(path, temperature=2.0)
    (path.parent / "dataset_metrics.npz").unlink()
    assert [row[2] for row in make(path, temperature=2.0)] == [row[2] for row in beside]


def test_metrics_of_another_dataset_are_refused(path, tmp_path, rolls):
    (tmp_path / "other").mkdir()
    rolls.write(tmp_path / "other" / "CMU_002_01.hdf5", ["CMU_002_01-0-50"])
    other = write_metrics(tmp_path / "other")
    with pytest.raises(InvalidInputError, match=f"knows nothing of {SNIPPETS[0]}"):
        make(path, metrics_path=other)
    rolls.layout = type(rolls.layout)({"walker/joints_pos": 2}, (1,), 1, 1, 5)
    rolls.write(tmp_path / "other" / "CMU_002_01.hdf5", ["CMU_002_01-0-50"])
    with pytest.raises(InvalidInputError, match="other columns"):
        make(path, metrics_path=write_metrics(tmp_path / "other"))


def test_bad_settings_are_named(path):
    with pytest.raises(NotFoundError, match="no observable 'walker/joint_pos'") as raised:
        make(path, ["walker/joint_pos"])
    assert "walker/joints_pos" in raised.value.hint
    with pytest.raises(UsageError, match="Windows of 3 to 2"):
        make(path, min_seq_steps=3, max_seq_steps=2)
    with pytest.raises(UsageError, match=r"temperature .* 0"):
        make(path, temperature=0.0)


TEMPERATURES = {"none": None, "rwr": 4.0, "awr": 8.0, "cwr": 0.2}


@pytest.fixture(scope="module")
def reference(test_data):
    with np.load(test_data / "published" / "reference" / "expert_dataset.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def published(test_data):
    folder = test_data / "published" / "dataset"
    files = [folder / "CMU_901_01.hdf5", folder / "CMU_902_01.hdf5"]

    def build(observables=MULTI_CLIP_SANS_ID, **settings):
        return ExpertDataset(files, observables, folder / "dataset_metrics.npz", in_memory=True, **settings)

    return build


@pytest.mark.parametrize("weights", TEMPERATURES)
@pytest.mark.parametrize("upsampling", [0, 1])
@pytest.mark.parametrize("window", [1, 30])
def test_published_samples_equal_the_originals_to_the_last_digit(published, reference, window, upsampling, weights):
    key = f"seq{window}_ups{upsampling}"
    data = published(
        min_seq_steps=window,
        max_seq_steps=window,
        clip_len_upsampling=bool(upsampling),
        temperature=TEMPERATURES[weights],
        clip_weighted=weights == "cwr",
        advantage_weights=weights != "rwr",
    )
    assert len(data) == reference[f"{key}/len"]
    seen, acted, weight = zip(*[data[index] for index in reference[f"{key}/idx"]], strict=True)
    assert np.array_equal(seen, reference[f"{key}/obs"])
    assert np.array_equal(acted, reference[f"{key}/act_mean"])
    assert np.array_equal(weight, reference[f"{key}/weight_{weights}"])
    offsets = (data.offsets.snippet_return, data.offsets.advantage, data.offsets.q_value)
    assert offsets == pytest.approx(reference[f"offsets_{weights}/return_adv_q"], rel=1e-14)


@pytest.mark.parametrize("window", [1, 30])
def test_published_sampled_actions_equal_the_originals(published, reference, window):
    data = published(min_seq_steps=window, max_seq_steps=window, return_mean_act=False)
    acted = [data[index][1] for index in reference[f"seq{window}_ups0/idx"]]
    assert np.array_equal(acted, reference[f"seq{window}_ups0/act_sampled"])


def test_published_windows_of_mixed_lengths_equal_the_originals(published, reference):
    data = published(min_seq_steps=5, max_seq_steps=30)
    assert len(data) == reference["min5max30/len"]
    for index in reference["min5max30/idx"]:
        seen, acted, weight = data[index]
        assert [len(seen), len(acted), len(weight)] == reference[f"min5max30/{index}/shapes"].tolist()
        assert np.array_equal(acted, reference[f"min5max30/{index}/act"])
        assert np.array_equal(weight, reference[f"min5max30/{index}/weight"])
        assert seen.sum(axis=-1) == pytest.approx(reference[f"min5max30/{index}/obs_sum"], rel=1e-4)


def test_published_samples_normalized_equal_the_originals(published, reference):
    data = published(normalize_obs=True, normalize_act=True)
    samples = [data[index] for index in reference["normalized/idx"]]
    assert np.array_equal([sample[0] for sample in samples], reference["normalized/obs"])
    assert np.array_equal([sample[1] for sample in samples], reference["normalized/act"])
    for name in ("proprio_mean", "proprio_var", "proprio_std", "count"):
        assert np.array_equal(getattr(data, name), reference[f"stats/{name}"])
    for name in ("act_mean", "act_var", "act_std"):
        assert np.array_equal(getattr(data, name), reference[f"stats/{name}"])


def test_published_views_of_a_hierarchical_policy_equal_the_originals(published, reference):
    data = published({"ref_encoder": HIGH_LEVEL, "decoder": BASE})
    samples = [data[index][0] for index in reference["hierarchical/idx"]]
    for view in ("ref_encoder", "decoder"):
        assert np.array_equal([sample[view] for sample in samples], reference[f"hierarchical/{view}"])


def test_published_subset_equals_the_originals(published, reference):
    data = published(
        clip_ids=["CMU_902_01-0-89", "CMU_901_01-60-139"],
        n_start_rollouts=2,
        n_rsi_rollouts=1,
        clip_len_upsampling=True,
        temperature=4.0,
        advantage_weights=False,
        max_weight=1.2,
    )
    assert len(data) == reference["subset/len"]
    samples = [data[index] for index in reference["subset/idx"]]
    assert np.array_equal([sample[1] for sample in samples], reference["subset/act"])
    assert np.array_equal([sample[2] for sample in samples], reference["subset/weight"])
    offsets = (data.offsets.snippet_return, data.offsets.advantage, data.offsets.q_value)
    assert offsets == pytest.approx(reference["subset/offsets_return_adv_q"], rel=1e-14)


def test_published_layout(published, reference):
    data = published()
    assert list(data.clip_snippets_flat) == reference["clip_snippets_flat"].tolist()
    assert np.array_equal(data.ref_steps, reference["ref_steps"])
    sizes = dict(
        zip(reference["full_observation_space_keys"], reference["full_observation_space_dims"].tolist(), strict=True)
    )
    assert {name: space.shape[0] for name, space in data.full_observation_space.items()} == sizes
