"""What a data protection officer runs: `forget`, `person` and `audit`."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cjkit.checks import CjkitError
from cjkit.commands import WIDTH, add_project, read_given, say
from cjkit.labels import format_number
from cjkit.project import Project

FORGET = """\
Remove people from the vault, what has landed, prepared logs, saved tables, quarantine, and the ids
that are remembered. Keyed hashes stay, so that the next import does not bring them back. What there
is of them is listed and asked about first. The next prepare or report makes the log anew.
Published reports, exports and files for other systems are never touched: those that may still hold
them are listed.
"""
FORGET_EXAMPLES = """\
examples:
  python -m cjkit forget shop/journey.toml --customer hanako@example.jp --dry-run
  python -m cjkit forget shop/journey.toml --customer crm:C000123 --customer 090-1234-5678 --yes
"""
WHO = "an e-mail address, a phone number, NAMESPACE:id as the exports have it, or a customer_id"


def add_commands(commands: Any) -> None:
    """Add the commands to the command line."""
    forget = commands.add_parser(
        "forget",
        help="remove people from all that is kept, for good",
        description=FORGET,
        epilog=FORGET_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    forget.set_defaults(run=_forget)
    add_project(forget)
    forget.add_argument(
        "--customer",
        action="append",
        required=True,
        metavar="WHO",
        help=f"{WHO}; give it again for further people",
    )
    forget.add_argument("--dry-run", action="store_true", help="list what there is, and end")
    forget.add_argument("--yes", action="store_true", help="do not ask")
    forget.add_argument(
        "--output", metavar="DIR", help="where reports were published, if not reports"
    )

    person = commands.add_parser(
        "person",
        help="show all that is held about one person",
        description="Write all that is held about one person to standard output, and nowhere else. "
        "The audit log remembers that it was asked for.",
    )
    person.set_defaults(run=_person)
    add_project(person)
    person.add_argument("--customer", required=True, metavar="WHO", help=WHO)
    person.add_argument(
        "--format",
        choices=["text", "json"],
        default="text",
        help="json has every row, text counts most (default: %(default)s)",
    )

    audit = commands.add_parser(
        "audit",
        help="check or show the log of who ran what",
        description="verify: check that no line of the audit log was changed, added or removed, "
        "and name the first that was. show: print the lines, unchecked. Ids of people stand in it "
        "as keyed hashes only.",
    )
    audit.set_defaults(run=_audit)
    audit.add_argument("action", choices=["verify", "show"])
    add_project(audit)
    audit.add_argument(
        "--customer", metavar="WHO", help="show only lines about WHO, as it was written then"
    )


def _forget(given: argparse.Namespace) -> int:
    from cjkit.cleansing.forgetting import forget, plan_forgetting

    project = read_given(given)
    plan = plan_forgetting(project, given.customer)
    for customer in plan.already:
        print(f"{customer} was forgotten before: nothing is held")
    for place, found in plan.traces.counts.items() if plan.traces.person_keys else ():
        print(f"{place:<{WIDTH}}{format_number(found, 'en'):>10}")
    if outside := [*plan.outside, *_published(project, given.output), *_activated(project)]:
        print("not touched, and may still hold them:")
    for path in outside:
        print(f"  {path}")
    if given.dry_run or not plan.traces.person_keys:
        return 0
    if not given.yes:
        _ask("Forget them for good?")
    forget(project, plan)
    say("forgotten: the next prepare or report makes the log anew without them")
    return 0


def _published(project: Project, output: str | None) -> list[str]:
    """Return the reports that were published so far."""
    from cjkit.report.index import read_runs, report_home

    home = report_home(project, output)
    return [str(home / run["run"]) for run in read_runs(home)]


def _activated(project: Project) -> list[str]:
    """Return where files for other systems hold people."""
    from cjkit.activation import find_files

    return find_files(project)


def _ask(question: str) -> None:
    """Go on only when someone at the terminal agrees."""
    if not sys.stdin.isatty():
        raise CjkitError("nobody is there to be asked: agree with --yes, or look with --dry-run.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CjkitError("nothing was forgotten.")


def _person(given: argparse.Namespace) -> int:
    from cjkit.cleansing.person import read_person

    held = read_person(read_given(given), given.customer)
    print(held.to_json() if given.format == "json" else held.to_text())
    return 0


def _audit(given: argparse.Namespace) -> int:
    from cjkit.privacy import audit

    project = read_given(given)
    if given.action == "verify":
        found = audit.verify(project)
        print(f"{found.lines} lines are as they were written; the last has the hash {found.last}")
        if found.fault is not None:
            raise CjkitError(f"the audit log cannot be trusted: {found.fault}.")
        return 0
    sought = None if given.customer is None else audit.hide(project, given.customer)
    for line in audit.read(project):
        if sought in (None, line["customer"]):
            about = [f"customer={line['customer'][:16]}"] if line["customer"] else []
            about += [f"{name}={value}" for name, value in line["parameters"].items()]
            print(line["no"], line["at"], line["who"], line["command"], line["data"], *about)
    return 0
