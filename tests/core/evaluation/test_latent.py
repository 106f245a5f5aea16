from __future__ import annotations

import json

import numpy as np
import pytest

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation import latent_views
from mocapact_cli.core.evaluation.latent import LatentConfig, study_between, study_prior
from mocapact_cli.core.policies.npmp import NpmpConfig
from mocapact_cli.core.policies.zoo import build_policy

CONFIG = LatentConfig(n_walkers=3, max_steps=12, threads=1)


@pytest.fixture(scope="module")
def npmp():
    sizes = {"encoder_layers": (16,), "decoder_layers": (16,), "embed_size": 4, "embedding_correlation": 0.8}
    return build_policy(NpmpConfig(**sizes), seed=1)


@pytest.fixture(scope="module")
def sampled(npmp, pairs):
    return study_prior(npmp, pairs, CONFIG, encode=True)


@pytest.fixture(scope="module")
def between(npmp, pairs):
    return study_between(npmp, *pairs, CONFIG)


def test_sampled_held_and_zero_embeddings_begin_alike(sampled) -> None:
    assert [walker.kind for walker in sampled.walkers] == ["prior"] * 3 + ["held"] * 3 + ["zero"] * 3
    for prior, held, zero in zip(sampled.walkers[:3], sampled.walkers[3:6], sampled.walkers[6:], strict=True):
        assert prior.start == held.start == zero.start
        assert prior.measures.embedding_spread > 0.1
        assert held.measures.embedding_spread == pytest.approx(0.0, abs=1e-9)
        assert zero.measures.embedding_spread == 0.0
        assert np.abs(held.motion.embeddings).max() > 0
        assert prior.likeness["joints_from_zero_rad"] > 0
        assert zero.likeness["joints_from_zero_rad"] == 0.0
    assert len({walker.start for walker in sampled.walkers}) > 1


def test_the_document_says_what_was_done_and_is_json(sampled, npmp) -> None:
    document = json.loads(json.dumps(sampled.to_json()))
    assert (document["mode"], document["correlation"], document["scale"]) == ("prior", 0.8, 1.0)
    assert [group["kind"] for group in document["groups"]] == ["prior", "held", "zero"]
    seconds = [walker["seconds"] for walker in document["walkers"] if walker["kind"] == "prior"]
    assert document["groups"][0]["seconds"] == pytest.approx(np.mean(seconds))
    assert [row["snippet"] for row in document["encoded"]] == ["demo_reach-0-40", "demo_squat-0-45"]


def test_the_seed_decides_and_settings_are_followed(npmp, pairs, sampled) -> None:
    again = study_prior(npmp, pairs, CONFIG)
    np.testing.assert_array_equal(again.walkers[0].motion.qpos, sampled.walkers[0].motion.qpos)
    assert again.encodings == ()
    changed = LatentConfig(
        n_walkers=3, max_steps=12, threads=1, seed=1, correlation=1.0, scale=2.0, always_init_at_clip_start=True
    )
    other = study_prior(npmp, pairs, changed)
    assert [walker.start[5:] for walker in other.walkers[:3]] == ["reach step 0", "squat step 0", "reach step 0"]
    assert other.walkers[0].measures.embedding_spread == pytest.approx(0.0, abs=1e-9)
    assert other.settings["scale"] == 2.0


def test_between_two_snippets_the_embedding_goes_from_one_to_the_other(between) -> None:
    first, second = (one.embeddings for one in between.encodings)
    by_kind = {walker.kind: walker for walker in between.walkers}
    assert list(by_kind) == ["0", "0.25", "0.5", "0.75", "1", "moving", "held", "zero"]
    steps = len(by_kind["0"].motion.embeddings)
    np.testing.assert_allclose(by_kind["0"].motion.embeddings, first[:steps], atol=1e-6)
    np.testing.assert_allclose(by_kind["1"].motion.embeddings, second[:steps], atol=1e-6)
    moving = by_kind["moving"].motion.embeddings
    np.testing.assert_allclose(moving[0], first[0], atol=1e-6)
    np.testing.assert_allclose(moving[steps - 1], second[steps - 1], atol=1e-6)
    assert {walker.start for walker in between.walkers} == {"demo_reach step 0"}
    assert by_kind["0"].likeness["joints_from_a_rad"] == by_kind["1"].likeness["joints_from_b_rad"] == 0.0
    away = [by_kind[kind].likeness["joints_from_a_rad"] for kind in ("0", "0.25", "0.5", "0.75", "1")]
    assert away == sorted(away)


@pytest.mark.parametrize("wrong", [{"correlation": 1.5}, {"scale": -1.0}, {"n_walkers": 0}, {"max_steps": 0}])
def test_impossible_settings_are_refused(wrong) -> None:
    with pytest.raises(UsageError):
        LatentConfig(**wrong)


@pytest.mark.parametrize(
    ("kind", "columns", "labels"),
    [
        ("sampled.mp4", 3, ["prior"] * 3 + ["held"] * 3 + ["zero"] * 3),
        ("sampled.png", 2, ["prior", "held", "zero"] * 2),
        ("between.mp4", 5, ["A", "25 % B", "50 % B", "75 % B", "B", "moving", "held", "zero"]),
    ],
)
def test_a_film_shows_walkers_where_they_can_be_compared(
    kind, columns, labels, sampled, between, tmp_path, monkeypatch
) -> None:
    filmed = {}

    def note(tiles, path, *, columns, progress):
        filmed.update(tiles=tiles, columns=columns)

    monkeypatch.setattr(latent_views, "film_walkers", note)
    study = sampled if kind.startswith("sampled") else between
    latent_views.film_study(study, tmp_path / kind)
    assert filmed["columns"] == columns
    assert [tile.label for tile in filmed["tiles"]] == labels
    assert all(tile.ending.split(" at ")[0] in ("fell", "done") for tile in filmed["tiles"])
    np.testing.assert_array_equal(filmed["tiles"][0].qpos, study.walkers[0].motion.qpos)
    if kind == "sampled.png":
        starts = [tile.qpos[0] for tile in filmed["tiles"]]
        np.testing.assert_array_equal(starts[0], starts[2])
        assert np.abs(starts[0] - starts[3]).max() > 0


def test_a_plane_is_drawn_of_both_kinds_of_study(sampled, between, tmp_path) -> None:
    for name, study in (("sampled", sampled), ("between", between)):
        assert latent_views.plot_study(study, tmp_path / f"{name}.png").stat().st_size > 10_000


def test_a_plot_needs_encoded_snippets(npmp, pairs, tmp_path) -> None:
    with pytest.raises(UsageError, match="No snippet was encoded"):
        latent_views.plot_study(
            study_prior(npmp, pairs[:1], LatentConfig(n_walkers=1, max_steps=1)), tmp_path / "plot.png"
        )
