"""A page without a browser: what people ask for changes what is shown."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("viser")

from mocapact_cli.core.viewer.opening import open_source
from mocapact_cli.core.viewer.panel import caption
from mocapact_cli.core.viewer.server import View, serve
from mocapact_cli.core.viewer.takes import Take


def asked(page: View, *wishes) -> None:
    """Have wishes granted by the page's own loop."""
    done = threading.Event()
    for wish in (*wishes, done.set):
        page.session.post(wish)
    assert done.wait(20), "the page does not answer"


@pytest.fixture
def page(experts: Path) -> Iterator[View]:
    """Experts on a page, paused at the first frame."""
    with serve(open_source(str(experts))) as page:
        thread = threading.Thread(target=page.run)
        page.session.player.playing = False
        thread.start()
        yield page
        page.stop()
        thread.join(20)
        assert not thread.is_alive()


def test_it_plays_and_pauses(page: View) -> None:
    player = page.session.player
    asked(page, page.session.toggle)
    end = time.monotonic() + 20
    while player.frame < 4 and time.monotonic() < end:
        time.sleep(0.01)
    asked(page, page.session.toggle)
    assert (player.frame >= 4, player.playing) == (True, False)


def test_another_snippet_another_start_and_the_same_again(page: View) -> None:
    session = page.session
    asked(page, lambda: session.choose_motion("demo_squat-5-45"))
    assert session.player.take.title == "demo_squat-5-45"
    asked(page, lambda: session.change(start_step=12, act_noise=0.1), lambda: session.step(3))
    first = session.player.take
    assert (first.first_step, session.request.act_noise) == (12, 0.1)
    asked(page, session.again, lambda: session.step(3))
    assert session.player.take is not first
    np.testing.assert_array_equal(session.player.take.poses[:4], first.poses[:4])


def test_a_push_goes_on_from_the_last_moment(page: View) -> None:
    session, player = page.session, page.session.player
    asked(page, lambda: session.step(4), lambda: session.step(-3))
    assert (player.frame, player.take.frames) == (1, 5)
    asked(page, session.push, session.toggle)
    assert player.frame >= 4


def test_all_who_have_it_open_see_the_same(page: View) -> None:
    import viser
    from websockets.sync.client import connect

    address, protocol = page.url.replace("http", "ws"), f"viser-v{viser.__version__}"
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(connect(address, subprotocols=[protocol], max_size=None, compression=None))
            for _ in range(2)
        ]
        for client in clients:
            drain(client)
        asked(page, lambda: page.session.step(7))
        seen = [sum(map(len, drain(client))) for client in clients]
    # A picture of the walker and its ghost; the panel alone is smaller.
    assert min(seen) > 4_000
    assert page.session.player.frame == 7


def drain(client) -> list[bytes]:
    """Return the messages that come until none has come for a while."""
    found = []
    with contextlib.suppress(TimeoutError):
        while True:
            found.append(client.recv(timeout=0.4))
    return found


def test_what_fails_leaves_what_is_shown(page: View) -> None:
    session = page.session
    before = session.player.take, session.request
    asked(page, lambda: session.change(motion="demo_squat-5-45", start_step=0))
    broken = session.source.stage
    session.source.stage = raising  # type: ignore[attr-defined]
    shown = session.player.take, session.request
    asked(page, session.again)
    assert (session.player.take, session.request) == shown != before
    session.source.stage = broken  # type: ignore[attr-defined]


def test_the_controls_go_back_to_what_is_shown_where_a_choice_fails(page: View) -> None:
    session, panel = page.session, page.session._panel
    asked(page, lambda: session.change(start_step=12, act_noise=0.1, seed=3))
    panel._motion.value, panel._noise.value = "demo_squat-5-45", 0.4
    panel._seed.value, panel._start.value = 8, 30
    session.source.stage = raising  # type: ignore[attr-defined]
    asked(page, lambda: session.choose_motion("demo_squat-5-45"))
    values = [handle.value for handle in (panel._motion, panel._noise, panel._seed, panel._start)]
    assert values == ["demo_reach-0-40", 0.1, 3, 12]


@pytest.fixture
def recorded_page(recorded: Path) -> Iterator[View]:
    """Recorded episodes on a page whose loop does not run."""
    with serve(open_source(str(recorded))) as page:
        yield page


def test_an_episode_of_the_motion_before_is_not_looked_for_in_another(recorded_page: View) -> None:
    session = recorded_page.session
    first, second = session.source.parts("demo_reach-0-40")
    session.choose_part(second)
    assert session.request.part == 1
    session.choose_motion("demo_squat-5-45")
    session.choose_part("2: start, norm. return 0.99")
    assert (session.request.motion, session.request.part) == ("demo_squat-5-45", 0)
    assert session._panel._part.options == session.source.parts("demo_squat-5-45")
    assert first != second


def test_a_file_that_is_damaged_leaves_what_is_shown(recorded_page: View, monkeypatch: pytest.MonkeyPatch) -> None:
    session = recorded_page.session
    before = session.player.take, session.request
    monkeypatch.setattr("mocapact_cli.core.viewer.recorded_sources.episode_take", unreadable)
    session.choose_motion("demo_squat-5-45")
    assert (session.player.take, session.request) == before
    assert session._panel._motion.value == "demo_reach-0-40"


def unreadable(*arguments):
    raise OSError("Can't synchronously read data (wrong fletcher32)")


def raising(request):
    from mocapact_cli.core.errors import NotFoundError

    raise NotFoundError("It is gone.", hint="Look elsewhere.")


def test_the_caption_says_what_and_when() -> None:
    take = Take("a", 5, poses=[np.zeros(63)] * 3, curves={"reward": [np.nan, 0.5, 0.25], "termination": [0.1] * 3})
    take.first_step, take.outcome, take.prompt = 40, "fell", 1
    assert caption(take, 0) == "**a**<br>0.00 of 0.12 s, step 40<br>prompt"
    assert caption(take, 1) == "**a**<br>0.03 of 0.12 s, step 41<br>reward 0.50"
    assert caption(take, 2) == "**a**<br>0.06 of 0.12 s, step 42<br>reward 0.25<br>*fell*"
