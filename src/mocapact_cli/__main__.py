"""`python -m mocapact_cli` is the `mocapact` command."""

from mocapact_cli.cli.main import run

run()
