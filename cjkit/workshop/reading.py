"""Chapters and exercises as they stand in the notebooks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from cjkit.checks import CjkitError, unknown_name
from cjkit.labels import LANGUAGES, Language
from cjkit.report.plan import TASKS, kit_notebooks

OWN = Path(__file__).parent / "chapters"
MINUTES = 10


@dataclass(frozen=True)
class Exercise:
    """One question with its solution.

    Attributes
    ----------
    number : int
        From 1 within its chapter: what `check` is called with.
    solution : str
        The code that ends in `check(number, answer)`.
    title, story : mapping from language to str
        What the exercise is called, and what is told to who has solved it.
    hints : mapping from language to tuple of str
    """

    number: int
    solution: str
    title: Mapping[Language, str]
    story: Mapping[Language, str]
    hints: Mapping[Language, tuple[str, ...]]


@dataclass(frozen=True)
class Chapter:
    """A notebook that has exercises.

    Attributes
    ----------
    name : str
        That of the notebook, such as '03_funnel'.
    title, question : mapping from language to str
    position, minutes : int
        Its place in the course, and how long it takes.
    head : int
        The cells above the first section: on what they leave, every solution stands.
    notebook : NotebookNode
    exercises : tuple of Exercise
    """

    name: str
    title: Mapping[Language, str]
    question: Mapping[Language, str]
    position: int
    minutes: int
    head: int
    notebook: NotebookNode
    exercises: tuple[Exercise, ...]


def read_chapters() -> list[Chapter]:
    """Return the chapters in the order of the course: all notebooks that have exercises."""
    read = [_read(path) for path in _files().values()]
    return sorted((one for one in read if one.exercises), key=lambda one: one.position)


def read_chapter(name: str) -> Chapter:
    """Return the chapter of one notebook.

    Raises
    ------
    CjkitError
        When there is no such notebook, or an exercise of it lacks a part.
    """
    files = _files()
    if name not in files:
        raise unknown_name("chapter", name, files, where="the workshop")
    return _read(files[name])


def tags_of(cell: NotebookNode) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def _files() -> dict[str, Path]:
    return {path.stem: path for path in (*kit_notebooks(), *OWN.glob("*.ipynb"))}


def _read(path: Path) -> Chapter:
    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    about = notebook.metadata.get("cjkit", {})
    told = about.get("workshop", {})
    number = re.match(r"\d+", path.stem)
    sections = (i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## "))
    exercises = _exercises(path.stem, notebook.cells)
    return Chapter(
        name=path.stem,
        title=about.get("title", {}),
        question=about.get("question", {}),
        position=told.get("position", 10 * int(number[0]) if number else 0),
        minutes=told.get("minutes", MINUTES * len(exercises)),
        head=next(sections, len(notebook.cells)),
        notebook=notebook,
        exercises=exercises,
    )


def _exercises(name: str, cells: Sequence[NotebookNode]) -> tuple[Exercise, ...]:
    """Return the exercises of a notebook: each begins where an `exercise` follows a `solution`."""
    groups: list[list[NotebookNode]] = []
    is_answered = True
    for cell in cells:
        tags = tags_of(cell)
        if "instructor" in tags or not tags & TASKS or is_opening(cell):
            continue
        if not groups or ("exercise" in tags and is_answered):
            groups.append([])
        is_answered = "solution" in tags
        groups[-1].append(cell)
    return tuple(_exercise(name, *numbered) for numbered in enumerate(groups, start=1))


def _exercise(name: str, number: int, cells: Sequence[NotebookNode]) -> Exercise:
    code: dict[str, str] = {}
    prose: dict[str, dict[Language, str]] = {"exercise": {}, "hint": {}, "solution": {}}
    for cell in cells:
        tags = tags_of(cell)
        role = next(role for role in ("hint", "solution", "exercise") if role in tags)
        if cell.cell_type != "markdown":
            code[role] = cell.source
        else:
            prose[role] |= {one: cell.source for one in LANGUAGES if one in tags}
    lacks = [f"{role} in {one}" for role in prose for one in LANGUAGES if one not in prose[role]]
    for role in ("exercise", "solution"):
        if f"check({number}, " not in code.get(role, ""):
            lacks.append(f"code of the {role} with check({number}, ...)")
    if lacks:
        raise CjkitError(f"{name}: exercise {number} lacks its {', its '.join(lacks)}.")
    return Exercise(
        number=number,
        solution=code["solution"],
        title={one: _heading(words) for one, words in prose["exercise"].items()},
        story=prose["solution"],
        hints={one: tuple(_items(words)) for one, words in prose["hint"].items()},
    )


def _heading(prose: str) -> str:
    found = re.search(r"^### (.*)$", prose, re.MULTILINE)
    return found[1] if found else ""


def _items(prose: str) -> list[str]:
    """Return the items of a Markdown list."""
    return re.findall(r"^(?:\d+\.|[-*]) +(.*)$", prose, re.MULTILINE)


def is_opening(cell: NotebookNode) -> bool:
    """Whether a cell is the one that calls `begin`."""
    return tags_of(cell) >= TASKS
