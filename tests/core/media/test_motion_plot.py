from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocapact_cli.core.media.joints_plot import JointTracks
from mocapact_cli.core.media.motion_plot import MotionView, RootPath, plot_motion


@pytest.mark.parametrize("count", [1, 10, 40])
def test_clips_of_any_number_and_name_are_drawn(tmp_path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    paths = [RootPath(f"_$clip^{n}", np.cumsum(rng.standard_normal((50, 3)) / 20, axis=0), 0.03) for n in range(count)]
    angles = rng.standard_normal((50, 56))
    joints = JointTracks("$a", [f"j{n}" for n in range(56)], angles, np.full_like(angles, np.nan), 0.03)
    path = plot_motion(tmp_path / "a.png", MotionView("a$b", paths, [1.5] * count, joints))
    assert 5_000 < path.stat().st_size < 300_000
