"""Artefacts of the original project and of other tools: read safely, written compatibly."""
