"""An expert with a random network for a built-in clip."""

from __future__ import annotations

import pytest

from mocapact_cli.core.clips.demos import demo
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.policies.expert import ExpertPolicy
from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

SNIPPETS = (Snippet("demo_reach", 0, 40), Snippet("demo_squat", 0, 45))


@pytest.fixture(scope="session")
def pairs():
    return [(demo(snippet.clip_id), snippet) for snippet in SNIPPETS]


@pytest.fixture(scope="session")
def policy() -> ExpertPolicy:
    return ExpertPolicy.fresh(TIME_INDEX, ObservableLayout(TIME_INDEX, (0,)).size, layers=(16, 16))
