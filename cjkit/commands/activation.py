"""What whoever takes results to other systems runs: `activate`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from cjkit.commands import WIDTH, read_given, say
from cjkit.labels import format_number

ACTIVATE = """\
Write the files of one activation of the project file: an audience, profiles, products or events, as
the target takes them. Nothing is sent anywhere. The files hold people in clear, stand in
[activation] dir for you alone, and replace those of the run before, whole or not at all.

Only people who agreed to marketing are in them; who was contacted lately and who is held out is
not, and what became of everybody is printed. Who is in which arm is remembered, and stands in the
table `assignments` of the log.
"""
ACTIVATE_EXAMPLES = """\
examples:
  python -m cjkit activate data/sample/journey.toml newsletter
  python -m cjkit activate shop/journey.toml hubspot --segment champions lifecycle.lapsed
"""


def add_commands(commands: Any, as_of: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the command to the command line; `as_of` lets it take a day."""
    parser = commands.add_parser(
        "activate",
        help="write audiences and feeds for other systems",
        description=ACTIVATE,
        epilog=ACTIVATE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_activate)
    parser.add_argument("project", metavar="JOURNEY.toml", help="the project file of a company")
    parser.add_argument("target", metavar="TARGET", help="a section [activation.TARGET] of it")
    parser.add_argument(
        "--segment",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="only people of these segments, which a report saved; VIEW.NAME of another view",
    )
    as_of(parser)


def _activate(given: argparse.Namespace) -> int:
    from cjkit.activation import activate

    done = activate(read_given(given), given.target, segments=given.segment, as_of=given.as_of)
    for outcome, people in done.counts.items():
        print(f"{outcome.replace('_', ' '):<{WIDTH}}{format_number(people, 'en'):>12}")
    print(f"{'rows':<{WIDTH}}{format_number(done.rows, 'en'):>12}")
    if done.rows_left_out:
        print(f"{'rows left out':<{WIDTH}}{format_number(done.rows_left_out, 'en'):>12}")
    for path in done.files:
        print(path)
    if done.note:
        say(f"{done.system}: {done.note}")
    return 0
