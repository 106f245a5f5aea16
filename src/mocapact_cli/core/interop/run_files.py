"""Names of the files that the folder of a training run holds, whatever is trained."""

from __future__ import annotations

CONFIG = "config.json"
"""Settings and data of the run; it is there from the beginning on."""
VERSIONS = "versions.json"
"""Packages and machine that it began with."""
METRICS = "metrics.jsonl"
"""One line for everything that was measured."""
CHECKPOINTS = "checkpoints"
"""Folder of what resuming needs."""
FLAGS = "flags.txt"
"""Options of a published run, in place of its settings."""
