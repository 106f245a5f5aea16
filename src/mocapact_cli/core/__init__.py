"""The library behind the command line: no printing, no typer, usable from a notebook."""
