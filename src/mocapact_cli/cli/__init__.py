"""The command line: parses, calls `mocapact_cli.core` and shows. It computes nothing itself."""
