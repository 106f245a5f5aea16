"""Running policies in batches of environments, and recording what happens."""
