"""The controls beside the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import viser

from mocapact_cli.core.viewer.charts import Charts
from mocapact_cli.core.viewer.curves import ERROR, HEIGHT, REWARD, SPEED
from mocapact_cli.core.viewer.scene import GHOST_PLACES, OVER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mocapact_cli.core.viewer.player import Player
    from mocapact_cli.core.viewer.session import Session
    from mocapact_cli.core.viewer.sources import Request, Source
    from mocapact_cli.core.viewer.takes import Take

SPEEDS = ("0.1×", "0.25×", "0.5×", "1×", "2×")
PLAY, PAUSE = "Play", "Pause"
_UNITS = {REWARD: "", ERROR: "", SPEED: " m/s", HEIGHT: " m"}
"""What the caption says of a moment, with its unit."""
_MOST_NOISE = 0.5
"""End of the slider, in standard deviations of actions, unless more was asked for."""


class Panel:
    """Shows where one is, and passes on what people want.

    Args:
        gui: The panel.
        source: What takes come from.
        request: The first of them.
        parts: Names of the parts of its motion.
        session: What is told of every wish; its methods run one after the other.
    """

    def __init__(
        self, gui: viser.GuiApi, source: Source, request: Request, parts: Sequence[str], session: Session
    ) -> None:
        self._gui, self._source, self._session = gui, source, session
        self._first = 0
        self._caption = gui.add_markdown("")
        with gui.add_folder("Play"):
            self._add_play()
        with gui.add_folder(source.motion_word):
            self._add_choice(request, parts)
            if source.live:
                self._add_acting(request)
        with gui.add_folder("View"):
            self._add_view()
        self._charts = Charts(gui)
        gui.add_command("Play or pause", hotkey="space").on_trigger(lambda _: session.post(session.toggle))

    def begin(self, take: Take, request: Request) -> None:
        """Make ready for another take."""
        self._first = take.first_step or 0
        self._scrub.min, self._scrub.max = self._first, self._first + max(take.capacity - 1, 1)
        self._ghost.disabled = not any(ghost is not None for ghost in take.ghosts)
        self._charts.begin(take)
        starts = self._source.starts(request.motion)
        if self._source.live and starts:
            self._start.min, self._start.max = starts[0], max(starts[-1], starts[0] + 1)
            self._start.value = take.first_step if take.first_step is not None else starts[0]

    def offer(self, parts: Sequence[str], part: int) -> None:
        """Offer the parts of another motion, of which one is shown."""
        if parts:
            self._part.options = tuple(parts)
            self._part.value = parts[part]

    def restore(self, take: Take, request: Request, parts: Sequence[str]) -> None:
        """Show the choices that made the take again, after others that could not be shown."""
        if len(self._source.motions) > 1:
            self._motion.value = request.motion
        if parts:
            self._part.value = parts[request.part]
        if self._source.live:
            self._noise.value, self._seed.value = request.act_noise, request.seed
            if self._source.starts(request.motion) and take.first_step is not None:
                self._start.value = take.first_step

    def refresh(self, player: Player) -> None:
        """Show where the player is."""
        take, frame = player.take, player.frame
        self._play.label = PAUSE if player.playing else PLAY
        self._play.icon = viser.Icon.PLAYER_PAUSE if player.playing else viser.Icon.PLAYER_PLAY
        self._scrub.value = self._first + frame
        self._caption.content = caption(take, frame)
        self._charts.draw(take, frame)

    def _add_play(self) -> None:
        gui, session = self._gui, self._session
        self._play = gui.add_button(PAUSE, icon=viser.Icon.PLAYER_PAUSE, color="orange")
        self._play.on_click(lambda _: session.post(session.toggle))
        # Any, since the type of an input's value is lost on the checker.
        self._scrub: Any = gui.add_slider("Step", min=0, max=1, step=1, initial_value=0)
        self._on_wish(self._scrub, lambda step: session.seek(int(step) - self._first))
        steps = gui.add_button_group("By steps", ("-10", "-1", "+1", "+10"))
        steps.on_click(lambda event: session.post(lambda: session.step(int(event.target.value))))
        speed = gui.add_dropdown("Speed", SPEEDS, initial_value="1×")
        self._on_wish(speed, lambda value: session.set_speed(float(value.rstrip("×"))))
        self._on_wish(gui.add_checkbox("Loop", True), session.set_loop)

    def _add_choice(self, request: Request, parts: Sequence[str]) -> None:
        gui, source, session = self._gui, self._source, self._session
        if len(source.motions) > 1:
            self._motion: Any = gui.add_dropdown(source.motion_word, source.motions, initial_value=request.motion)
            self._on_wish(self._motion, session.choose_motion)
        if parts:
            self._part: Any = gui.add_dropdown(source.part_word, tuple(parts), initial_value=parts[request.part])
            self._on_wish(self._part, session.choose_part)

    def _add_acting(self, request: Request) -> None:
        gui, session = self._gui, self._session
        if starts := self._source.starts(request.motion):
            first = starts[0] if request.start_step is None else request.start_step
            self._start: Any = gui.add_slider("Start at step", starts[0], max(starts[-1], starts[0] + 1), 1, first)
            self._on_wish(self._start, lambda step: session.change(start_step=int(step)))
        most = max(_MOST_NOISE, request.act_noise)
        self._noise: Any = gui.add_slider("Action noise", 0.0, most, 0.01, request.act_noise)
        self._on_wish(self._noise, lambda value: session.change(act_noise=float(value)))
        self._seed: Any = gui.add_number("Seed", request.seed, min=0, step=1)
        self._on_wish(self._seed, lambda value: session.change(seed=int(value)))
        again = gui.add_button(
            "Again", icon=viser.Icon.REFRESH, hint="Begin the episode again, from the same start and seed."
        )
        again.on_click(lambda _: session.post(session.again))
        push = gui.add_button("Push", icon=viser.Icon.HAND_STOP, hint="Shove the walker to one side.")
        push.on_click(lambda _: session.post(session.push))

    def _add_view(self) -> None:
        gui, session = self._gui, self._session
        self._ghost = gui.add_dropdown("Reference", GHOST_PLACES, initial_value=OVER)
        self._on_wish(self._ghost, session.set_ghost)
        self._on_wish(gui.add_checkbox("Follow", True), session.set_follow)

    def _on_wish(self, handle: Any, wish: Callable[[Any], None]) -> None:
        """Pass on what a person chooses, and not what is shown to them."""

        def told(event: viser.GuiEvent[Any]) -> None:
            if event.client is not None:
                value = event.target.value
                self._session.post(lambda: wish(value))

        handle.on_update(told)


def caption(take: Take, frame: int) -> str:
    """Return what stands above the controls, as Markdown: what is seen, when, and what it is worth."""
    seconds, last = frame * take.dt, (take.capacity - 1) * take.dt
    step = f", step {take.first_step + frame}" if take.first_step is not None else ""
    known = [f"{name} {value:.2f}{_UNITS[name]}" for name, value in take.now(frame).items() if name in _UNITS]
    lines = [f"**{take.title}**", f"{seconds:.2f} of {last:.2f} s{step}", ", ".join(known) or " "]
    if frame < take.prompt:
        lines[-1] = "prompt"
    if take.outcome and frame == take.frames - 1:
        lines.append(f"*{take.outcome}*")
    return "<br>".join(lines)
