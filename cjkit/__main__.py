"""The command line: it parses, calls, and turns what went wrong into one clear message."""

from __future__ import annotations

import argparse
import datetime
import errno
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from cjkit.checks import CjkitError
from cjkit.cleansing import prepare
from cjkit.commands import (
    WIDTH,
    activation,
    add_project,
    mapping,
    people,
    quarantine,
    read_given,
    say,
    workshop,
)
from cjkit.labels import LANGUAGES, format_number

ABOUT = """\
cjkit makes one clean journey log of the exports that a company's tools give, and answers the
questions of journey analysis in notebooks, which it runs into a report of HTML pages.
"""
EXAMPLES = """\
examples:
  python -m cjkit sample data/sample                      write the exports of the sample company
  python -m cjkit report data/sample/journey.toml         run every notebook and publish a report
  python -m cjkit check shop/journey.toml                 see what would be read, and what is wrong
  python -m cjkit report shop/journey.toml --only 03_funnel --set within=14D
  python -m cjkit activate shop/journey.toml newsletter   write an audience for another system

exit status:
  0 done   1 it failed: the message says why   2 the command is wrong   130 interrupted

What a command prints on standard output is its result; its progress goes to standard error.
Each command explains itself: python -m cjkit report --help
"""
REPORT = """\
Prepare the log where anything changed, run the notebooks of a project, and publish their pages as
reports/PROJECT/RUN/index.html, in every language of the project from one execution. The folder
reports/PROJECT/latest leads to the last run of all notebooks. A run is published whole or not at
all: when a notebook fails, the last good report stays, and the message names the notebook, the cell
and the cause.
"""
REPORT_EXAMPLES = """\
examples:
  python -m cjkit report data/sample/journey.toml
  python -m cjkit report shop/journey.toml --as-of 2026-11-01 --output /srv/reports
  python -m cjkit report shop/journey.toml --only 03_funnel 05_paths
  python -m cjkit report shop/journey.toml --pdf
  python -m cjkit report shop/journey.toml --set within=14D --set 05_paths.top=20
  python -m cjkit report shop/journey.toml --set steps=view_product,add_to_cart,purchase
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = _parser().parse_args(arguments)
    try:
        signal.signal(signal.SIGTERM, _interrupt)
        status: int = given.run(given)
        return status
    except CjkitError as error:
        print(f"cjkit: {error}", file=sys.stderr)
    except KeyboardInterrupt as interruption:
        print("cjkit: interrupted; nothing half-made was left.", file=sys.stderr)
        return 128 + (interruption.args[0] if interruption.args else signal.SIGINT)
    except OSError as error:
        print(f"cjkit: {_explain(error)}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m cjkit", description=ABOUT, epilog=EXAMPLES, formatter_class=shape
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    report = commands.add_parser(
        "report",
        help="run the notebooks of a project and publish their pages",
        description=REPORT,
        epilog=REPORT_EXAMPLES,
        formatter_class=shape,
    )
    report.set_defaults(run=_report)
    add_project(report)
    report.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="run these notebooks alone, and those they need (such as 03_funnel)",
    )
    report.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="PARAM=VALUE",
        help="give a parameter of the notebooks another value; NOTEBOOK.PARAM=VALUE sets it in one "
        "notebook; a list is written with commas",
    )
    report.add_argument(
        "--language",
        choices=[*LANGUAGES, "both"],
        help="the language of the pages (default: those of the project file)",
    )
    report.add_argument(
        "--output",
        metavar="DIR",
        help="publish below DIR (default: [report] dir of the project file, which is reports)",
    )
    _add_as_of(report)
    report.add_argument(
        "--jobs",
        type=int,
        default=2,
        metavar="N",
        help="run N notebooks at a time, which share memory and threads (default: %(default)s)",
    )
    report.add_argument(
        "--cell-timeout",
        type=float,
        default=1800,
        metavar="SECONDS",
        help="give up on a cell that takes longer (default: %(default)s)",
    )

    report.add_argument(
        "--pdf",
        action="store_true",
        help="print each page as PDF too, beside it (needs Chromium or Google Chrome; the variable "
        "CJKIT_BROWSER names one that is not on the path)",
    )

    sample = commands.add_parser(
        "sample",
        help="write the exports of the sample company",
        description="Write the exports of a made-up Japanese retailer over 24 months, with true "
        "stories to find in them, which data/sample/STORIES.md tells. The same seed gives the same "
        "files.",
    )
    sample.set_defaults(run=_sample)
    sample.add_argument("folder", metavar="DIR", help="where to write, such as data/sample")
    sample.add_argument(
        "--customers",
        type=int,
        default=20_000,
        metavar="N",
        help="how many customers, 100 to 10000000 (default: %(default)s, about 1 million events)",
    )
    sample.add_argument(
        "--seed", type=int, default=7, metavar="S", help="which company (default: %(default)s)"
    )

    prepared = commands.add_parser(
        "prepare",
        help="read new and changed files and cleanse them into the prepared log",
        description="Read new and changed files, cleanse everything, and keep the prepared log "
        "that notebooks open. A report does this by itself; a schedule may do it before.",
    )
    prepared.set_defaults(run=_prepare)
    add_project(prepared)
    _add_as_of(prepared)

    check = commands.add_parser(
        "check",
        help="say what would be read and run, and what is wrong",
        description="Say which files would be read by which mapping and which notebooks would run, "
        "and list every fault of the project file, its mappings and its files. No data is read.",
    )
    check.set_defaults(run=_check)
    add_project(check)

    runs = commands.add_parser(
        "runs",
        help="list the published reports",
        description="List the published reports, the latest first; * marks where latest leads.",
    )
    runs.set_defaults(run=_runs)
    add_project(runs)
    runs.add_argument(
        "--output", metavar="DIR", help="where reports were published, if not reports"
    )
    mapping.add_commands(commands)
    quarantine.add_commands(commands)
    activation.add_commands(commands, _add_as_of)
    people.add_commands(commands)
    workshop.add_commands(commands)
    return parser


def _add_as_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--as-of",
        type=_day,
        metavar="DATE",
        help="see no row at or after this day, such as 2026-11-01 (default: the project file's, "
        "else the latest day in the data)",
    )


def _day(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no day: write one such as 2026-11-01"
        raise argparse.ArgumentTypeError(message) from error


def _report(given: argparse.Namespace) -> int:
    from cjkit.report.run import run_report

    project = read_given(given)
    settings = {}
    for setting in given.set:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise CjkitError(f"--set {setting!r}: write PARAM=VALUE, such as within=14D.")
        settings[name] = value
    languages = LANGUAGES if given.language == "both" else (given.language,)
    report = run_report(
        project,
        only=given.only,
        settings=settings,
        languages=languages if given.language else (),
        output=given.output,
        as_of=given.as_of,
        jobs=given.jobs,
        cell_timeout=given.cell_timeout,
        pdf=given.pdf,
        say=say,
    )
    say(f"{'published':<{WIDTH}}{report.manifest['seconds']:8.1f} s")
    print(report.index)
    return 0


def _sample(given: argparse.Namespace) -> int:
    from cjkit.synthetic import estimate_bytes, make_sample

    size = format_number(estimate_bytes(given.customers) / 1e6, "en")
    say(f"writing about {size} MB for {format_number(given.customers, 'en')} customers")
    sample = make_sample(given.folder, customers=given.customers, seed=given.seed)
    for name, rows in sample.rows.items():
        say(f"{name:<40}{format_number(rows, 'en'):>12} rows")
    say(f"{'written':<40}{sample.seconds:>10.1f} s")
    print(sample.exports)
    return 0


def _prepare(given: argparse.Namespace) -> int:
    from cjkit.cleansing.warnings import list_warnings

    project = read_given(given)
    prepared = prepare(project, as_of=given.as_of)
    say(f"as of {prepared.as_of}: {'made' if prepared.is_new else 'nothing has changed'}")
    for warning in list_warnings(project, prepared):
        say(f"warning: {warning}")
    print(prepared.folder)
    return 0


def _check(given: argparse.Namespace) -> int:
    from cjkit.activation import check_activations
    from cjkit.report.check import check_project

    project = read_given(given)
    checked = check_project(project)
    for line in checked.lines:
        print(line)
    for name in project.activation:
        print(f"activation {name}")
    for warning in checked.warnings:
        say(f"warning: {warning}")
    faults = (*checked.faults, *check_activations(project))
    for fault in faults:
        say(f"cjkit: {fault}")
    return 1 if faults else 0


def _runs(given: argparse.Namespace) -> int:
    from cjkit.report.index import read_runs, report_home
    from cjkit.report.plan import counted

    home = report_home(read_given(given), given.output)
    latest = os.path.realpath(home / "latest")
    for run in read_runs(home):
        mark = "*" if latest == os.path.realpath(home / run["run"]) else " "
        ran = counted(len(run["notebooks"]), "notebook")
        print(f"{mark} {run['run']}  as of {run['as_of']}  {ran}  {run['seconds']:.0f} s")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C ends it: kernels are stopped, and what is half made is removed."""
    raise KeyboardInterrupt(number)


def _explain(error: OSError) -> str:
    """Say what the machine refused, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" while writing {error.filename}" if error.filename else ""
        return (
            f"the disk is full{where}; nothing half-made was left. Make room where reports are "
            "published (--output) and where state is kept ([state] dir of the project file)."
        )
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


if __name__ == "__main__":
    sys.exit(main())
