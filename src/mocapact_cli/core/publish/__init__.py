"""Giving experts, policies and datasets to others: what is sent, what is said of it, and the sending."""
