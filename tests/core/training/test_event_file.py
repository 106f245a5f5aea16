"""TensorBoard records without Stable-Baselines3."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mocapact_cli.core.training.event_file import EventFile


def test_tensorboard_reads_the_numbers(tmp_path):
    events = EventFile(tmp_path / "a" / "b")
    for step in (1, 20):
        events.add({"train/loss": step / 2, "eval/score": 1}, step)
    events.close()
    seen = EventAccumulator(str(tmp_path / "a" / "b")).Reload()
    assert seen.Tags()["scalars"] == ["eval/score", "train/loss"]
    assert [(event.step, event.value) for event in seen.Scalars("train/loss")] == [(1, 0.5), (20, 10.0)]
