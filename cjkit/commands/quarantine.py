"""What whoever owns the data runs: `quarantine export` and `quarantine import`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cjkit.commands import WIDTH, read_given, say
from cjkit.labels import format_number, label

QUARANTINE = """\
Records that the gate has set aside are written to a file, corrected there in a spreadsheet, and
taken back. The exports stay as they are.
"""
EXPORT = """\
Write the records in quarantine to a CSV file, one line a record, for whoever can correct them.

The first columns say where a record is and which rules set it aside; the others are the columns
of the exports. Correct the cells and nothing else; lines that you leave out, or leave as they are,
change nothing. Of a line that could not be read as a record, cjkit:line says what stands there:
fill in its cells. What a spreadsheet would take for a formula has an apostrophe before it, which
the import takes away again.

The file holds personal data in clear. It is for you alone (mode 0600), and never among the reports:
remove it when it is imported.
"""
EXPORT_EXAMPLES = """\
examples:
  python -m cjkit quarantine export shop/journey.toml mend.csv
  python -m cjkit quarantine export shop/journey.toml mend.csv --rule unreadable_value --source till
"""
IMPORT = """\
Take corrected records back, and prepare the log with each in the place of its original. The log
is then what it would be had the exports been corrected. What is still wrong stays in quarantine,
and is said.

A correction holds as long as its record in the export stays as it was; when the export itself is
corrected, that counts. Cells that are put back to what the export says take a correction away. The
same file imported again changes nothing. The cells that were changed are counted by column: look
for one that nobody meant to change, such as dates or long numbers that a spreadsheet wrote its own
way.
"""
IMPORT_EXAMPLES = """\
examples:
  python -m cjkit quarantine import shop/journey.toml mend.csv
"""


def add_commands(commands: Any) -> None:
    """Add the commands to the command line."""
    quarantine = commands.add_parser(
        "quarantine",
        help="correct records that were set aside, and take them back",
        description=QUARANTINE,
        epilog=EXPORT_EXAMPLES + IMPORT_EXAMPLES.removeprefix("examples:\n"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = quarantine.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, what, description, epilog in (
        ("export", _export, "write records to be corrected", EXPORT, EXPORT_EXAMPLES),
        ("import", _import, "take corrected records back", IMPORT, IMPORT_EXAMPLES),
    ):
        action = actions.add_parser(
            name,
            help=what,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.set_defaults(run=run)
        action.add_argument("project", metavar="JOURNEY.toml", help="the project file of a company")
        action.add_argument("file", type=Path, metavar="FILE.csv", help="the file of records")
        if name == "export":
            action.add_argument("--rule", metavar="R", help="only records that this rule set aside")
            action.add_argument("--source", metavar="S", help="only records of this source")


def _export(given: argparse.Namespace) -> int:
    from cjkit.cleansing.quarantine import export_quarantine

    found = export_quarantine(read_given(given), given.file, rule=given.rule, source=given.source)
    for rule, records in found.rules.items():
        say(f"{label(f'rule.{rule}', 'en').removeprefix('rule.'):<40}{records:>8,}")
    say(f"{'records to correct, in clear':<40}{found.records:>8,}")
    print(found.path)
    return 0


def _import(given: argparse.Namespace) -> int:
    from cjkit.cleansing.quarantine import import_quarantine

    done = import_quarantine(read_given(given), given.file)
    print(f"{'corrected':<{WIDTH}}{format_number(done.corrected, 'en'):>10}")
    print(f"{'unchanged':<{WIDTH}}{format_number(done.unchanged, 'en'):>10}")
    for name, cells in done.changed.items():
        print(f"{'  cells of ' + name:<{WIDTH}}{format_number(cells, 'en'):>10}")
    for rule, records in done.still.items():
        print(f"{'  still ' + rule:<{WIDTH}}{format_number(records, 'en'):>10}")
    say("the log was made anew" if done.is_new else "nothing has changed")
    return 0
