"""The names of the clips that the package generates, which cost nothing to know."""

from __future__ import annotations

DEMOS: dict[str, str] = {
    "demo_reach": "standing, reaching forward and up with one arm after the other",
    "demo_squat": "a half squat, down and up",
    "demo_step": "four steps in place",
    "demo_walk": "six steps forward",
}
"""Built-in clips and what they show."""

NUM_STEPS = {"demo_reach": 151, "demo_squat": 61, "demo_step": 201, "demo_walk": 191}
"""Poses in each built-in clip, known without generating it."""
