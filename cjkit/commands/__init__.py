"""Commands in rooms of their own, and what all commands share: `cjkit.__main__` puts them together.

What a command prints on standard output is its result; its progress goes to standard error.
"""

from __future__ import annotations

import argparse
import sys

from cjkit.cleansing.log import find_project
from cjkit.project import Project, read_project

SAMPLE = "data/sample/journey.toml"
WIDTH = 24


def add_project(parser: argparse.ArgumentParser) -> None:
    """Let a command take a project file."""
    parser.add_argument(
        "project",
        nargs="?",
        default=SAMPLE,
        metavar="JOURNEY.toml",
        help="the project file of a company (default: %(default)s)",
    )


def read_given(given: argparse.Namespace) -> Project:
    """Read the project file that a command was given."""
    return read_project(find_project(given.project))


def say(line: str) -> None:
    """Tell of progress."""
    print(line, file=sys.stderr, flush=True)
