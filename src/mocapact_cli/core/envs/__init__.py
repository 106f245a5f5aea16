"""Environments over the batched physics: the batch itself, Gymnasium's interfaces and Stable-Baselines3's."""
