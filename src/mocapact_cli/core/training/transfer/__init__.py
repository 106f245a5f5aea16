"""Policies for tasks, trained by PPO on the batched physics, with or without a low-level policy."""
