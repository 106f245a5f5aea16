from __future__ import annotations

import numpy as np
import pytest

from mocapact_cli.core.media.figures import new_figure
from mocapact_cli.core.media.joints_plot import JointTracks, draw_joints


@pytest.mark.parametrize("tracked", [True, False])
def test_the_joints_that_move_most_come_first_with_their_reference_where_it_is_known(tracked: bool) -> None:
    walker = np.linspace(0.0, 1.0, 20)[:, None] * np.array([0.1, 3.0, 2.0, 0.0])
    reference = walker / 2.0 if tracked else np.full_like(walker, np.nan)
    figure = new_figure((4.0, 3.0))
    draw_joints(figure, JointTracks("a-0-19", ["a", "b", "c", "d"], walker, reference, 0.03), rows=1, columns=2)
    assert [panel.get_title() for panel in figure.axes] == ["b", "c"]
    *references, walked = figure.axes[0].get_lines()
    np.testing.assert_allclose(walked.get_ydata(), walker[:, 1])
    np.testing.assert_allclose(walked.get_xdata()[-1], 19 * 0.03)
    assert [line.get_ydata()[-1] for line in references] == ([1.5] if tracked else [])
