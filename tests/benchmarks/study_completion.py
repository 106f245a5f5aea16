"""How long a small GPT goes on from prompts of several clips, beside others in the same episodes.

    python tests/benchmarks/study_distillation.py --recordings cmu rwr    # experts, their rollouts, a policy
    python tests/benchmarks/study_completion.py --minutes 20

The first study leaves clips, experts, rollouts and a policy with a reference below
`MOCAPACT_HOME/runs/study_distillation` (or `--study DIR`). From its rollouts a GPT is trained with the preset
`completion-fast`; then each expert prompts from random steps of its clip, and the GPT goes on. In the same episodes the
prompt's last action is repeated, and expert and policy go on with what they saw of the clip at the prompt's end. All of
it lies below `MOCAPACT_HOME/runs/study_completion`; what is finished is used again, what was killed goes on. The table,
the picture and a strip of the longest-lived clip are written to `--out`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

STEP_SECONDS = 0.03
GPT, LAST, PROMPTER, FROZEN = "GPT", "last-action", "prompt", "frozen"
NAMES = {
    GPT: "GPT",
    LAST: "the prompt's last action, repeated",
    PROMPTER: "the expert, its clock stopped at the prompt's end",
    FROZEN: "one policy, its reference stopped at the prompt's end",
}


def main() -> None:
    options = parsed()
    root = study_folder()
    clips = {f"CMU_{int(file.stem[:2]):03d}_{file.stem[3:]}": file for file in sorted(options.study.glob("clips/*.h5"))}
    gpt = trained(clips, root, options)
    results = {clip: completed(clip, file, gpt["policy"], root, options) for clip, file in clips.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    text = table(results)
    (options.out / "completion.md").write_text(text, encoding="utf-8")
    draw(results, options.out / "completion.png")
    best = max(results, key=lambda clip: median(results[clip], GPT))
    film(best, clips[best], gpt["policy"], options)
    print(text)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, help="folder of study_distillation.py")
    parser.add_argument("--minutes", type=float, default=20.0, help="of the GPT's training")
    parser.add_argument("--config", type=Path, help="TOML file of the GPT's settings, on top of the preset")
    parser.add_argument("--prompt-length", type=int, default=16)
    parser.add_argument("--max-steps", type=int, default=200, help="beyond the clip's end")
    parser.add_argument("--episodes", type=int, default=100, help="of each clip")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--film", default="completion.png", help="name of the strip (.png) or film (.mp4)")
    parser.add_argument("--out", type=Path, default=Path("study"))
    options = parser.parse_args()
    if options.study is None:
        from mocapact_cli.core.paths import runs_dir

        options.study = runs_dir("study_distillation")
    for part in ("clips", "experts"):
        if not (options.study / part).is_dir():
            parser.error(f"{options.study} has no {part}; run study_distillation.py first")
    options.dataset = next(iter(sorted(options.study.glob("dataset-*"))), None)
    if options.dataset is None:
        parser.error(f"{options.study} has no dataset; run study_distillation.py first")
    options.policy = next(iter(sorted(path.parents[1] for path in options.study.glob("*/model/best.ckpt"))), None)
    return options


def study_folder() -> Path:
    from mocapact_cli.core.paths import runs_dir

    root = runs_dir("study_completion")
    root.mkdir(parents=True, exist_ok=True)
    return root


def trained(clips: dict[str, Path], root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train the GPT, unless that was done before."""
    run = root / f"gpt-{options.minutes:g}"
    done = run / "result.json"
    if not done.is_file():
        arguments: list[object] = ["distill", "train", "--dataset", options.dataset, "--output-root", run]
        # Time alone ends it.
        arguments += ["--max-minutes", options.minutes, "--max-steps", 1_000_000]
        arguments += [part for file in clips.values() for part in ("--mocap", file)]
        arguments += ["--config", options.config] if options.config else []
        resumes = (run / "model" / "last.ckpt").is_file()
        arguments += ["--resume"] if resumes else ["--preset", "completion-fast", "--force"]
        done.write_text(json.dumps(mocapact([*arguments, "--threads", options.threads])), encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


def completed(clip: str, file: Path, gpt: str, root: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Let the GPT and the others go on from the prompts of a clip, unless that was done before."""
    folder = root / f"gpt-{options.minutes:g}" / f"{options.prompt_length}-{options.episodes}"
    done = folder / f"{clip}.json"
    if not done.is_file():
        others = [LAST, PROMPTER, *([options.policy] if options.policy else [])]
        arguments: list[object] = ["--n-eval-episodes", options.episodes, "--max-steps", options.max_steps]
        arguments += [part for other in others for part in ("--baseline", other)]
        folder.mkdir(parents=True, exist_ok=True)
        result = mocapact([*completion(clip, file, gpt, options), *arguments])
        if options.policy:
            result["baselines"][FROZEN] = result["baselines"].pop(str(options.policy))
        done.write_text(json.dumps(result), encoding="utf-8")
    return json.loads(done.read_text(encoding="utf-8"))


def film(clip: str, file: Path, gpt: str, options: argparse.Namespace) -> None:
    arguments: list[object] = ["--always-init-at-clip-start", "--max-steps", options.max_steps]
    mocapact([*completion(clip, file, gpt, options), *arguments, "--video", options.out / f"film_{options.film}"])


def completion(clip: str, file: Path, gpt: str, options: argparse.Namespace) -> list[object]:
    whose = ["--clip-snippet", clip, "--experts", options.study / "experts", "--mocap", file]
    return ["complete", gpt, *whose, "--prompt-length", options.prompt_length, "--threads", options.threads]


def mocapact(arguments: list[object]) -> dict[str, Any]:
    """Call the command; its progress stays visible."""
    command = [sys.executable, "-m", "mocapact_cli", *arguments, "--json"]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def subjects(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Who went on -> the scores."""
    return {GPT: result, **result["baselines"]}


def median(result: dict[str, Any], subject: str) -> float:
    return float(subjects(result)[subject]["seconds_after_prompt"]["median"])


def share(result: dict[str, Any], subject: str, time: float) -> float:
    """Share of a clip's episodes that go on so many seconds after the prompt."""
    return next(share for begin, share in reversed(subjects(result)[subject]["survival"]) if begin <= time + 1e-9)


def pooled(results: dict[str, dict[str, Any]], subject: str, time: float) -> float:
    """The same of all clips, which have as many episodes each."""
    return statistics.mean(share(result, subject, time) for result in results.values())


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as Markdown: median seconds after the prompt by clip, and the shares of all clips together."""
    names = list(subjects(next(iter(results.values()))))
    lines = [
        "| prompts from | seconds that a prompt leaves of the clip | " + " | ".join(names) + " | metres of the GPT |",
        "| --- " * (len(names) + 3) + "|",
    ]
    for clip, result in results.items():
        end = int(result["prompt"]["snippet"].rsplit("-", 1)[1])
        lengths = [end - row["start_step"] - result["prompt_length"] for row in result["completions"]]
        values = [f"{statistics.median(lengths) * STEP_SECONDS:.2f}"]
        values += [f"{median(result, name):.2f}" for name in names]
        lines.append(f"| {clip} | {' | '.join(values)} | {result['distance_m']['median']:.1f} |")
    times = (0.5, 1.0, 2.0, 3.0, 5.0)
    lines += ["", "| goes on | " + " | ".join(f"{time:g} s" for time in times) + " |", "| --- " * 6 + "|"]
    for name in names:
        shares = [f"{100.0 * pooled(results, name, time):.0f} %" for time in times]
        lines.append(f"| {NAMES[name]} | {' | '.join(shares)} |")
    return "\n".join(lines) + "\n"


def draw(results: dict[str, dict[str, Any]], path: Path) -> None:
    from mocapact_cli.core.media.plots import plot_lines

    first = next(iter(results.values()))
    times = [STEP_SECONDS * step for step in range(first["max_steps"] + 1)]
    curves = {NAMES[name]: (times, [pooled(results, name, time) for time in times]) for name in subjects(first)}
    episodes = sum(int(result["episodes"]) for result in results.values())
    plot_lines(
        path,
        curves,
        title=f"{episodes} prompts of {first['prompt_length']} steps from {len(results)} clips",
        xlabel="seconds after the prompt",
        ylabel="share of episodes going on",
    )


if __name__ == "__main__":
    main()
