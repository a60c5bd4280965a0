"""What whoever teaches runs: `workshop`."""

from __future__ import annotations

import argparse
from typing import Any

from cjkit.commands import say

WORKSHOP = """\
Write a half-day course in journey analysis: notebooks for learners in English and Japanese, with
cells that check their answers, solutions in a folder apart, notes with times for the instructor,
and a small sample company, prepared. Notebooks that were changed since are kept: remove the folder
to begin anew.
"""


def add_commands(commands: Any) -> None:
    """Add the command to the command line."""
    workshop = commands.add_parser(
        "workshop",
        help="write the workshop: exercises, solutions, notes and a small company",
        description=WORKSHOP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    workshop.set_defaults(run=_workshop)
    workshop.add_argument("folder", metavar="DIR", help="where to write: notebooks/workshop")


def _workshop(given: argparse.Namespace) -> int:
    from cjkit.workshop.course import write_course

    course = write_course(given.folder, say=say)
    for path in course.kept:
        say(f"kept {path}, which holds changes: remove it to get it anew")
    say(f"{course.minutes // 60} h {course.minutes % 60} min; begin with en/ or ja/")
    print(course.folder)
    return 0
