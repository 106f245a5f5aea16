"""Rollout datasets: the HDF5 layout, writing, reading, statistics and metrics."""
