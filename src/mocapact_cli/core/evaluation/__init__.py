"""How well policies track: metrics and reports."""
