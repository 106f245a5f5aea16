from dataclasses import replace

import pytest
import torch

from mocapact_cli.core.bench import dataset, train_distill
from mocapact_cli.core.policies.zoo import preset


def test_both_sides_are_measured_and_nothing_is_left(monkeypatch, mocapact_home):
    monkeypatch.setattr(dataset, "EPISODE_STEPS", 40)
    monkeypatch.setattr(dataset, "SNIPPETS", 1)
    monkeypatch.setattr(train_distill, "ROUNDS", 3)
    monkeypatch.setattr(train_distill, "BATCH_SIZES", {"cpu": 4})
    small = replace(preset("npmp"), encoder_layers=(16,), decoder_layers=(16,), embed_size=4, seq_steps=5)
    threads = torch.get_num_threads()
    measured = train_distill.measure_distillation(1, "cpu", network=small)
    assert torch.get_num_threads() == threads
    assert measured["of_fixed_batch"] == pytest.approx(
        measured["steps_per_s"] / measured["fixed_batch_steps_per_s"], rel=0.5
    )
    assert (measured["batch_size"], measured["window"], measured["threads"], measured["rounds"]) == (4, 5, 1, 3)
    assert list((mocapact_home / "cache").iterdir()) == []
