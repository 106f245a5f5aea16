"""Whether work survives being killed, for as long as you like: trains, records and distils under random `kill -9`.

    python tests/benchmarks/soak.py                       # half an hour; prints tables; exits 1 on any unsoundness
    python tests/benchmarks/soak.py --minutes 600 --seed 3 --folder soak

A round is `quickstart`, `rollout` and `distill train` with short settings, each killed at random moments and started
again with `--resume` until it ends; then everything it left is checked. Besides, one process trains, records and
distils over and over, since leaks show only there. `--minutes` are shared by both, two to one. Memory is that of the
whole tree of processes, sampled. Everything lies in `--folder`; a soak that was stopped goes on in it, and rounds that
were not sound are kept there. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CLIP = "demo_squat-0-40"
CROWD = ("demo_reach-0-40", "demo_step-0-40", "demo_walk-0-40")
"""Experts with random weights that are rolled out beside the trained one: the same in every round."""
EPISODES = 4
"""Of each kind of start, in every recording."""
STEPS, EVERY = 150, 50
"""Gradient steps of a distillation, and between its evaluations."""
SETTINGS = f"""model = "mlp-reference"
max_steps = {STEPS}
eval_every = {EVERY}
batch_size = 64
n_eval_episodes = 4
save_every_minutes = 0.02

[policy]
layers = [64, 64]
"""
TIMESTEPS = 2048
"""Of a training in the long process."""
SAMPLE_S = 0.2
PATIENCE_S = 600.0
"""Seconds after which a command hangs."""
MEBIBYTE = 2**20


def main() -> int:
    options = parsed()
    if options.loop:
        loop(options.folder, options.minutes, options.threads)
        return 0
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        killed = under_kills(folder.absolute(), options)
        long = in_one_process(folder.absolute(), options)
        print(report(killed, long))
        faults = verdict(killed, long, options)
        print("\n".join(f"UNSOUND: {fault}" for fault in faults) or "Sound.")
        return int(bool(faults))


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of kills")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--growth", type=float, default=0.1, help="share by which memory may be above that at first")
    parser.add_argument("--folder", type=Path, help="where everything lies; default: a temporary folder")
    parser.add_argument("--loop", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


# Rounds under kills.


@dataclass
class Round:
    """A finished round.

    Attributes:
        number: counts from 0. kills: of each command. seconds: of each command, all its attempts together.
        wall: seconds of everything, checks included.
        peaks: highest memory of each command's processes in bytes. faults: what was not sound.
        crowd: of the recordings of `CROWD`, which are the same in every round.
    """

    number: int
    kills: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    crowd: str = ""
    wall: float = 0.0

    @property
    def peak(self) -> int:
        """Highest memory of the round in bytes."""
        return max(self.peaks.values(), default=0)


def under_kills(folder: Path, options: argparse.Namespace) -> list[Round]:
    """Make rounds until two thirds of the time are over, what was done before included; at least one."""
    make_crowd(folder / "crowd")
    (folder / "distill.toml").write_text(SETTINGS, encoding="utf-8")
    record = folder / "rounds.jsonl"
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    rounds = [Round(**json.loads(line)) for line in lines]
    while not rounds or sum(each.wall for each in rounds) < 40.0 * options.minutes:
        began = time.monotonic()
        found = one_round(folder, len(rounds), rounds, options)
        found.wall = time.monotonic() - began
        rounds.append(found)
        with record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(found)) + "\n")
        if not found.faults:
            shutil.rmtree(folder / f"round-{found.number}")
        kills, peak = sum(found.kills.values()), found.peak / MEBIBYTE
        say(f"round {found.number}: {kills} kills, {found.wall:.0f} s, {peak:.0f} MiB, {found.faults or 'sound'}")
    return rounds


def one_round(folder: Path, number: int, before: list[Round], options: argparse.Namespace) -> Round:
    place, found = folder / f"round-{number}", Round(number)
    place.mkdir(exist_ok=True)
    rng = random.Random(f"{options.seed}/{number}")
    for name, arguments in commands(folder, place, options.threads).items():
        usual = [each.seconds[name] for each in before if name in each.seconds] or [15.0]
        if fault := until_done(name, arguments, rng, statistics.median(usual), found):
            found.faults.append(fault)
            return found
    found.crowd = digest([place / "dataset" / f"{snippet.split('-')[0]}.hdf5" for snippet in CROWD])
    first = next((each.crowd for each in before if each.crowd), found.crowd)
    found.faults += [] if first == found.crowd else ["recordings of the same experts differ from those of other rounds"]
    found.faults += [*leftovers(place), *gaps(place), *unchecked(place), *unloadable(place / "policy")]
    return found


def commands(folder: Path, place: Path, threads: int) -> dict[str, list[str]]:
    """Name of each command -> its arguments without `--resume`."""
    dataset, episodes = place / "dataset", str(EPISODES)
    given: dict[str, list[object]] = {
        "quickstart": ["quickstart", "--clip", CLIP, "--minutes", 0.05, "--out", place / "quick"],
        "rollout": ["rollout", place / "quick" / "experts", folder / "crowd", "-o", dataset, "--min-steps", 10],
        "distill": ["distill", "train", "--dataset", dataset, "--config", folder / "distill.toml"],
    }
    given["rollout"] += ["--n-start-rollouts", episodes, "--n-rsi-rollouts", episodes]
    given["distill"] += ["--output-root", place / "policy"]
    return {name: [str(part) for part in (*words, "--threads", threads, "--json")] for name, words in given.items()}


def until_done(name: str, arguments: list[str], rng: random.Random, usual: float, found: Round) -> str | None:
    """Start a command, and again after each kill, until it ends by itself; return what is wrong with that."""
    kills, spent = rng.choice((0, 1, 1, 2, 2, 3)), 0.0
    found.kills[name] = 0
    while True:
        wait = rng.uniform(0.0, 1.1 * usual) if found.kills[name] < kills else PATIENCE_S
        run = attempt(arguments, wait)
        spent += run.seconds
        found.peaks[name] = max(found.peaks.get(name, 0), run.peak)
        found.seconds[name] = spent
        if run.orphans:
            return f"{name} left processes behind when it was killed"
        if run.code == 0:
            return None
        if run.code != -signal.SIGKILL or wait == PATIENCE_S:
            return f"{name} ended with {run.code}: {run.said}"
        found.kills[name] += 1


@dataclass(frozen=True)
class Attempt:
    """One process: its exit code, seconds, highest memory in bytes, last words, and whether it left others behind."""

    code: int
    seconds: float
    peak: int
    said: str
    orphans: bool


def attempt(arguments: list[str], wait: float) -> Attempt:
    """Run a command, and kill it once it has run for `wait` seconds; other processes that it started are to end."""
    command = [sys.executable, "-m", "mocapact_cli", *resumed(arguments)]
    with tempfile.TemporaryFile("w+") as words:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=words, stderr=words, start_new_session=True)
        with sampled(process.pid) as peak:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
            process.kill()
            code, seconds = process.wait(), time.monotonic() - began
        orphans = not gone(process.pid)
        words.seek(0)
        return Attempt(code, seconds, max(peak, default=0), " ".join(words.read()[-500:].split()), orphans)


def resumed(arguments: list[str]) -> list[str]:
    """Add `--resume`; a distillation says that there is nothing to resume before it has a record."""
    if arguments[0] == "distill" and not Path(arguments[arguments.index("--output-root") + 1], "config.json").exists():
        return arguments
    return [*arguments, "--resume"]


def gone(session: int) -> bool:
    """Wait for all processes of a session to end; kill those that do not."""
    deadline = time.monotonic() + 20.0
    while members := dict(memory_of(session)):
        if time.monotonic() > deadline:
            for process in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            return False
        time.sleep(SAMPLE_S)
    return True


# Memory.


@contextlib.contextmanager
def sampled(session: int) -> Iterator[list[int]]:
    """Yield a list that gets the memory of a session's processes in bytes, until the block ends."""
    samples: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_S):
            samples.append(sum(size for _, size in memory_of(session)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def memory_of(session: int) -> Iterator[tuple[int, int]]:
    """Yield each process of a session that has not ended, with its resident memory in bytes."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                # The name of the program, in parentheses, may hold anything.
                values = (process / "stat").read_text().rpartition(")")[2].split()
                if int(values[3]) == session and values[0] != "Z":
                    yield int(process.name), int(values[21]) * os.sysconf("SC_PAGE_SIZE")


# What a round has to leave.


def leftovers(folder: Path) -> list[str]:
    """Files and folders with names that only work in progress has."""
    names = [path for path in folder.rglob("*") if path.name.startswith(".") or ".partial" in path.name]
    return [f"{path} was left behind" for path in names]


def gaps(place: Path) -> list[str]:
    """What is missing of a round, or twice in it."""
    import h5py

    expert = place / "quick" / "experts" / CLIP / "0"
    files = [expert / name for name in ("config.json", "versions.json", "clip_info.json", "metrics.jsonl", "curve.png")]
    files += [expert / part / "evaluations.npz" for part in ("eval_rsi", "eval_start")]
    files += [expert / "eval_rsi" / "model" / name for name in ("best_model.zip", "vecnormalize.pkl")]
    files += [place / "policy" / name for name in ("config.json", "versions.json")]
    files += [place / "policy" / "model" / name for name in ("last.ckpt", "best.ckpt")]
    found = [f"{file} is missing or empty" for file in files if not file.is_file() or not file.stat().st_size]
    clips = {snippet.split("-")[0] for snippet in (CLIP, *CROWD)}
    expected = {*(f"{clip}.hdf5" for clip in clips), "dataset_metrics.npz"}
    there = {path.name for path in (place / "dataset").iterdir()}
    found += [f"{place / 'dataset'} holds {there}, not {expected}"] if there != expected else []
    for path in (place / "dataset").glob("*.hdf5"):
        with h5py.File(path) as file:
            counts = {name: sum(slot.isdecimal() for slot in file[name]) for name in file if "-" in name}
        found += [f"{path} holds {counts}"] if list(counts.values()) != [2 * EPISODES] else []
    return [*found, *rows_twice(expert, "timesteps"), *rows_twice(place / "policy", "step"), *not_all_steps(place)]


def rows_twice(run: Path, counter: str) -> list[str]:
    """Lines of the metrics that say the same twice, or go back."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    counts = Counter((row[counter], *sorted(row.keys() - {"seconds"})) for row in rows)
    found = [f"{run} has {count} rows of {row[0]} {counter}" for row, count in counts.items() if count > 1]
    back = [row[counter] for row in rows] != sorted(row[counter] for row in rows)
    return [*found, *([f"{counter} go back in {run}"] if back else [])]


def not_all_steps(place: Path) -> list[str]:
    lines = (place / "policy" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    evaluated = [json.loads(line)["step"] for line in lines if "train_rsi_norm_return" in line]
    return [] if evaluated == list(range(EVERY, STEPS + 1, EVERY)) else [f"{place}/policy was evaluated at {evaluated}"]


def unchecked(place: Path) -> list[str]:
    """What `inspect --check` says of all that a round has left."""
    found = []
    for part in ("quick/experts", "quick/dataset", "dataset", "policy", "policy/model/last.ckpt"):
        command = [sys.executable, "-m", "mocapact_cli", "inspect", str(place / part), "--check", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            found.append(f"{place / part}: {(done.stdout + done.stderr).strip()}")
    return found


def unloadable(root: Path) -> list[str]:
    """Whether a policy opens and acts."""
    import numpy as np

    from mocapact_cli import load_policy
    from mocapact_cli.core.errors import MocapactError

    try:
        policy = load_policy(root)
    except MocapactError as error:
        return [f"{root}: {error.message}"]
    actions, _ = policy.predict(np.zeros((2, policy.obs_size), np.float32))
    return [] if actions.shape == (2, 56) and np.isfinite(actions).all() else [f"{root} gives no actions"]


def digest(paths: list[Path]) -> str:
    """One number for all arrays in rollout files, whatever else the files hold."""
    import h5py

    total = hashlib.sha256()
    for path in paths:
        with h5py.File(path) as file:
            for name in arrays_of(file):
                total.update(name.encode() + file[name][()].tobytes())
    return total.hexdigest()


def arrays_of(file: Any) -> list[str]:
    import h5py

    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return sorted(names)


def make_crowd(folder: Path) -> None:
    """Write experts with random weights."""
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.interop.expert_folder import RSI_MODEL, write_clip_info, write_model
    from mocapact_cli.core.policies.expert import ExpertPolicy
    from mocapact_cli.core.sim.observables import TIME_INDEX, ObservableLayout

    size = ObservableLayout(TIME_INDEX, (0,)).size
    for seed, name in enumerate(CROWD):
        if not (folder / name / "clip_info.json").is_file():
            write_model(folder / name / RSI_MODEL, ExpertPolicy.fresh(TIME_INDEX, size, layers=(64, 64), seed=seed))
            write_clip_info(folder / name, Snippet.parse(name), TIME_INDEX, ref_steps=[0])


# The long process.


@dataclass(frozen=True)
class Lap:
    """The process after a round of its loop: resident memory in bytes, open files, threads."""

    memory: int
    files: int
    threads: int


def in_one_process(folder: Path, options: argparse.Namespace) -> list[Lap]:
    """Return the laps of a process that goes round for a third of the time."""
    record = folder / "laps.jsonl"
    if not (folder / "laps.done").is_file():
        record.unlink(missing_ok=True)
        command = [sys.executable, __file__, "--loop", "--folder", folder, "--minutes", options.minutes / 3.0]
        command += ["--threads", options.threads]
        subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr)
        (folder / "laps.done").touch()
    return [Lap(**json.loads(line)) for line in record.read_text(encoding="utf-8").splitlines()]


def loop(folder: Path, minutes: float, threads: int) -> None:
    """Train, record and distil until the time is over, at least three times, and write down each lap."""
    began, number = time.monotonic(), 0
    while number < 3 or time.monotonic() - began < 60.0 * minutes:
        with tempfile.TemporaryDirectory(prefix="lap-", dir=folder) as place:
            lap_once(Path(place), number, threads)
        give_back()
        status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
        memory = 1024 * int(status["VmRSS"].split()[0])
        lap = Lap(memory, len(list(Path("/proc/self/fd").iterdir())), int(status["Threads"]))
        with (folder / "laps.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(lap)) + "\n")
        number += 1
        say(f"lap {number}: {memory / MEBIBYTE:.0f} MiB, {lap.files} files, {lap.threads} threads")


def give_back() -> None:
    """Free what nobody holds, so that what is left is held: allocators keep much of it for later."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def lap_once(place: Path, seed: int, threads: int) -> None:
    from mocapact_cli.core.clips.library import open_library
    from mocapact_cli.core.interop.expert_folder import find_experts
    from mocapact_cli.core.rollouts.config import RolloutConfig
    from mocapact_cli.core.rollouts.recorder import record_rollouts
    from mocapact_cli.core.training.distillation.config import resolve
    from mocapact_cli.core.training.distillation.data import divide
    from mocapact_cli.core.training.distillation.evaluations import find_subjects
    from mocapact_cli.core.training.distillation.train import distill
    from mocapact_cli.core.training.expert.config import resolve as expert_settings
    from mocapact_cli.core.training.expert.train import train_expert

    library = open_library()
    snippet = library.resolve(CLIP)
    shared: dict[str, Any] = {"seed": seed, "threads": threads, "device": "cpu"}
    # The imitation at the beginning would be most of a lap.
    brief: dict[str, Any] = {"total_timesteps": TIMESTEPS, "eval_every": TIMESTEPS, "warm_start": "none"}
    brief |= {"n_rsi_episodes": 8, "n_start_episodes": 2}
    training = expert_settings(None, None, **shared, **brief)
    train_expert(library.get(snippet.clip_id), snippet, training, place / "expert")
    recording = RolloutConfig(n_start_rollouts=EPISODES, n_rsi_rollouts=EPISODES, min_steps=10, **shared)
    record_rollouts(find_experts(place / "expert"), library, place / "dataset", recording)
    (place / "distill.toml").write_text(SETTINGS, encoding="utf-8")
    settings = resolve(place / "distill.toml", **shared)
    data = divide([place / "dataset"], split="all")
    subjects = find_subjects(data, settings.training, None, None)
    distill(data, settings.training, settings.policy, place / "policy", subjects=subjects)


# What came of it.


def thirds(values: list[float]) -> tuple[float, float]:
    """Medians of the first and the last third."""
    count = max(1, len(values) // 3)
    return statistics.median(values[:count]), statistics.median(values[-count:])


def measured(rounds: list[Round], laps: list[Lap]) -> dict[str, tuple[float, float]]:
    """What has to stay flat -> its medians in the first and the last third.

    The first quarter of the laps does not count: in it, libraries and allocators fill what they keep.
    """
    sound, warm = [each for each in rounds if not each.faults], laps[len(laps) // 4 :]
    names = list(sound[0].peaks) if sound else []
    rows = {f"peak of {name}, MiB": [each.peaks[name] / MEBIBYTE for each in sound] for name in names}
    rows |= {"peak of a round, MiB": [each.peak / MEBIBYTE for each in sound]}
    rows |= {"long process, MiB": [lap.memory / MEBIBYTE for lap in warm]}
    rows |= {"long process, open files": [float(lap.files) for lap in warm]}
    rows |= {"long process, threads": [float(lap.threads) for lap in warm]}
    return {name: thirds(values) for name, values in rows.items() if values}


def report(rounds: list[Round], laps: list[Lap]) -> str:
    """Return two tables in Markdown."""
    lines = ["| command | runs | kills | seconds, median |", "|---|---:|---:|---:|"]
    for name in rounds[0].seconds:
        runs = [each for each in rounds if name in each.seconds]
        kills, seconds = sum(each.kills[name] for each in runs), statistics.median(each.seconds[name] for each in runs)
        lines.append(f"| {name} | {len(runs)} | {kills} | {seconds:.0f} |")
    lines += ["", f"| {len(rounds)} rounds, {len(laps)} laps | first third | last third |", "|---|---:|---:|"]
    for name, (first, last) in measured(rounds, laps).items():
        lines.append(f"| {name} | {first:,.0f} | {last:,.0f} |")
    return "\n".join(lines) + "\n"


def verdict(rounds: list[Round], laps: list[Lap], options: argparse.Namespace) -> list[str]:
    """Return all that was not sound."""
    found = [f"round {each.number}: {fault}" for each in rounds for fault in each.faults]
    # Where a command is killed decides how high each attempt gets, so commands by themselves are only shown.
    of_commands = {f"peak of {name}, MiB" for each in rounds for name in each.peaks}
    flat = {name: pair for name, pair in measured(rounds, laps).items() if name not in of_commands}
    grown = {name: pair for name, pair in flat.items() if pair[1] > pair[0] * (1.0 + options.growth)}
    return [*found, *(f"{name} went from {first:,.0f} to {last:,.0f}" for name, (first, last) in grown.items())]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
