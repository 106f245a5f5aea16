"""How close one policy comes to the experts that it learned from, by the weighting of its samples.

    python tests/benchmarks/study_distillation.py --recordings cmu        # folder of CMU's .amc and .asf files
    python tests/benchmarks/study_distillation.py --recordings cmu bc     # one weighting only

Ten recordings become clips, every clip gets an expert (`expert train --preset fast`, until its normalized length from
random steps under action noise reaches 0.95), the experts are rolled out into one dataset, and one policy is distilled
from it for each weighting. All of it lies below `MOCAPACT_HOME/runs/study_distillation`; what is finished is used
again, what was killed goes on. The table and the picture are written to `--out`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CLIPS = ("07_01", "07_02", "08_01", "35_01", "09_01", "09_03", "16_35", "16_36", "16_45", "16_56")
"""Walks of four actors and runs of two, with and without turns."""
WEIGHTINGS = ("bc", "cwr", "awr", "rwr")
ENOUGH = 0.9
"""Least normalized length of an expert that is learned from."""
EPISODES = 500

EXPERT = """\
eval_every = 100_000
total_timesteps = 1_600_000
# Enough to be learned from, rather than as good as can be.
stop_norm_length = 0.95
stop_patience = 1
stop_min_gain = 1.0
"""
POLICY = """\
batch_size = 64
eval_every = 1000
n_eval_episodes = 200

[policy]
embed_size = 20
encoder_layers = [256, 256]
decoder_layers = [256, 256, 256]
"""


def main() -> None:
    options = parsed()
    root = study_folder()
    clips = imported(options, root)
    experts = [trained(clip, root, options) for clip in clips]
    too_weak = [expert["snippet"] for expert in experts if expert["noisy"]["norm_length"]["mean"] < ENOUGH]
    if too_weak:
        sys.exit(f"These experts are not good enough to learn from: {', '.join(too_weak)}.")
    dataset = recorded(clips, root, options)
    results = [distilled(name, clips, dataset, root, options) for name in options.weightings or WEIGHTINGS]
    options.out.mkdir(parents=True, exist_ok=True)
    text = table(experts, results)
    (options.out / "distillation.md").write_text(text, encoding="utf-8")
    draw(experts, results, options.out / "distillation.png")
    print(text)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weightings", nargs="*", metavar="WEIGHTING", help=f"of {', '.join(WEIGHTINGS)}; default: all")
    parser.add_argument("--recordings", type=Path, required=True, help="folder with the .amc and .asf files")
    parser.add_argument("--clips", nargs="+", default=CLIPS, help="recordings by name, such as 07_01")
    parser.add_argument("--expert-steps", type=int, help="environment steps of an expert at most")
    parser.add_argument("--steps", type=int, default=8000, help="gradient steps of each policy")
    parser.add_argument(
        "--rollouts", type=int, default=100, help="episodes from the start, and as many from random steps"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("study"))
    options = parser.parse_args()
    unknown = set(options.weightings) - set(WEIGHTINGS)
    if unknown:
        parser.error(f"no weighting is called {', '.join(sorted(unknown))}; there are {', '.join(WEIGHTINGS)}")
    missing = [clip for clip in options.clips if not (options.recordings / f"{clip}.amc").is_file()]
    if missing:
        parser.error(f"{options.recordings} has no recording {', '.join(missing)}")
    return options


def study_folder() -> Path:
    from mocapact_cli.core.paths import runs_dir

    root = runs_dir("study_distillation")
    root.mkdir(parents=True, exist_ok=True)
    (root / "expert.toml").write_text(EXPERT, encoding="utf-8")
    (root / "policy.toml").write_text(POLICY, encoding="utf-8")
    return root


def imported(options: argparse.Namespace, root: Path) -> dict[str, Path]:
    """Clip id -> its mocap file."""
    clips = {}
    for name in options.clips:
        subject, trial = name.split("_")
        file = root / "clips" / f"{name}.h5"
        file.parent.mkdir(exist_ok=True)
        if not file.is_file():
            mocapact(["clips", "import", options.recordings / f"{name}.amc", "-o", file])
        clips[f"CMU_{int(subject):03d}_{trial}"] = file
    return clips


def trained(clip: str, root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train and judge the expert of a clip, unless that was done before."""
    done = root / f"{clip}.json"
    if not done.is_file():
        run = next((root / "experts").glob(f"{clip}-*/*/config.json"), None)
        arguments: list[object] = ["expert", "train", clip, "--log-root", root / "experts"]
        arguments += ["--resume"] if run else ["--config", root / "expert.toml"]
        arguments += ["--total-timesteps", options.expert_steps] if options.expert_steps else []
        training = mocapact([*arguments, *physics({clip: root / "clips" / f"{recording(clip)}.h5"}, options)])
        model = Path(training["root"]) / "eval_rsi"
        judging: list[object] = [
            "expert",
            "eval",
            model,
            "--n-eval-episodes",
            200,
            "--seed",
            1,
            "--threads",
            options.threads,
        ]
        result = {
            "snippet": training["snippet"],
            "timesteps": training["timesteps"],
            "seconds": training["seconds"],
            "noisy": mocapact([*judging, "--act-noise", 0.1]),
            "clean": mocapact([*judging, "--act-noise", 0.0]),
        }
        done.write_text(json.dumps(result), encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


def recorded(clips: dict[str, Path], root: Path, options: argparse.Namespace) -> Path:
    """Roll all experts out; files that are there are kept."""
    folder = root / f"dataset-{options.rollouts}"
    experts: list[object] = [next((root / "experts").glob(f"{clip}-*/*/eval_rsi")) for clip in clips]
    numbers = ["--n-start-rollouts", options.rollouts, "--n-rsi-rollouts", options.rollouts, "--min-steps", 15]
    mocapact(["rollout", *experts, "-o", folder, "--resume", *numbers, *physics(clips, options)])
    return folder


def distilled(
    weighting: str, clips: dict[str, Path], dataset: Path, root: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """Distil and judge one policy, unless that was done before."""
    run = root / f"{weighting}-{options.steps}-{options.rollouts}"
    done = run / "result.json"
    if not done.is_file():
        arguments: list[object] = ["distill", "train", "--dataset", dataset, "--weighting", weighting]
        arguments += ["--config", root / "policy.toml", "--output-root", run, "--max-steps", options.steps]
        arguments += ["--resume"] if (run / "model" / "last.ckpt").is_file() else ["--force"]
        training = mocapact([*arguments, *physics(clips, options)])
        judging: list[object] = ["distill", "eval", training["policy"], "--n-eval-episodes", EPISODES, "--seed", 1]
        result = {
            "weighting": weighting,
            "steps": training["steps"],
            "seconds": training["seconds"],
            "clean": mocapact([*judging, "--threads", options.threads]),
            "noisy": mocapact([*judging, "--threads", options.threads, "--act-noise", 0.1]),
        }
        done.write_text(json.dumps(result), encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


def physics(clips: dict[str, Path], options: argparse.Namespace) -> list[object]:
    mocap = [part for file in clips.values() for part in ("--mocap", file)]
    return ["--threads", options.threads, *mocap]


def recording(clip: str) -> str:
    _, subject, trial = clip.split("_")
    return f"{int(subject):02d}_{trial}"


def mocapact(arguments: list[object]) -> dict[str, Any]:
    """Call the installed command; its progress stays visible."""
    command = [Path(sys.executable).with_name("mocapact"), *arguments, "--json"]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def mean(experts: list[dict[str, Any]], episodes: str, score: str) -> float:
    return sum(float(expert[episodes][score]["mean"]) for expert in experts) / len(experts)


def over_snippets(result: dict[str, Any], episodes: str, score: str) -> float:
    rows = result[episodes]["snippets"]
    return sum(float(row[score]["mean"]) for row in rows) / len(rows)


def table(experts: list[dict[str, Any]], results: list[dict[str, Any]]) -> str:
    """The results as Markdown: means over snippets, which all count alike."""
    best = mean(experts, "clean", "norm_return")
    lines = [
        "| expert | samples | seconds | length, noise 0.1 | length | return |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {expert['snippet']} | {expert['timesteps']:,} | {expert['seconds']:.0f} "
        f"| {expert['noisy']['norm_length']['mean']:.3f} | {expert['clean']['norm_length']['mean']:.3f} "
        f"| {expert['clean']['norm_return']['mean']:.3f} |"
        for expert in experts
    ]
    lines += [
        f"| mean | | | {mean(experts, 'noisy', 'norm_length'):.3f} | {mean(experts, 'clean', 'norm_length'):.3f} "
        f"| {best:.3f} |",
        "",
        "| one policy, by weighting | steps | seconds | length, noise 0.1 | length | return | of the experts' return |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        noisy, length, reached = (
            over_snippets(result, *column)
            for column in (("noisy", "norm_length"), ("clean", "norm_length"), ("clean", "norm_return"))
        )
        lines.append(
            f"| {result['weighting'].upper()} | {result['steps']:,} | {result['seconds']:.0f} "
            f"| {noisy:.3f} | {length:.3f} | {reached:.3f} | {reached / best:.3f} |"
        )
    return "\n".join(lines) + "\n"


def draw(experts: list[dict[str, Any]], results: list[dict[str, Any]], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    subjects = [("expert", {expert["snippet"]: expert["clean"] for expert in experts})]
    subjects += [
        (result["weighting"].upper(), {row["snippet"]: row for row in result["clean"]["snippets"]})
        for result in results
    ]
    names = [expert["snippet"] for expert in experts]
    width = 0.8 / len(subjects)
    for number, (label, scores) in enumerate(subjects):
        places = [place + (number - (len(subjects) - 1) / 2) * width for place in range(len(names))]
        heights = [scores[name]["norm_return"]["mean"] for name in names]
        panel.bar(places, heights, width, label=label, color="0.35" if label == "expert" else f"C{number - 1}")
    panel.set_xticks(range(len(names)), [name.removeprefix("CMU_") for name in names], rotation=30, ha="right")
    panel.set_ylabel("normalized return")
    panel.grid(axis="y", alpha=0.3)
    panel.legend(ncols=len(subjects), loc="upper center", bbox_to_anchor=(0.5, 1.12), frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
