"""Options and arguments that several commands share, each declared once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mocapact_cli.cli import completion
from mocapact_cli.core.errors import UsageError

if TYPE_CHECKING:
    from mocapact_cli.core.rollouts.config import RolloutConfig


class Checksum(StrEnum):
    """What a wrong checksum means."""

    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


OUTPUT = "Output"
SIMULATION = "Simulation"
EVALUATION = "Evaluation"

JsonOpt = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.", rich_help_panel=OUTPUT)
]
QuietOpt = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no messages; only the bare result.", rich_help_panel=OUTPUT),
]

MocapOpt = Annotated[
    list[Path] | None,
    typer.Option(
        "--mocap",
        metavar="FILE",
        help="Mocap HDF5 with the reference clips; may be given several times. "
        "By default clips are looked up in MOCAPACT_HOME, then among the built-in demos.",
        rich_help_panel=SIMULATION,
    ),
]
SeedOpt = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random choice.", rich_help_panel=SIMULATION)]
NumEnvsOpt = Annotated[
    int | None,
    typer.Option(
        "--num-envs",
        min=1,
        help="Environments simulated side by side; chosen from the machine by default.",
        rich_help_panel=SIMULATION,
    ),
]
ThreadsOpt = Annotated[
    int | None,
    typer.Option(
        "--threads",
        "--n-workers",
        min=1,
        help="Threads that step the physics; all cores by default.",
        rich_help_panel=SIMULATION,
    ),
]
PpoPresetOpt = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help="Recipe: fast (made for small machines; the default) or paper (the published one).",
        autocompletion=completion.ppo_presets,
    ),
]
DeviceOpt = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where networks run: auto (a GPU if there is one), cpu, cuda or cuda:N.",
        rich_help_panel=SIMULATION,
        autocompletion=completion.devices,
    ),
]
MinStepsOpt = Annotated[
    int,
    typer.Option(
        "--min-steps",
        min=1,
        help="Steps that must remain in the snippet at an episode's random start.",
        rich_help_panel=SIMULATION,
    ),
]
TerminationErrorThresholdOpt = Annotated[
    float,
    typer.Option(
        "--termination-error-threshold",
        min=0.0,
        help="Termination error above which an episode fails; the original's is 0.3.",
        rich_help_panel=SIMULATION,
    ),
]

OutFileOpt = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")]
OutDirOpt = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write into.")]
VideoOpt = Annotated[
    Path | None,
    typer.Option("--video", metavar="FILE", help="Also film it: .mp4, .gif or .png (a strip of frames)."),
]
BaselineOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--baseline",
        metavar="NAME",
        autocompletion=completion.baselines,
        help="Also run a controller that has learned nothing in the same episodes: zero, random, pd (aims at the "
        "reference's next pose) or pd-gravity (aims where holding it needs); may be given several times.",
    ),
]
ClipStartOpt = Annotated[
    bool, typer.Option("--always-init-at-clip-start", help="Start at the snippet's first step, not at random ones.")
]
TrackedArg = Annotated[
    str,
    typer.Argument(
        metavar="CLIP|SNIPPET",
        autocompletion=completion.clips_and_snippets,
        help="What to track: demo_squat, CMU_016_22-0-82.",
    ),
]
PolicyArg = Annotated[Path, typer.Argument(metavar="POLICY", help="A .ckpt or its folder, ours or a published one.")]
ActNoiseOpt = Annotated[float, typer.Option("--act-noise", min=0.0, help="Standard deviation of noise on the actions.")]
StartRolloutsOpt = Annotated[
    int, typer.Option("--n-start-rollouts", min=0, help="Episodes of each snippet from its start.")
]
RsiRolloutsOpt = Annotated[
    int, typer.Option("--n-rsi-rollouts", min=0, help="Episodes of each snippet from random steps.")
]
RefStepsOpt = Annotated[
    str, typer.Option("--ref-steps", metavar="N,N,...", help="Steps ahead at which the recorded references look.")
]
LogCamerasOpt = Annotated[
    bool, typer.Option("--log-cameras", help="Record the walker's two cameras too, 64 x 64 pixels.")
]
SaveOpt = Annotated[
    Path | None,
    typer.Option("--save", metavar="FILE", help="Write every episode's numbers as npz, with the published keys."),
]
ForceOpt = Annotated[bool, typer.Option("--force", help="Replace what is already there.")]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run where it stopped.")]
ConfigOpt = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file of settings; options on the line win.")
]

TRANSFER, PROMPTS = "Transfer", "Prompts"

TransferJobsOpt = Annotated[int, typer.Option("--jobs", min=1, help="Connections at once.", rich_help_panel=TRANSFER)]
ChecksumOpt = Annotated[
    Checksum,
    typer.Option("--checksum", help="What a wrong checksum means, where the source has any.", rich_help_panel=TRANSFER),
]


def clips_option(*names: str, help: str = "", panel: str | None = None) -> Any:  # noqa: A002 - Typer's own word for it
    """Return an option that chooses among clips and snippets.

    Args:
        names: As typed on the line; that of the parameter where left out.
        help: What is done with them; by default nothing but them is taken.
        panel: Heading in the help.
    """
    return typer.Option(
        *names,
        metavar="CLIPS|SUBSET|FILE",
        autocompletion=completion.selections,
        help=help
        or "Only these: clips or snippets with commas, a subset (get_up, walk_tiny, run_jump_tiny, locomotion_small, "
        "all), or a text file of them.",
        rich_help_panel=panel,
    )


def plot_option(help: str) -> Any:  # noqa: A002 - Typer's own word for it
    """Return an option that names a picture; its help says what is drawn."""
    return typer.Option("--plot", metavar="FILE", help=f"{help}: .png, .svg or .pdf.")


@dataclass(frozen=True)
class SimulationOptions:
    """What every command that steps physics takes."""

    mocap: MocapOpt = None
    seed: SeedOpt = 0
    num_envs: NumEnvsOpt = None
    threads: ThreadsOpt = None
    device: DeviceOpt = "auto"

    def work(self) -> dict[str, Any]:
        """Return seed, environments and threads, by the names that they have in every configuration of episodes."""
        return {"seed": self.seed, "num_envs": self.num_envs, "threads": self.threads}

    def network_device(self) -> str:
        """Return where networks run.

        Raises:
            UsageError: There is no such device here.
        """
        from mocapact_cli.core.policies.device import choose_device

        return choose_device(self.device)


@dataclass(frozen=True)
class EpisodeOptions:
    """How the episodes of an evaluation begin, act and fail, by the names of `EvalConfig`."""

    always_init_at_clip_start: ClipStartOpt = False
    act_noise: ActNoiseOpt = 0.1
    min_steps: MinStepsOpt = 10
    termination_error_threshold: TerminationErrorThresholdOpt = 0.3


@dataclass(frozen=True)
class PromptOptions:
    """Who gives a GPT its prompt, and how long it goes on."""

    experts: Annotated[
        Path | None,
        typer.Option(
            "--experts",
            metavar="DIR",
            help="Prompt a GPT by the expert in this folder whose snippet covers the wanted one.",
            rich_help_panel=PROMPTS,
        ),
    ] = None
    prompt_policy: Annotated[
        Path | None,
        typer.Option(
            "--prompt-policy", metavar="POLICY", help="Prompt it by a policy for many clips.", rich_help_panel=PROMPTS
        ),
    ] = None
    prompt_length: Annotated[
        int, typer.Option("--prompt-length", min=1, help="Control steps of the prompt.", rich_help_panel=PROMPTS)
    ] = 32
    max_steps: Annotated[
        int,
        typer.Option(
            "--max-steps",
            min=1,
            help="Control steps that it takes beyond the clip's end at most.",
            rich_help_panel=PROMPTS,
        ),
    ] = 500


@dataclass(frozen=True)
class RecordingOptions:
    """What is recorded of experts, by the names of `RolloutConfig`."""

    n_start_rollouts: StartRolloutsOpt = 10
    n_rsi_rollouts: RsiRolloutsOpt = 10
    act_noise: ActNoiseOpt = 0.1
    ref_steps: RefStepsOpt = "1,2,3,4,5"
    min_steps: MinStepsOpt = 30
    termination_error_threshold: TerminationErrorThresholdOpt = 0.3
    log_cameras: LogCamerasOpt = False

    def config(self, **machine: Any) -> RolloutConfig:
        """Return the configuration, with what the machine is to do.

        Raises:
            UsageError: Nothing would be recorded, or the reference steps are no numbers.
        """
        from mocapact_cli.core.rollouts.config import RolloutConfig

        return RolloutConfig(**asdict(self) | {"ref_steps": whole_numbers("--ref-steps", self.ref_steps)} | machine)


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """Read the list of whole numbers, such as "1,2,3", that was given to an option.

    Raises:
        UsageError: It is none.
    """
    try:
        return tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is not a list of whole numbers.", hint="Write 1,2,3.") from error
