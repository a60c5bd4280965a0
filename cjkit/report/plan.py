"""What will run: which notebooks, in which order, with which parameters. All checked beforehand."""

from __future__ import annotations

import ast
import datetime
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbformat import NotebookNode

import cjkit
from cjkit.checks import CjkitError, unknown_name
from cjkit.labels import label
from cjkit.project import Project
from cjkit.report.chapters import Heading, Words, read_heading

TASKS = {"exercise", "solution"}
GIVEN_ELSEWHERE = {"project": "the first argument", "as_of": "--as-of"}
TYPES: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "list": list,
    "dict": dict,
}


@dataclass(frozen=True)
class Planned:
    """A notebook that will run.

    Attributes
    ----------
    heading : Heading
    notebook : NotebookNode
        Without the cells that only a person at it uses.
    needs : tuple of str
        The notebooks that must be done before.
    parameters : mapping
        The full set: the notebook's defaults, and what was set.
    """

    heading: Heading
    notebook: NotebookNode
    needs: tuple[str, ...]
    parameters: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The notebook's name, which is that of its pages."""
        return self.heading.name


def plan_notebooks(
    project: Project,
    only: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    as_of: datetime.date | None = None,
) -> list[Planned]:
    """Choose the notebooks of a run with those they need, and fill in their parameters.

    Parameters
    ----------
    project : Project
    only : sequence of str
        These notebooks; all of the project where empty.
    settings : mapping from parameter to text, optional
        Values given by the user; `NAME.PARAMETER` is for one notebook alone.
    as_of : date, optional
        What the notebooks' parameter of that name becomes.

    Returns
    -------
    list of Planned
        In the order of the project file, but each after those that it needs.

    Raises
    ------
    CjkitError
        When a notebook, a parameter, a need or the figure of a target is unknown, a value has the
        wrong type, or notebooks need each other in a circle.
    """
    files = notebook_files(project)
    for name in only:
        if name in project.report.cannot:
            reason = project.report.cannot[name].get("en", "")
            raise CjkitError(f"{name} cannot run on this project: {reason}")
        if name not in files:
            raise unknown_name("notebook", name, files, where="this project's report")
    read = {name: _read_notebook(path) for name, path in files.items()}
    _check_targets(project, read.values())
    needs = {
        name: tuple(notebook.metadata.get("cjkit", {}).get("needs", []))
        for name, notebook in read.items()
    }
    order = _order(only or list(files), needs)
    declared = {name: papermill.inspect_notebook(str(files[name])) for name in order}
    parameters = _parameters(declared, settings or {})
    run = {"project": _from_here(project.path), "as_of": as_of.isoformat() if as_of else ""}
    for values in parameters.values():
        values |= {name: value for name, value in run.items() if name in values}
    return [
        Planned(
            heading=read_heading(name, read[name]),
            notebook=_runnable(read[name]),
            needs=needs[name],
            parameters=parameters[name],
        )
        for name in order
    ]


def _check_targets(project: Project, notebooks: Iterable[NotebookNode]) -> None:
    """Raise CjkitError where a target is for a figure that no notebook of the project records."""
    named = {
        name
        for notebook in notebooks
        for cell in notebook.cells
        if cell.cell_type == "code" and "headline(" in cell.source
        for name in re.findall(r'"(\w+)"', cell.source)
    }
    for key in project.report.targets:
        if key not in named:
            figures = {name for name in named if label(name, "en") != name}
            raise unknown_name("report.targets", key, figures, where="the headline figures")


def unanswered(project: Project) -> list[tuple[Heading, Words]]:
    """Return the notebooks that a project's data cannot answer, each with the reason."""
    kit = {path.stem: path for path in kit_notebooks()}
    return [
        (read_heading(name, _read_notebook(kit[name]) if name in kit else None), reason)
        for name, reason in project.report.cannot.items()
    ]


def counted(number: int, thing: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> counted(1, "notebook"), counted(6, "notebook")
    ('1 notebook', '6 notebooks')
    """
    return f"{number} {thing}{'' if number == 1 else 's'}"


def notebook_files(project: Project) -> dict[str, Path]:
    """Return the files of a project's notebooks by name: the kit's, and its own './path.ipynb'.

    Where `[report] notebooks` names none, they are all of the kit but those that cannot answer.
    """
    kit = {path.stem: path for path in sorted(kit_notebooks())}
    if not project.report.notebooks:
        return {name: path for name, path in kit.items() if name not in project.report.cannot}
    files = {}
    for name in project.report.notebooks:
        own = project.folder / name
        if name.startswith("./") and not own.is_file():
            raise CjkitError(f"report.notebooks: there is no notebook {name!r}.")
        if not name.startswith("./") and name not in kit:
            raise unknown_name("report.notebooks:", name, kit, where="the folder notebooks/")
        path = own if name.startswith("./") else kit[name]
        files[path.stem] = path
    return files


def kit_notebooks() -> Iterable[Path]:
    """Return the notebooks that come with the kit: beside it, or in the working folder."""
    for folder in (Path(cjkit.__file__).parent.parent / "notebooks", Path("notebooks")):
        if folder.is_dir():
            return folder.glob("*.ipynb")
    return ()


def _read_notebook(path: Path) -> NotebookNode:
    """Read a notebook; a file that is none is named."""
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        raise CjkitError(f"{path.name} is no notebook: {reason}") from error
    return notebook


def _order(names: Collection[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return `names` and all they need in the order of `needs`, but each after what it needs."""
    ordered: list[str] = []

    def visit(name: str, above: list[str]) -> None:
        if name in above:
            circle = " → ".join([*above[above.index(name) :], name])
            raise CjkitError(f"These notebooks need each other in a circle: {circle}.")
        for needed in needs[name]:
            if needed not in needs:
                raise CjkitError(f"{name} needs {needed!r}, which the project's report leaves out.")
            visit(needed, [*above, name])
        if name not in ordered:
            ordered.append(name)

    for name in needs:
        if name in names:
            visit(name, [])
    return ordered


def _parameters(
    declared: Mapping[str, Mapping[str, Mapping[str, str]]], settings: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Return the full set of parameters of each notebook: its defaults, and what was set."""
    filled = {
        name: {key: ast.literal_eval(about["default"]) for key, about in known.items()}
        for name, known in declared.items()
    }
    for setting, text in settings.items():
        notebook, _, key = setting.rpartition(".")
        if key in GIVEN_ELSEWHERE:
            raise CjkitError(f"--set {setting}: this is given as {GIVEN_ELSEWHERE[key]}.")
        if notebook and notebook not in declared:
            raise unknown_name("--set: notebook", notebook, declared, where="this run")
        asked = [notebook] if notebook else list(declared)
        holders = [name for name in asked if key in declared[name]]
        if not holders:
            known = {key for name in asked for key in declared[name]} - set(GIVEN_ELSEWHERE)
            raise unknown_name("parameter", key, known, where=" or ".join(asked))
        for name in holders:
            filled[name][key] = _parse(setting, text, declared[name][key]["inferred_type_name"])
    return filled


def _parse(setting: str, text: str, annotation: str) -> Any:
    """Read the value of a setting as the type that the notebook declares.

    Texts need no quotes, and a list may be written with commas alone.

    Examples
    --------
    >>> _parse("steps", "view, cart", "list")
    ['view', 'cart']
    >>> _parse("top", "ten", "int")
    Traceback (most recent call last):
    cjkit.checks.CjkitError: --set top='ten': this must be of type int.
    """
    kind = annotation.split("[")[0].strip()
    if kind == "str":
        return text
    if kind == "bool" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind == "list" and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    fault = CjkitError(f"--set {setting}={text!r}: this must be of type {kind}.")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise fault from error
    if not isinstance(value, TYPES.get(kind, object)) or (kind != "bool" and value is True):
        raise fault
    return value


def _from_here(path: Path) -> str:
    """Return the path from the working folder where it is below that, else the whole path."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _runnable(notebook: NotebookNode) -> NotebookNode:
    """Return the notebook without what only a person at it uses, its code cells numbered."""
    cells: list[NotebookNode] = []
    number = 0
    is_tasks = False
    for cell in notebook.cells:
        number += cell.cell_type == "code"
        tags = set(cell.metadata.get("tags", []))
        # Prose that sets a task bears its tag itself, or stands untagged right above its code.
        if tags & TASKS and not is_tasks and cell.cell_type == "code" and not tags >= TASKS:
            _drop_heading(cells)
        is_tasks = bool(tags & TASKS)
        if tags & (TASKS | {"interactive"}):
            continue
        if cell.cell_type == "code":
            cell["outputs"] = []
            cell.metadata["cjkit"] = {"cell": number}
        cells.append(cell)
    runnable = copy(notebook)
    runnable["cells"] = cells
    return runnable


def _drop_heading(cells: list[NotebookNode]) -> None:
    """Drop the last heading of `cells` in each language with the prose after it: it sets a task."""
    start, seen = len(cells), set()
    for place in range(len(cells) - 1, -1, -1):
        cell = cells[place]
        if cell.cell_type != "markdown":
            break
        if cell.source.lstrip().startswith("#"):
            language = tuple(cell.metadata.get("tags", []))
            if language in seen:
                break
            seen.add(language)
            start = place
    del cells[start:]
