"""What is shown at the end of a training by PPO: of an expert, or of a policy for a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mocapact_cli.cli.output import facts, out
from mocapact_cli.core.formatting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mocapact_cli.core.training.expert.train import ExpertResult
    from mocapact_cli.core.training.ppo.result import PpoResult
    from mocapact_cli.core.training.transfer.train import TransferResult


def expert_json(result: ExpertResult) -> dict[str, Any]:
    """Return the document of an expert's training."""
    best = {"rsi_norm_return": result.best_rsi, "start_norm_return": result.best_start}
    return _json(result, {"snippet": str(result.snippet)}, best)


def transfer_json(result: TransferResult) -> dict[str, Any]:
    """Return the document of a training for a task."""
    return _json(result, {"task": result.task}, {"return": result.best_return})


def show_expert(result: ExpertResult) -> None:
    """Show what the training of an expert has come to."""
    last = result.evaluations[-1]
    scores = {
        "Best normalized return": f"{result.best_rsi:.3f} from random steps, {result.best_start:.3f} from the start",
        "Last normalized length": f"{last['rsi_norm_length']:.3f} and {last['start_norm_length']:.3f}",
    }
    shown = _facts(result, {"Snippet": str(result.snippet)}, scores)
    _show(result, expert_json(result), shown, "Expert", f"mocapact expert eval {quoted(result.root)}")


def show_transfer(result: TransferResult) -> None:
    """Show what a training for a task has come to."""
    last = result.evaluations[-1]
    scores = {
        "Best return": f"{result.best_return:.2f}",
        "Last evaluation": f"return {last['eval_return']:.2f}, {last['eval_falls']:.0%} of episodes end in a fall",
    }
    shown = _facts(result, {"Task": result.task}, scores)
    _show(result, transfer_json(result), shown, "Policy", f"mocapact transfer eval {quoted(result.root)}")


def _json(result: PpoResult, learned: Mapping[str, str], best: Mapping[str, float]) -> dict[str, Any]:
    return {
        "root": result.root,
        "model": result.model,
        "curve": result.curve,
        **learned,
        "timesteps": result.timesteps,
        "seconds": result.seconds,
        "stopped_because": result.stopped_because,
        "best": best,
        "last": result.evaluations[-1],
    }


def _facts(result: PpoResult, learned: Mapping[str, str], scores: Mapping[str, str]) -> dict[str, str]:
    pace = f", {result.timesteps / result.seconds:,.0f} a second" if result.seconds > 0 else ""
    return {
        **learned,
        "Samples": f"{result.timesteps:,} in {result.seconds:,.0f} s{pace}",
        "Ended because": result.stopped_because,
        **scores,
        "Model": str(result.model),
        **({"Curve": str(result.curve)} if result.curve else {}),
    }


def _show(result: PpoResult, document: Mapping[str, Any], shown: Mapping[str, str], title: str, then: str) -> None:
    out.show(document, lambda: [facts(shown, title=title), f"Next: {then}"], short=str(result.model))
