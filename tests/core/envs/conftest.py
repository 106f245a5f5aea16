import pytest

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.clips.snippets import Snippet

DEMOS = ("demo_reach", "demo_squat", "demo_step", "demo_walk")


@pytest.fixture(scope="session")
def demos():
    """(clip, snippet) pairs of the built-in clips by name, each the whole clip."""
    library = open_library()
    return {name: (library.get(name), library.resolve(name)) for name in DEMOS}


@pytest.fixture(scope="session")
def walk(demos):
    return demos["demo_walk"]


@pytest.fixture(scope="session")
def short_walk(demos):
    """Forty steps of walking, so that episodes reach the snippet's end soon."""
    clip = demos["demo_walk"][0]
    return clip, Snippet(clip.id, 60, 100)
