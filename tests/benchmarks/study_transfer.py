"""What a low-level policy is worth on a task: learning through it beside learning by the joints, at equal samples.

    python tests/benchmarks/study_transfer.py --low-level-policy runs/distill/npmp --task velocity-control

Runs lie below `MOCAPACT_HOME/runs/study_transfer`; one that is finished is used again, one that was killed goes on, so
several of these may share the seeds among them (`--seeds 0`, `--seeds 1 2`) before one that names them all draws the
curves. Each run's best policy is judged by new episodes without noise. Table and picture are written to `--out`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

WAYS = ("low-level policy", "joints")
EPISODES = 200


def main() -> None:
    options = parsed()
    results = [studied(way, seed, options) for seed in options.seeds for way in WAYS]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "transfer.md").write_text(table(results), encoding="utf-8")
    draw(results, options.out / "transfer.png", options.task)
    print(table(results))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--low-level-policy", type=Path, required=True)
    parser.add_argument("--task", default="velocity-control")
    parser.add_argument("--steps", type=int, default=1_000_000, help="samples of each run")
    parser.add_argument("--episode-steps", type=int, help="control steps of an episode; default: the task's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--mocap", type=Path, action="append", default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("study"))
    return parser.parse_args()


def studied(way: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Train one policy, unless that was done before, and judge it."""
    from mocapact_cli.core.paths import runs_dir

    kind = "joints" if way == "joints" else "low-level"
    length = f"-{options.episode_steps}" if options.episode_steps else ""
    folder = runs_dir("study_transfer") / f"{options.task}{length}-{kind}-{options.steps}"
    done = folder / f"{seed}.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        training = trained(way, seed, folder, options)
        judged = mocapact(["transfer", "eval", folder / str(seed), "--n-eval-episodes", EPISODES, "--seed", 1], options)
        rows = [json.loads(line) for line in (folder / str(seed) / "metrics.jsonl").read_text("utf-8").splitlines()]
        curve = [[row["timesteps"], row["eval_return"], row["eval_length"]] for row in rows if "eval_return" in row]
        kept = {name: judged[name] for name in ("return", "length", "early_termination_rate", "task")}
        result = {"way": way, "seed": seed, "curve": curve, "seconds": training["seconds"], **kept}
        done.write_text(json.dumps(result), encoding="utf-8")
    result = json.loads(done.read_text(encoding="utf-8"))
    return dict(result)


def trained(way: str, seed: int, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    arguments = ["transfer", "train", "--task", options.task, "--log-root", folder, "--seed", seed]
    arguments += ["--total-timesteps", options.steps]
    arguments += ["--resume"] if (folder / str(seed) / "checkpoints").is_dir() else []
    arguments += ["--episode-steps", options.episode_steps] if options.episode_steps else []
    arguments += [] if way == "joints" else ["--low-level-policy", options.low_level_policy]
    return mocapact(arguments, options)


def mocapact(arguments: list[object], options: argparse.Namespace) -> dict[str, Any]:
    """Call the installed command; its progress stays visible."""
    shared: list[object] = ["--threads", options.threads, "--json"]
    shared += [part for path in options.mocap for part in ("--mocap", path)]
    command = [sys.executable, "-m", "mocapact_cli", *arguments, *shared]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, env=os.environ, check=True)
    document = json.loads(done.stdout)
    return dict(document)


def table(results: list[dict[str, Any]]) -> str:
    """The results as Markdown: means over the seeds, with the smallest and the largest."""
    lines = [
        "| acts through | return | length | falls | samples | seconds a run |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for way in WAYS:
        runs = [result for result in results if result["way"] == way]
        cells = [
            spread([run["return"]["mean"] for run in runs], 1),
            spread([run["length"]["mean"] for run in runs], 0),
            spread([run["early_termination_rate"] for run in runs], 2),
            f"{runs[0]['curve'][-1][0]:,}",
            f"{sum(run['seconds'] for run in runs) / len(runs):.0f}",
        ]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float], digits: int) -> str:
    mean = sum(values) / len(values)
    return f"{mean:.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def draw(results: list[dict[str, Any]], path: Path, task: str) -> None:
    """Curves of return and length against samples: the mean over the seeds in what lies between them."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    for column, (panel, name) in enumerate(zip(panels, ("return", "length in steps"), strict=True), start=1):
        for way in WAYS:
            curves = [np.array(result["curve"]) for result in results if result["way"] == way]
            shortest = min(map(len, curves))
            values = np.stack([curve[:shortest, column] for curve in curves])
            samples = curves[0][:shortest, 0] / 1e6
            (line,) = panel.plot(samples, values.mean(axis=0), marker=".", label=way)
            panel.fill_between(samples, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.2)
        panel.set(xlabel="million samples", ylabel=name, ylim=(0.0, None), xlim=(0.0, None))
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.suptitle(f"{task}: {len(results) // len(WAYS)} seeds each")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
