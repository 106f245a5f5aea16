"""`mocapact bench`: measure this machine."""

from __future__ import annotations

from mocapact_cli.cli.app import Commands
from mocapact_cli.cli.output import out, table

app = Commands("Measure this machine against the original's way of working.")


@app.command("startup", examples=["mocapact bench startup", "mocapact bench startup --json"])
def startup() -> None:
    """Measure the CPU seconds that commands need to start: the least of five fresh processes each."""
    from mocapact_cli.cli.main import COMMANDS
    from mocapact_cli.core.bench.startup import REPEATS, measure_startup

    lines = [["--version"], ["--help"], *([command.name, "--help"] for command in COMMANDS)]
    costs = measure_startup(lines, progress=out.progress())
    rows = [(f"mocapact {cost.command}", cost.cpu_s) for cost in costs]
    out.show(
        {"cpu_seconds": {cost.command: cost.cpu_s for cost in costs}, "repeats": REPEATS},
        lambda: table(["Command", "CPU seconds"], rows, numeric=["CPU seconds"]),
        short=[f"{seconds:.3f} {command}" for command, seconds in rows],
    )
