"""Distilling one policy for many clips from a dataset of rollouts."""
