"""What is being shown, and how it changes: one loop that plays, and does what people ask for in between."""

from __future__ import annotations

import queue
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import MocapactError
from mocapact_cli.core.viewer.panel import Panel
from mocapact_cli.core.viewer.player import Player
from mocapact_cli.core.viewer.scene import Scene
from mocapact_cli.core.walker.model import get_walker

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    import viser

    from mocapact_cli.core.viewer.sources import Request, Source

PICTURE_S = 1 / 60
"""Seconds between pictures while something moves."""
PANEL_S = 0.1
"""Seconds between changes of the panel while something moves."""
IDLE_S = 0.2
"""Seconds within which the page notices that it is to end, while nothing moves."""
NOTICE_S = 8.0
"""Seconds for which a message stands."""
PUSH = 1.0
"""Metres a second that a push adds."""


class Session:
    """One source in one window, which all who open it share.

    Args:
        server: Shows it.
        source: What takes come from.

    Raises:
        MocapactError: The first take cannot be made.

    Attributes:
        source: What takes come from.
        request: The take that is shown.
        player: Plays it.
    """

    def __init__(self, server: viser.ViserServer, source: Source) -> None:
        self._server, self.source, self.request = server, source, source.first
        self._parts = source.parts(self.request.motion)
        walker = get_walker()
        self.player = Player(walker, source.take(self.request))
        self._wishes: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._scene = Scene(server, walker)
        self._panel = Panel(server.gui, source, self.request, self._parts, self)
        self._pushes = np.random.default_rng(0)
        self._scene.aim(self.player.take)
        self._begin()

    def post(self, wish: Callable[[], None]) -> None:
        """Have something done between two pictures; any thread may ask."""
        self._wishes.put(wish)

    def run(self, stop: threading.Event) -> None:
        """Play until `stop` is set."""
        last = time.perf_counter()
        panel_due = 0.0
        while not stop.is_set():
            asked = self._grant(self._patience(last))
            now = time.perf_counter()
            moved = self.player.playing
            if moved:
                self.player.advance(now - last)
            last = now
            if moved or asked:
                self._draw()
            if asked or (moved and (now >= panel_due or not self.player.playing)):
                self._panel.refresh(self.player)
                panel_due = now + PANEL_S

    def toggle(self) -> None:
        """Play or pause."""
        if self.player.playing:
            self.player.playing = False
        else:
            self.player.play()

    def seek(self, frame: int) -> None:
        """Go to a frame."""
        self.player.seek(frame)

    def step(self, frames: int) -> None:
        """Go on or back by frames."""
        self.player.step(frames)

    def set_speed(self, speed: float) -> None:
        """Play so many times as fast."""
        self.player.speed = speed

    def set_loop(self, wanted: bool) -> None:
        """Begin again at the end, or stay there."""
        self.player.loop = wanted

    def set_ghost(self, place: str) -> None:
        """Draw the reference at one of `scene.GHOST_PLACES`."""
        self._scene.ghost = place

    def set_follow(self, wanted: bool) -> None:
        """Keep the walker in the middle, or let it walk away."""
        self._scene.follows = wanted

    def choose_motion(self, motion: str) -> None:
        """Show another motion, from its beginning."""
        if self._show(replace(self.request, motion=motion, part=0, start_step=None)):
            self._panel.offer(self._parts, 0)

    def choose_part(self, name: str) -> None:
        """Show another part or episode of the motion."""
        # Whoever chose it may have seen the parts of the motion before.
        if name in self._parts:
            self._show(replace(self.request, part=self._parts.index(name)))

    def change(self, **settings: Any) -> None:
        """Let the policy act otherwise: the episode begins again.

        Args:
            settings: Fields of the request that change.
        """
        self._show(replace(self.request, **settings))

    def again(self) -> None:
        """Begin the episode again."""
        self._show(self.request)

    def push(self) -> None:
        """Shove the walker in a direction that is drawn, at the last moment that there is, and go on from there."""
        if not self.player.take.grows:
            self._tell("The episode has ended.", "Begin it again to push the walker.")
            return
        angle = self._pushes.uniform(0.0, 2.0 * np.pi)
        self.player.take.push(PUSH * np.array([np.cos(angle), np.sin(angle), 0.0]))
        self.player.seek(self.player.take.frames - 1)
        self.player.play()

    def close(self) -> None:
        """Let go of what makes the take; the source stays open."""
        self.player.take.close()

    def _show(self, request: Request) -> bool:
        try:
            parts = self._parts if request.motion == self.request.motion else self.source.parts(request.motion)
            take = self.source.take(request)
        except MocapactError as error:
            self._tell(error.message, error.hint)
            self._panel.restore(self.player.take, self.request, self._parts)
            return False
        self.player.take.close()
        self.player.load(take)
        self.request, self._parts = request, parts
        self._begin()
        return True

    def _tell(self, message: str, hint: str) -> None:
        for client in self._server.get_clients().values():
            client.add_notification(message, hint, color="orange", auto_close_seconds=NOTICE_S)

    def _begin(self) -> None:
        self._scene.begin(self.player.take)
        self._panel.begin(self.player.take, self.request)
        self._draw()
        self._panel.refresh(self.player)

    def _draw(self) -> None:
        player = self.player
        marks = player.take.marks
        self._scene.show(
            *player.shown(),
            player.ground(),
            marks[player.frame] if player.frame < len(marks) else (),
            prompting=player.frame < player.take.prompt,
        )

    def _patience(self, last: float) -> float:
        """Return for how many seconds nothing but a wish can happen."""
        if not self.player.playing:
            return IDLE_S
        return max(last + PICTURE_S - time.perf_counter(), 0.0)

    def _grant(self, patience: float) -> bool:
        """Do what has been asked for, waiting a while for the first wish; whether there was any."""
        granted = False
        while True:
            try:
                wish = self._wishes.get(timeout=patience) if patience else self._wishes.get_nowait()
            except queue.Empty:
                return granted
            wish()
            granted, patience = True, 0.0
