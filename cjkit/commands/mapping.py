"""What whoever has a new export runs: `map`."""

from __future__ import annotations

import argparse
from typing import Any

from cjkit.commands import say

MAP = """\
Look at an export that no mapping describes yet. Where a mapping that comes with cjkit is near, the
lines of a journey.toml that use it are printed; else a draft of a mapping of its own, which check
accepts. What could not be decided is said beside it. Values are looked at, and never printed.
"""
MAP_EXAMPLES = """\
examples:
  python -m cjkit map exports/events_20240501.json
  python -m cjkit map exports/till.csv > shop/till.toml      the draft alone; what is open is shown
"""


def add_commands(commands: Any) -> None:
    """Add the command to the command line."""
    found = commands.add_parser(
        "map",
        help="propose a mapping for an export",
        description=MAP,
        epilog=MAP_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.set_defaults(run=_map)
    found.add_argument("file", metavar="FILE", help="the export")


def _map(given: argparse.Namespace) -> int:
    from cjkit.sources import propose

    proposal = propose(given.file)
    for name, share in proposal.nearest:
        say(f"{name:<36} nearness {share:.2f}")
    what = "a draft; none that is shipped is near" if proposal.is_draft else "for journey.toml"
    say(f"{what}:")
    print(proposal.toml, end="")
    if proposal.undecided:
        say("not decided:")
    for line in proposal.undecided:
        say(f"  - {line}")
    return 0
