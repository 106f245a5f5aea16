"""Films and plots."""
