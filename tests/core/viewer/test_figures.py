"""Figures and marks as the browser is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("viser")

from mocapact_cli.core.tasks.goal import Mark
from mocapact_cli.core.viewer.figures import Figure, GoalMarks, rgb
from mocapact_cli.core.viewer.server import _open
from mocapact_cli.core.viewer.shapes import walker_copies
from mocapact_cli.core.walker.kinematics import BodyPoser


@pytest.fixture
def server() -> Iterator[Any]:
    server = _open("127.0.0.1", 8080, "test")
    yield server
    server.stop()


def test_a_figure_stands_where_its_bodies_are_in_its_colour(server, walker) -> None:
    copies, pose = walker_copies(walker), np.zeros(63)
    pose[:4] = 1.0, 2.0, 3.0, 1.0
    figure = Figure(server, "walker", copies, (1, 2, 3), None)
    figure.place(BodyPoser(walker)(pose))
    figure.paint((4, 5, 6))
    figure.visible(False)
    for part, handle in zip(copies, figure._handles, strict=True):
        np.testing.assert_allclose(handle.batched_positions, part.placed(BodyPoser(walker)(pose))[0], rtol=1e-6)
        assert np.abs(handle.batched_positions - [1.0, 2.0, 3.0]).max() < 1.5
        np.testing.assert_array_equal(handle.batched_colors, [4, 5, 6])
        assert not handle.visible


def test_marks_are_shown_where_they_are_and_hidden_where_there_are_none(server) -> None:
    marks = GoalMarks(server)
    marks.show([Mark("spot", np.array([1.0, 2.0, 0.0]), np.array([0.5, 0.5, 0.0]))])
    assert (marks._spot.visible, marks._arrow.visible, marks._spot.radius) == (True, False, 0.5)
    marks.show([Mark("arrow", np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0]))])
    assert (marks._spot.visible, marks._arrow.visible) == (False, True)
    np.testing.assert_array_equal(marks._arrow.points, [[[0, 0, 1], [1, 0, 1]]])


def test_colours_are_bytes() -> None:
    assert rgb((0.0, 0.5, 1.0, 0.3)) == (0, 128, 255)
