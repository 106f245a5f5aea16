"""Roll experts out into a dataset, one HDF5 file a clip, and read it back by name."""

import sys
from pathlib import Path

from mocapact_cli import read_rollouts
from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.interop.expert_folder import find_experts, recorded_mocap
from mocapact_cli.core.rollouts.config import RolloutConfig
from mocapact_cli.core.rollouts.recorder import record_rollouts

ROOT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("experts")
DATASET = Path("dataset")

experts = find_experts(ROOT)
clips = open_library(recorded_mocap(experts))
summary = record_rollouts(experts, clips, DATASET, RolloutConfig(n_start_rollouts=5, n_rsi_rollouts=15), force=True)
print(f"{summary.episodes} episodes, {summary.steps} steps, {summary.failed} ended early")

for clip_id in summary.recorded:
    with read_rollouts(DATASET / f"{clip_id}.hdf5") as rollouts:
        for snippet in rollouts.snippets:
            episode = rollouts[snippet][0]
            heights = episode.observable("walker/body_height")
            print(f"{snippet}: {episode.length} steps, actions {episode.actions.shape}, lowest {heights.min():.2f} m")
