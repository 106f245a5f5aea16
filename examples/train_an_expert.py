"""Train an expert that tracks a clip, evaluate it beside the PD controller, and film it beside its reference."""

import sys
from pathlib import Path

from mocapact_cli.core.clips.library import open_library
from mocapact_cli.core.errors import MissingDependencyError
from mocapact_cli.core.evaluation.evaluate import EvalConfig
from mocapact_cli.core.evaluation.expert import evaluate_expert, film_expert, open_expert
from mocapact_cli.core.progress import NullProgress
from mocapact_cli.core.training.expert.config import resolve
from mocapact_cli.core.training.expert.train import expert_root, train_expert

CLIP = "demo_squat"
STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 800_000
THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else None  # all cores

library = open_library()  # open_library([Path("mocap.h5")]) for clips of your own
snippet = library.resolve(CLIP)
config = resolve("fast", None, total_timesteps=STEPS, threads=THREADS)
root = expert_root(Path("experts"), snippet, config.seed)
run = train_expert(library.get(snippet.clip_id), snippet, config, root, force=True)
print(f"{run.timesteps:,} steps in {run.seconds:.0f} s: {run.root}")

expert = open_expert(root)
result = evaluate_expert(expert, EvalConfig(n_eval_episodes=50, act_noise=0.1, threads=THREADS), baselines=["pd"])
for name, scores in {"expert": result, **result.baselines}.items():
    print(f"{name}: normalized length {scores.norm_length:.3f}, normalized return {scores.norm_return:.3f}")

try:
    film_expert(expert, Path("squat.mp4"), EvalConfig(always_init_at_clip_start=True), progress=NullProgress())
except MissingDependencyError as error:
    print(f"No film: {error}")
