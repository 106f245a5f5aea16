"""How good experts become in how many seconds and samples, and what each ingredient of the preset `fast` is worth.

    python tests/benchmarks/study_experts.py --mocap 07_01.h5 --clip CMU_007_01 --minutes 20 fast paper
    python tests/benchmarks/study_experts.py --minutes 5                     # every variant, on a built-in clip
    python tests/benchmarks/study_experts.py --steps 441600 --threads 1 --jobs 2 --seeds 0 1 fast no-teacher

Runs lie below `MOCAPACT_HOME/runs/study`; one that is finished is used again, one that was killed goes on. At the end
every variant's last policy is judged as the published experts were (200 episodes from random steps, action noise 0.1),
and the table and the picture are written to `--out`. Of several seeds the table has the mean and, behind it, each one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

VARIANTS: dict[str, dict[str, object]] = {
    "fast": {},
    "paper": {"preset": "paper", "eval_every": 200_000, "eval_min_steps": 10},
    "no-teacher": {"teacher": False},
    "no-balance": {"balance": False},
    "public-critic": {"teacher": False, "privileged_critic": False},
    "exact-contacts": {"quick_contacts": False},
    "constant-divergence": {"kl_half_life": "none"},
    "no-warm-start": {"warm_start": "none"},
    "no-first-step-starts": {"first_step_share": 0.0},
    "uniform-starts": {"start_floor": "none"},
    "lenient-training": {"train_error_threshold": 0.3},
    "stricter-training": {"train_error_threshold": 0.11},
    "fixed-step-size": {"desired_kl": "none"},
    "small-updates": {"desired_kl": 0.05, "clip_range": 0.2},
    "large-updates": {"desired_kl": 0.4, "clip_range": 0.8},
    "shorter-horizon": {"gamma": 0.97},
    "shorter-estimation": {"gae_lambda": 0.9},
    "longer-estimation": {"gae_lambda": 0.98},
    "larger-networks": {"layers": [512, 256]},
    "no-bootstrap-at-end": {"bootstrap_at_end": False},
    "overlap": {"overlap": True},
}
"""What each variant changes of the preset `fast`."""

EPISODES = 200
NOISE = 0.1
STYLES = ("-", "--", ":")


def main() -> None:
    options = parsed()
    runs = [(name, seed) for name in options.variants or VARIANTS for seed in options.seeds]
    with ThreadPoolExecutor(options.jobs) as jobs:
        results = list(jobs.map(lambda run: studied(*run, options), runs))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "study.md").write_text(table(results), encoding="utf-8")
    draw(results, options.out / "study.png", f"{results[0]['snippet']}, action noise {NOISE}")
    print(table(results))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"of {', '.join(VARIANTS)}; default: all")
    parser.add_argument("--clip", default="demo_walk")
    parser.add_argument("--mocap", type=Path)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--steps", type=int, help="samples at most, for comparisons on a machine that is not quiet")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, default=Path("study"))
    options = parser.parse_args()
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"no variant is called {', '.join(sorted(unknown))}; there are {', '.join(VARIANTS)}")
    return options


def studied(name: str, seed: int, options: argparse.Namespace) -> dict[str, object]:
    """Train one variant, unless that was done before, and judge it."""
    from mocapact_cli.core.paths import runs_dir

    folder = runs_dir("study") / options.clip / f"{name}-seed{seed}-{options.minutes:g}min-{options.steps or 'all'}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "result.json"
    if not done.is_file():
        result = judged(name, trained(name, seed, folder, options), options)
        done.write_text(json.dumps(result), encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


def trained(name: str, seed: int, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    settings = folder / "settings.toml"
    settings.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in VARIANTS[name].items()))
    begun = next(folder.glob("*/*/config.json"), None) is not None
    arguments = ["expert", "train", options.clip, "--log-root", folder, "--max-minutes", options.minutes]
    arguments += ["--resume"] if begun else ["--config", settings, "--seed", seed]
    arguments += ["--total-timesteps", options.steps] if options.steps else []
    return mocapact(arguments, options)


def judged(name: str, training: dict[str, object], options: argparse.Namespace) -> dict[str, object]:
    root = Path(str(training["root"]))
    arguments = ["expert", "eval", root / "eval_rsi", "--n-eval-episodes", EPISODES, "--act-noise", NOISE, "--seed", 1]
    scores = mocapact(arguments, options)
    rows = [json.loads(line) for line in (root / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return {
        "variant": name,
        "snippet": training["snippet"],
        "timesteps": training["timesteps"],
        "seconds": training["seconds"],
        "norm_length": scores["norm_length"]["mean"],
        "norm_return": scores["norm_return"]["mean"],
        "curve": [
            [row["timesteps"], row["seconds"], row["rsi_norm_length"], row["rsi_norm_return"]]
            for row in rows
            if "rsi_norm_length" in row
        ],
    }


def mocapact(arguments: list[object], options: argparse.Namespace) -> dict[str, object]:
    """Call the installed command; its progress stays visible."""
    shared: list[object] = ["--threads", options.threads, "--json"]
    shared += ["--mocap", options.mocap] if options.mocap else []
    command = [Path(sys.executable).with_name("mocapact"), *arguments, *shared]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, env=os.environ, check=True)
    return json.loads(done.stdout)


def table(results: list[dict[str, object]]) -> str:
    """The results as Markdown; the last column is when the length first reached 0.98 in training."""
    lines = [
        "| variant | samples | seconds | normalized length | normalized return | seconds to length 0.98 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, runs in by_variant(results).items():
        reached = (next((f"{row[1]:.0f}" for row in run["curve"] if row[2] >= 0.98), "-") for run in runs)
        lines.append(
            f"| {name} | {fmean(run['timesteps'] for run in runs):,.0f} "
            f"| {fmean(run['seconds'] for run in runs):.0f} | {spread([run['norm_length'] for run in runs])} "
            f"| {spread([run['norm_return'] for run in runs])} | {', '.join(reached)} |"
        )
    return "\n".join(lines) + "\n"


def by_variant(results: list[dict[str, object]]) -> dict[str, list[dict[str, object]]]:
    runs: dict[str, list[dict[str, object]]] = {}
    for result in results:
        runs.setdefault(str(result["variant"]), []).append(result)
    return runs


def spread(values: list[float]) -> str:
    """The mean, and of several seeds each one behind it."""
    each = f" ({', '.join(f'{value:.3f}' for value in values)})" if len(values) > 1 else ""
    return f"{fmean(values):.3f}{each}"


def draw(results: list[dict[str, object]], path: Path, title: str) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 2, sharey="row", sharex="col")
    for row, (score, axis) in enumerate(((2, "normalized length"), (3, "normalized return"))):
        for column, (scale, unit) in enumerate(((1e-6, "million samples"), (1.0 / 60.0, "minutes"))):
            panel = panels[row, column]
            for number, (name, runs) in enumerate(by_variant(results).items()):
                for label, run in zip((name, *[None] * (len(runs) - 1)), runs, strict=True):
                    x = [point[column] * scale for point in run["curve"]]
                    y = [point[score] for point in run["curve"]]
                    panel.plot(x, y, color=f"C{number % 10}", ls=STYLES[number // 10], marker=".", label=label)
            panel.grid(alpha=0.3)
            panel.set_xlim(left=0.0)
            if row:
                panel.set_xlabel(unit)
            if not column:
                panel.set_ylabel(axis)
    panels[0, 1].legend(fontsize="small")
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
