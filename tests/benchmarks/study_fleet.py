"""What the full set of experts costs, computed from rates that were measured: core-hours, disk, hours on N machines.

    python tests/benchmarks/study_fleet.py experts.fleet dataset.fleet --cores 32
    python tests/benchmarks/study_fleet.py experts.fleet --cores 64 --gpus 8 --machines 1 10 100 --price 1.2

The rates are those of fleets that have run: their plans name the settings, their records the seconds of every job, the
results are weighed on the disk. What a plan did for its snippets is scaled to all 2,589 by the steps of their motion
for rollouts and evaluations, and by their number for experts, whose training has its limit in steps or minutes.
`--timesteps 4_000_000` scales plans of shorter training to so many steps an expert, begin and end included, so it is an
upper limit.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from mocapact_cli.core.clips.published import published_snippets
from mocapact_cli.core.clips.snippets import Snippet
from mocapact_cli.core.fleet.plan import Plan, read_plan
from mocapact_cli.core.fleet.records import Attempt, Records
from mocapact_cli.core.formatting import size_text


@dataclass(frozen=True)
class Measured:
    """What one plan has cost, and what it stands for.

    Attributes:
        plan: what was done. jobs: jobs that have finished. hours: of one job at a time, all attempts together.
        size: bytes of the results. steps: environment steps that were taken.
        part: share of the full set that these jobs are.
    """

    plan: Plan
    jobs: int
    hours: float
    size: int
    steps: int
    part: float

    def at(self, timesteps: int) -> Measured:
        """What the same training would cost with so many steps an expert; other work is as it is."""
        if self.plan.kind != "train" or not timesteps:
            return self
        factor = timesteps * self.jobs / self.steps
        return replace(self, hours=self.hours * factor, steps=timesteps * self.jobs)

    @property
    def core_hours(self) -> float:
        """Core-hours of the full set."""
        return self.hours * self.plan.threads_per_job / self.part

    @property
    def gpu_hours(self) -> float:
        """GPU-hours of the full set."""
        return self.hours * self.plan.gpus_per_job / self.part

    def wall_hours(self, machines: int, cores: int, gpus: float) -> float:
        """Hours of the full set on so many machines with so many cores and GPUs each."""
        places = machines * (cores // self.plan.threads_per_job)
        if self.plan.gpus_per_job:
            places = min(places, machines * int(gpus / self.plan.gpus_per_job + 1e-9))
        if not places:
            return float("inf")
        longest = self.hours / self.jobs
        return max(longest, self.hours / self.part / places)


def measure(folder: Path) -> Measured:
    """Read what a plan has cost."""
    plan = read_plan(folder)
    attempts = [attempt for tries in Records(folder).read().values() for attempt in tries]
    finished = {attempt.job: attempt for attempt in attempts if attempt.state == "finished"}
    if not finished:
        raise SystemExit(f"Nothing of {folder} has finished.")
    done = [job for job in plan.jobs if job.id in finished]
    seconds = sum(_seconds(attempt) for attempt in attempts if attempt.job in finished)
    size = sum(_weight(Path(plan.output), plan.result_of(job), job.id) for job in done)
    steps = sum(int(found.result.get("timesteps") or found.result.get("steps") or 0) for found in finished.values())
    snippets = [Snippet.parse(name) for job in done for name in job.snippets]
    return Measured(plan, len(done), seconds / 3600.0, size, steps, _part(plan, snippets))


def _seconds(attempt: Attempt) -> float:
    return max((attempt.ended or attempt.started) - attempt.started, 0.0)


def _weight(output: Path, result: str, job_id: str) -> int:
    place = output / job_id
    files = place.rglob("*") if place.is_dir() else [output / result]
    return sum(path.stat().st_size for path in files if path.is_file())


def _part(plan: Plan, done: list[Snippet]) -> float:
    """The share of the full set that some snippets are."""
    every = [snippet for own in published_snippets().values() for snippet in own]
    if plan.kind == "train":
        return len(done) / len(every)
    return sum(snippet.num_steps for snippet in done) / sum(snippet.num_steps for snippet in every)


def rows(measured: Measured, machines: list[int], cores: int, gpus: float, price: float) -> list[str]:
    """The table of what one kind of work costs for the full set."""
    kind, jobs = measured.plan.kind, f"{measured.jobs:,} jobs"
    per_job = 60.0 * measured.hours / measured.jobs
    rate = measured.steps / (3600.0 * measured.hours * measured.plan.threads_per_job)
    cells = [kind, jobs, f"{per_job:,.2f}", f"{rate:,.0f}", f"{measured.core_hours:,.0f}", f"{measured.gpu_hours:,.0f}"]
    cells.append(size_text(measured.size / measured.part))
    cells += [f"{measured.wall_hours(count, cores, gpus):,.1f}" for count in machines]
    cells += [f"{measured.core_hours * price / cores:,.0f}"] if price else []
    return cells


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plans", nargs="+", type=Path, help="folders of plans that have run")
    parser.add_argument("--cores", type=int, default=32, help="cores of a machine")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs of a machine")
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--price", type=float, default=0.0, help="of a machine and hour, for a column of costs")
    parser.add_argument("--timesteps", type=int, default=0, help="steps of an expert, if not those of the plan")
    chosen = parser.parse_args()
    headings = ["work", "measured on", "minutes a job", "steps/s a core", "core-hours", "GPU-hours", "disk"]
    headings += [f"hours on {count:,} x {chosen.cores} cores" for count in chosen.machines]
    headings += ["price"] if chosen.price else []
    print(f"| {' | '.join(headings)} |\n|{' --- |' * len(headings)}")
    for folder in chosen.plans:
        found = rows(measure(folder).at(chosen.timesteps), chosen.machines, chosen.cores, chosen.gpus, chosen.price)
        print(f"| {' | '.join(found)} |")


if __name__ == "__main__":
    main()
