"""Experts: one policy a snippet, trained by PPO on the batched physics."""
