"""What the low-level policy does with embeddings that no reference gave it: sampled, between two snippets, or none."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mocapact_cli.core.errors import UsageError
from mocapact_cli.core.evaluation.versions import versions
from mocapact_cli.core.policies.latent_paths import check_prior, mix, prior_path
from mocapact_cli.core.policies.low_level import LowLevelPolicy
from mocapact_cli.core.rollouts.latent import Encoding, LatentEpisode, LatentMotion, encode_snippets, move_freely
from mocapact_cli.core.rollouts.streams import stream
from mocapact_cli.core.tasks.free import FreeTask
from mocapact_cli.core.tasks.tracking import Start
from mocapact_cli.core.walker.model import CONTROL_TIMESTEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mocapact_cli.core.clips.clip import Clip
    from mocapact_cli.core.clips.snippets import Snippet
    from mocapact_cli.core.policies.embedding import EmbeddingPolicy
    from mocapact_cli.core.progress import Progress

    Float32Array = NDArray[np.float32]
    Pair = tuple[Clip, Snippet]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How much of the second snippet the walkers of an interpolation are given."""
PRIOR, HELD, ZERO, MOVING = "prior", "held", "zero", "moving"
_START_STREAM, _PRIOR_STREAM, _HELD_STREAM = range(3)


@dataclass(frozen=True)
class LatentConfig:
    """How the latent space is looked at."""

    n_walkers: int = 16
    """Walkers that are given embeddings of the prior; as many hold one, and as many get none."""
    max_steps: int = 300
    """Longest that a walker moves."""
    correlation: float | None = None
    """Of an embedding and the next; the policy's own if not given."""
    scale: float = 1.0
    """Standard deviation of the prior; policies are trained with 1."""
    always_init_at_clip_start: bool = False
    """Start at a snippet's first step instead of at a random one."""
    termination_error_threshold: float = 0.3
    """Error at which encoding a snippet ends early."""
    seed: int = 0
    """Of starts and embeddings."""
    num_envs: int | None = None
    """Environments side by side; chosen by machine and work if not given."""
    threads: int | None = None
    """Threads of the physics; all cores if not given."""

    def __post_init__(self) -> None:
        check_prior(self.correlation or 0.0, self.scale)
        if min(self.n_walkers, self.max_steps) < 1:
            raise UsageError("At least one walker and one step are needed.")


@dataclass(frozen=True)
class Measures:
    """How one walker moved; names end with their units.

    Attributes:
        seconds: Until it fell or its time was over.
        fell: Whether it fell.
        distance_m: Of the root's last position from its first, on the ground.
        speed_m_s: Mean of the root's on the ground.
        joint_motion_rad_s: Root mean square of the hinges' velocities.
        embedding_spread: Root mean square distance of its embeddings' columns from their mean over time.
    """

    seconds: float
    fell: bool
    distance_m: float
    speed_m_s: float
    joint_motion_rad_s: float
    embedding_spread: float

    @classmethod
    def of(cls, motion: LatentMotion) -> Measures:
        """Measure a motion."""
        ground = motion.qpos[:, :2]
        steps = np.linalg.norm(np.diff(ground, axis=0), axis=1)
        moved = len(steps) > 0
        return cls(
            seconds=motion.end.length * CONTROL_TIMESTEP,
            fell=motion.end.early_termination,
            distance_m=float(np.linalg.norm(ground[-1] - ground[0])),
            speed_m_s=float(steps.mean()) / CONTROL_TIMESTEP if moved else math.nan,
            joint_motion_rad_s=float(np.sqrt((motion.qvel[:, 6:] ** 2).mean())) if moved else math.nan,
            embedding_spread=float(np.sqrt(motion.embeddings.astype(np.float64).var(axis=0).mean()))
            if moved
            else math.nan,
        )


@dataclass(frozen=True)
class LatentWalker:
    """One walker.

    Attributes:
        kind: What its embeddings are: `prior`, `held`, `zero`, `moving`, or a share of the second snippet.
        start: Where it began, such as `demo_squat step 12`.
        motion: How it moved.
        measures: The same in numbers.
        likeness: Root mean square difference of its joints from those of another walker from the same start, over the
            steps that both moved, in radians: from the one that got zeros, or from those of either snippet.
    """

    kind: str
    start: str
    motion: LatentMotion = field(repr=False)
    measures: Measures
    likeness: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return its numbers."""
        return {"kind": self.kind, "start": self.start} | vars(self.measures) | self.likeness


@dataclass(frozen=True)
class LatentStudy:
    """Walkers that followed embeddings.

    Attributes:
        walkers: In rows of `columns`, the order of a film.
        columns: Walkers in a row.
        encodings: The snippets that were encoded.
        settings: What they were given, as plain values.
        seed: Of starts and embeddings.
    """

    walkers: tuple[LatentWalker, ...]
    columns: int
    encodings: tuple[Encoding, ...]
    settings: dict[str, Any]
    seed: int

    def groups(self) -> list[dict[str, Any]]:
        """Return each kind's means over its walkers, in the order of the walkers."""
        kinds = dict.fromkeys(walker.kind for walker in self.walkers)
        return [{"kind": kind} | _means([walker for walker in self.walkers if walker.kind == kind]) for kind in kinds]

    def encoded(self) -> list[dict[str, Any]]:
        """Return how far each snippet was tracked while it was encoded."""
        return [
            {
                "snippet": str(one.snippet),
                "steps": one.end.length,
                "norm_length": one.end.norm_length,
                "early_termination": one.end.early_termination,
            }
            for one in self.encodings
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the document that `mocapact distill sample --json` prints."""
        return self.settings | {
            "groups": self.groups(),
            "walkers": [walker.to_json() for walker in self.walkers],
            "encoded": self.encoded(),
            "versions": versions(),
            "seed": self.seed,
        }


def study_prior(
    policy: EmbeddingPolicy,
    pairs: Sequence[Pair],
    config: LatentConfig,
    *,
    encode: bool = False,
    progress: Progress | None = None,
) -> LatentStudy:
    """Let walkers follow embeddings of the prior, hold one of them, and get none, all from the same starts.

    Args:
        policy: Its decoder acts.
        pairs: (clip, snippet) pairs whose poses they start in.
        config: How.
        encode: Also encode the snippets.
        progress: Told of every episode.

    Raises:
        UsageError: The decoder needs a reference.
        InvalidInputError: A snippet lies outside its clip.
    """
    low_level = LowLevelPolicy(policy, max_embed=None)
    correlation = policy.config.correlation if config.correlation is None else config.correlation
    starts = _starts(pairs, config)
    encodings = _encode(policy, pairs, config, progress) if encode else []
    kinds = (PRIOR, HELD, ZERO)
    episodes = [
        LatentEpisode(start, _embeddings(kind, number, correlation, policy.embed_size, config))
        for kind in kinds
        for number, start in enumerate(starts)
    ]
    motions = _move(low_level, pairs, episodes, config, progress)
    idle = motions[-len(starts) :]
    walkers = [
        _walker(kinds[number // len(starts)], pairs, episodes[number].start, motion, zero=idle[number % len(starts)])
        for number, motion in enumerate(motions)
    ]
    settings = {"mode": "prior", "correlation": correlation, "scale": config.scale, "embed_size": policy.embed_size}
    return LatentStudy(tuple(walkers), len(starts), tuple(encodings), settings, config.seed)


def study_between(
    policy: EmbeddingPolicy, first: Pair, second: Pair, config: LatentConfig, *, progress: Progress | None = None
) -> LatentStudy:
    """Let walkers follow embeddings between those of two snippets, all from the first one's start.

    Each of five walkers is given its share of the way between the embeddings of the same step of both; `moving` goes
    all the way from the first to the second while it moves; `held` keeps the first embedding, and `zero` gets none.
    They move for as many steps as both snippets were tracked.

    Args:
        policy: Encodes both while it tracks them; its decoder acts.
        first: (clip, snippet).
        second: The same.
        config: How.
        progress: Told of every episode.

    Raises:
        UsageError: The decoder needs a reference.
        InvalidInputError: A snippet lies outside its clip or is too short for the policy.
    """
    low_level = LowLevelPolicy(policy, max_embed=None)
    encodings = _encode(policy, [first, second], config, progress)
    steps = min(config.max_steps, *(len(one.embeddings) for one in encodings))
    begin, end = (one.embeddings[:steps] for one in encodings)
    given = {f"{share:g}": mix(begin, end, np.full(steps, share)) for share in SHARES}
    given[MOVING] = mix(begin, end, np.linspace(0.0, 1.0, steps))
    given[HELD] = np.repeat(begin[:1], steps, axis=0)
    given[ZERO] = np.zeros_like(begin)
    start = Start(0, first[1].start_step)
    motions = _move(low_level, [first], [LatentEpisode(start, path) for path in given.values()], config, progress)
    walkers = [
        _walker(kind, [first], start, motion, a=motions[0], b=motions[len(SHARES) - 1])
        for kind, motion in zip(given, motions, strict=True)
    ]
    settings = {"mode": "interpolate", "from": str(first[1]), "to": str(second[1]), "embed_size": policy.embed_size}
    return LatentStudy(tuple(walkers), len(SHARES), tuple(encodings), settings, config.seed)


def _encode(
    policy: EmbeddingPolicy, pairs: Sequence[Pair], config: LatentConfig, progress: Progress | None
) -> list[Encoding]:
    return encode_snippets(
        policy,
        pairs,
        termination_error_threshold=config.termination_error_threshold,
        num_envs=config.num_envs,
        threads=config.threads,
        progress=progress,
    )


def _move(
    low_level: LowLevelPolicy,
    pairs: Sequence[Pair],
    episodes: Sequence[LatentEpisode],
    config: LatentConfig,
    progress: Progress | None,
) -> list[LatentMotion]:
    machine: dict[str, Any] = {"num_envs": config.num_envs, "threads": config.threads}
    return move_freely(low_level, pairs, episodes, **machine, progress=progress)


def _starts(pairs: Sequence[Pair], config: LatentConfig) -> list[Start]:
    """Draw starts from all poses of the snippets; at their first steps, take the snippets in turn."""
    if config.always_init_at_clip_start:
        return [Start(n % len(pairs), pairs[n % len(pairs)][1].start_step) for n in range(config.n_walkers)]
    starts, probabilities = FreeTask(pairs, config.max_steps).possible_starts()
    drawn = stream(config.seed, (_START_STREAM,)).choice(len(starts), config.n_walkers, p=probabilities)
    return [starts[choice] for choice in drawn]


def _embeddings(kind: str, number: int, correlation: float, size: int, config: LatentConfig) -> Float32Array:
    if kind == ZERO:
        return np.zeros((config.max_steps, size), dtype=np.float32)
    name, correlation = (_HELD_STREAM, 1.0) if kind == HELD else (_PRIOR_STREAM, correlation)
    return prior_path(config.max_steps, size, correlation, stream(config.seed, (number, name)), scale=config.scale)


def _walker(
    kind: str, pairs: Sequence[Pair], start: Start, motion: LatentMotion, **others: LatentMotion
) -> LatentWalker:
    place = f"{pairs[start.snippet_index][1].clip_id} step {start.start_step}"
    likeness = {f"joints_from_{name}_rad": _joint_difference(motion, other) for name, other in others.items()}
    return LatentWalker(kind, place, motion, Measures.of(motion), likeness)


def _joint_difference(motion: LatentMotion, other: LatentMotion) -> float:
    shared = min(len(motion.qpos), len(other.qpos))
    return float(np.sqrt(((motion.qpos[:shared, 7:] - other.qpos[:shared, 7:]) ** 2).mean()))


def _means(walkers: Sequence[LatentWalker]) -> dict[str, Any]:
    rows = [walker.to_json() for walker in walkers]
    names = [name for name in rows[0] if name not in ("kind", "start")]
    known = {name: [row[name] for row in rows if not math.isnan(row[name])] for name in names}
    means = {name: float(np.mean(values)) if values else math.nan for name, values in known.items()}
    return {"walkers": len(walkers), "fell": means.pop("fell"), **means}
