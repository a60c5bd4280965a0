"""What a project would read, run and show, and everything that is wrong with it: nothing is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from cjkit import labels, sources
from cjkit.checks import CjkitError
from cjkit.cleansing.declared import declared_rules, filled_columns
from cjkit.labels import display_name, format_number
from cjkit.project import Project
from cjkit.report.plan import counted, notebook_files, plan_notebooks
from cjkit.segmentation import check_segments


@dataclass(frozen=True)
class Checked:
    """What a project file leads to.

    Attributes
    ----------
    lines : tuple of str
        What would be read and run.
    warnings : tuple of str
        What can be run as it is, but will not read well.
    faults : tuple of str
        What must be mended before anything can run.
    """

    lines: tuple[str, ...]
    warnings: tuple[str, ...]
    faults: tuple[str, ...]


def check_project(project: Project) -> Checked:
    """Look at the heads of input files, mappings, notebooks and display names: no data are read.

    Parameters
    ----------
    project : Project

    Returns
    -------
    Checked
    """
    faults: list[str] = []

    def attempt(look: Callable[[Project], Any]) -> Any:
        try:
            return look(project)
        except CjkitError as error:
            faults.append(str(error))
            return {}

    files = attempt(Project.input_files)
    mappings = attempt(sources.read_mappings)
    if mappings:
        attempt(partial(declared_rules, mappings=mappings))
        attempt(partial(check_segments, columns=filled_columns("customers", mappings)))
    if files and mappings:
        looks = sources.describe(project)
        faults += [problem for look in looks for problem in look.problems]
    notebooks = attempt(notebook_files)
    if notebooks:
        attempt(plan_notebooks)
    lines = []
    for name, paths in files.items():
        system = mappings[name].system if name in mappings else "no valid mapping"
        if (declared := project.sources[name]).url is not None:
            lines.append(f"{name:<20} {declared.place(name).as_posix():<23}  {system}")
            continue
        size = format_number(sum(path.stat().st_size for path in paths) / 1e6, "en", digits=1)
        count = counted(len(paths), "file")
        lines.append(f"{name:<20} {count:>9} {size:>10} MB  {system}")
    lines += [f"notebook {name}" for name in notebooks]
    lines += [f"left out {name}" for name in project.report.cannot]
    return Checked(tuple(lines), tuple(_unnamed(project)), tuple(faults))


def _funnel_names(project: Project) -> list[str]:
    """Return the names that the steps of the project's funnel have of their own."""
    steps = project.funnel.steps if project.funnel else ()
    return [name for step in steps for name in ([step.name] if step.name else step.event or ())]


def _unnamed(project: Project) -> Iterator[str]:
    """Say which events, touchpoints and stages of the project readers would see by their code."""
    labels.set_names(project.names)
    used = {
        "event": [*project.events, *_funnel_names(project)],
        "touchpoint": list(project.touchpoints),
        "stage": list(project.stages.order),
    }
    for kind, values in used.items():
        for value in dict.fromkeys(values):
            lacking = [
                language
                for language in project.project.languages
                if display_name(value, kind, language) == value
            ]
            if lacking:
                yield f"[names.{kind}.{value}] has no words in {' and '.join(lacking)}."
