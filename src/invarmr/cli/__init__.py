"""The command line: parse, call, print; one file per verb, no statistics."""

from invarmr.cli.main import main

__all__ = ["main"]
