"""Compare a LeRobot export with its source, read by the lerobot library itself.

lerobot needs an environment of its own, as its dependencies do not go together with those of mocapact:

    python3 -m venv lerobot-env
    lerobot-env/bin/pip install torch torchvision
    lerobot-env/bin/pip install --no-deps lerobot
    lerobot-env/bin/pip install datasets pyarrow huggingface_hub pandas jsonlines packaging av pillow \
        einops deepdiff termcolor accelerate h5py
    mocapact export DATASET --to lerobot -o EXPORT
    lerobot-env/bin/python tests/benchmarks/check_lerobot.py EXPORT DATASET

It needs nothing of mocapact: the source is read by plain h5py.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import torch

SNIPPET = re.compile(r".+-(\d+)-\d+")
STEP = 0.03


def declare_missing_operators() -> None:
    """Let torchvision be imported beside a PyTorch that it was not built for; lerobot uses only its transforms."""
    try:
        import torchvision
    except RuntimeError:
        for name in [module for module in sys.modules if module.startswith("torchvision")]:
            del sys.modules[name]
        declare_missing_operators.library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            declare_missing_operators.library.define(f"{name}(Tensor dets, Tensor scores, float threshold) -> Tensor")
        import torchvision  # noqa: F401


def source_episodes(folder: Path):
    """Yield the name of the snippet, the group and the early termination of each episode, as the export orders them."""
    for path in sorted(folder.glob("*.hdf5")):
        with h5py.File(path) as file:
            snippets = sorted((name for name in file if SNIPPET.fullmatch(name)), key=lambda name: _start(name))
            count = int(file["n_start_rollouts"][()]) + int(file["n_rsi_rollouts"][()])
            for name in snippets:
                for slot in range(count):
                    yield name, file[name][str(slot)], bool(file[name]["early_termination"][slot])


def _start(name: str) -> int:
    return int(SNIPPET.fullmatch(name)[1])


def compare(dataset, folder: Path) -> int:
    """Compare every frame with the source; return how many there were."""
    frame = 0
    for number, (name, group, failed) in enumerate(source_episodes(folder)):
        steps = len(group["actions"])
        for step in range(steps):
            item = dataset[frame]
            compare_frame(item, group, step)
            assert item["episode_index"] == number
            assert item["task"].rstrip(".").endswith(name)
            assert item["next.done"] == (step == steps - 1)
            assert item["next.success"] == (step == steps - 1 and not failed)
            assert abs(float(item["timestamp"]) - step * STEP) < 1e-5
            frame += 1
    assert frame == len(dataset), f"{len(dataset)} frames, the source has {frame}"
    return frame


def compare_frame(item, group: h5py.Group, step: int) -> None:
    """Compare one frame with the source, number by number."""
    pairs = {
        "observation.state": "observations/proprioceptive",
        "action": "actions",
        "mean_actions": "mean_actions",
        "next.reward": "rewards",
        "values": "values",
        "advantages": "advantages",
    }
    for ours, theirs in pairs.items():
        np.testing.assert_array_equal(item[ours].numpy(), group[theirs][step], err_msg=ours)
    for name in (name for name in item if name.startswith("observation.images.")):
        image = group[f"observations/walker/{name.rpartition('.')[2]}"][step]
        np.testing.assert_array_equal(np.rint(item[name].numpy() * 255).astype(np.uint8), image.transpose(2, 0, 1))


def check_windows(dataset_class, root: Path) -> None:
    """Ask for windows of observations and actions, as sequence policies do."""
    window = {"observation.state": [-STEP, 0.0], "action": [0.0, STEP, 2 * STEP]}
    plain, windows = (
        dataset_class("mocapact/check", root=root),
        dataset_class("mocapact/check", root=root, delta_timestamps=window),
    )
    for index in (0, 1, len(plain) - 1):
        item = windows[index]
        assert torch.equal(item["observation.state"][1], plain[index]["observation.state"])
        assert torch.equal(item["action"][0], plain[index]["action"])
    assert bool(windows[0]["observation.state_is_pad"][0])
    assert windows[len(plain) - 1]["action_is_pad"].tolist() == [False, True, True]


def check_statistics(dataset) -> None:
    """Compare lerobot's view of the statistics with the frames."""
    rows = np.stack([dataset[index]["observation.state"].numpy() for index in range(len(dataset))]).astype(np.float64)
    found = dataset.meta.stats["observation.state"]
    np.testing.assert_allclose(found["mean"], rows.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found["std"], rows.std(axis=0), atol=1e-6)


def check_batches(dataset) -> None:
    """Load shuffled batches."""
    loader = torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)
    batch = next(iter(loader))
    assert batch["observation.state"].shape[0] == min(32, len(dataset))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("source", type=Path)
    arguments = parser.parse_args()
    declare_missing_operators()
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("mocapact/check", root=arguments.export)
    frames = compare(dataset, arguments.source)
    check_windows(LeRobotDataset, arguments.export)
    check_statistics(dataset)
    check_batches(dataset)
    some = LeRobotDataset("mocapact/check", root=arguments.export, episodes=[dataset.num_episodes - 1])
    assert 0 < len(some) < len(dataset) or dataset.num_episodes == 1
    versions = {name: importlib.metadata.version(name) for name in ("lerobot", "datasets", "torch")}
    print(f"{dataset.num_episodes} episodes with {frames} frames are equal; {versions}")


if __name__ == "__main__":
    main()
