"""Looks at the machine and the installation, and says what would stand in the way, with the remedy."""
