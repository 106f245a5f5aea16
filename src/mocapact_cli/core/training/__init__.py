"""Training: configurations, loops, checkpoints and what they leave on disk."""
