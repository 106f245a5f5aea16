"""Learning from the first update, or from the last checkpoint, to the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from mocapact_cli.core.errors import InterruptedRunError
from mocapact_cli.core.training.overlap import OverlappedPPO
from mocapact_cli.core.training.ppo.monitor import PpoMonitor, PpoRun, diverged
from mocapact_cli.core.training.ppo.settings import PpoSettings


def bar_of(config: PpoSettings) -> tuple[float, str]:
    """The total and the unit of a run's progress bar: its limit in time if it has one, else in steps."""
    return (60.0 * config.max_minutes, "s") if config.max_minutes else (float(config.total_timesteps), "steps")


def learn(run: PpoRun, model: Any, monitor: PpoMonitor, prepare: Callable[[], None]) -> None:
    """Learn until the limits or the monitor say that it is enough.

    Args:
        run: The run.
        model: Stable-Baselines3's PPO.
        monitor: Told of all that happens.
        prepare: Called first; what it does is not worth keeping before it is finished.

    Raises:
        InterruptedRunError: After Ctrl-C; all is saved.
        RunError: The learner diverged.
    """
    monitor.init_callback(model)
    if isinstance(model, OverlappedPPO):
        model.pause_due = monitor.checkpoint_due
    prepared = False
    try:
        with _noting_interrupts(monitor):
            prepare()
            prepared = True
            left = run.config.total_timesteps - monitor.progression.timesteps
            model.learn(left, callback=monitor, reset_num_timesteps=False, tb_log_name=monitor.group)
            monitor.finish()
    except KeyboardInterrupt:
        if prepared:
            monitor.save()
        raise InterruptedRunError(
            f"Stopped after {model.num_timesteps:,} steps; all is saved in {run.folder.root}.",
            hint="Continue with --resume.",
        ) from None
    except ValueError as error:
        if "nan" not in str(error).lower():
            raise
        raise diverged(run, model.num_timesteps) from error


@contextmanager
def _noting_interrupts(monitor: PpoMonitor) -> Iterator[None]:
    """Tell the monitor of Ctrl-C, too: an exception alone gets lost where a library swallows all that its code raises.

    Other answers to Ctrl-C than Python's own, such as none in the processes of a fleet, stay as they are.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if not on_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        monitor.interrupted = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def decaying(step_size: float, lr_decay: float, left: float) -> float:
    """Adam's step size: divided by `lr_decay` at one and two thirds of the way."""
    return step_size / lr_decay ** min(2, int(3.0 * (1.0 - left) + 1e-9))
