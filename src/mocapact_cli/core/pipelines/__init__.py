"""Several steps of the research pipeline in one call."""
