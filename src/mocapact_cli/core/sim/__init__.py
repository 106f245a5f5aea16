"""Batched physics of the walker, and the observables and rewards computed from it."""
