import io

import pytest
from rich.console import Console

from mocapact_cli.cli.progress import BarProgress, LineProgress, format_rate, format_seconds, make_progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def log():
    return io.StringIO()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(log, clock):
    return LineProgress(Console(file=log, width=200), clock)


def test_short_work_says_nothing_in_a_pipe(lines, log, clock):
    with lines.task("Filming", 10, "frames") as task:
        for _ in range(10):
            clock.now += 0.3
            task.advance()
    assert log.getvalue() == ""


def test_long_work_says_count_rate_time_left_and_fields(lines, log, clock):
    with lines.task("Training", 200_000, "steps") as task:
        clock.now += 10
        task.update(completed=50_000, reward="0.71")
        task.advance(50_000)
    first, last = log.getvalue().splitlines()
    assert first == "Training: 50,000/200,000 (25%) steps, 5,000 steps/s, 30s left, reward 0.71"
    assert last == "Training: 100,000/200,000 (50%) steps, 10,000 steps/s, 10s left, reward 0.71"


def test_what_has_been_said_is_not_said_again_at_the_end(lines, log, clock):
    with lines.task("Training", 10, "steps") as task:
        clock.now += 10
        task.advance(10)
    assert len(log.getvalue().splitlines()) == 1


def test_lines_are_seldom(lines, log, clock):
    with lines.task("Training", None, "steps") as task:
        for _ in range(100):
            clock.now += 1
            task.advance(10)
    assert 5 <= len(log.getvalue().splitlines()) <= 7


def test_the_last_line_is_said_when_the_work_fails(lines, log, clock):
    with pytest.raises(ValueError), lines.task("Training", 10) as task:
        clock.now += 6
        task.advance()
        task.advance()
        raise ValueError
    assert len(log.getvalue().splitlines()) == 2


def test_a_terminal_gets_bars_with_rate_and_fields():
    log = io.StringIO()
    progress = make_progress(Console(file=log, force_terminal=True, width=160, color_system=None))
    assert isinstance(progress, BarProgress)
    with progress.task("Training", 100, "steps") as outer, progress.task("Evaluating", 10, "episodes") as inner:
        inner.advance(10)
        outer.update(completed=50, reward="0.71")
        progress.message("epoch 1")
    shown = log.getvalue()
    for words in ("Training", "Evaluating", "50/100", "reward 0.71", "epoch 1"):
        assert words in shown


def test_bars_can_be_opened_again():
    progress = BarProgress(Console(file=io.StringIO(), force_terminal=True))
    for _ in range(2):
        with progress.task("Work", 1) as task:
            task.advance()


@pytest.mark.parametrize("options", [{}, {"force_terminal": True, "_environ": {"TERM": "dumb"}}])
def test_no_terminal_and_a_dumb_one_get_lines(options):
    assert isinstance(make_progress(Console(file=io.StringIO(), **options)), LineProgress)


@pytest.mark.parametrize(("rate", "text"), [(0.521, "0.52"), (4.12, "4.1"), (37.4, "37"), (12_421, "12,400")])
def test_rates(rate, text):
    assert format_rate(rate) == text


@pytest.mark.parametrize(("seconds", "text"), [(42, "42s"), (59.7, "1m 00s"), (185, "3m 05s"), (7800, "2h 10m")])
def test_durations(seconds, text):
    assert format_seconds(seconds) == text
