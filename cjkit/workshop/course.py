"""Writing the course: learners' notebooks, solutions and instructor's notes, in every language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

import cjkit
from cjkit.checks import CjkitError
from cjkit.cleansing import prepare
from cjkit.labels import LANGUAGES, Language, label
from cjkit.project import read_project
from cjkit.report.plan import TASKS
from cjkit.synthetic import make_sample
from cjkit.workshop.reading import Chapter, is_opening, read_chapters, tags_of

CUSTOMERS = 3_000  # with far fewer, the stories drown in chance
BREAK = 15
SAMPLE = "data/sample"
PROJECT = Path(cjkit.__file__).parent.parent / SAMPLE / "journey.toml"


@dataclass(frozen=True)
class Course:
    """What `write_course` wrote.

    Attributes
    ----------
    folder : Path
    minutes : int
        How long the course takes, the break included.
    kept : tuple of Path
        Files that were there and differ from what would have been written: somebody's answers.
    """

    folder: Path
    minutes: int
    kept: tuple[Path, ...]


def write_course(folder: str | Path, *, say: Callable[[str], None] = print) -> Course:
    """Write the workshop below `folder`, with a small sample company that is ready to open.

    `en/` and `ja/` hold a notebook a chapter for learners, `solutions/` the same with solutions,
    `instructor/` the notes of whoever leads, `data/` the company, whose small groups are not
    hidden (`min_cell = 0`). A file that was changed since is kept; so is a company that is there.

    Parameters
    ----------
    folder : path
        Made where it does not exist.
    say : callable
        Told of progress.

    Raises
    ------
    CjkitError
        When an exercise lacks its parts, or the company cannot be made.
    """
    folder = Path(folder)
    chapters = read_chapters()
    kept = [path for path, text in _files(chapters) if not _write(folder / path, text)]
    company = folder / SAMPLE
    if not (company / "exports").is_dir():
        say("writing the sample company")
        make_sample(company, customers=CUSTOMERS)
    _write(company / "journey.toml", _project())
    say("preparing its log")
    prepare(read_project(company / "journey.toml"))
    return Course(folder, sum(one.minutes for one in chapters) + BREAK, tuple(kept))


def _write(path: Path, text: str) -> bool:
    """Write a file that is not there; return whether it holds `text` now."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8") == text


def _project() -> str:
    """Return the sample's project file for a workshop: nothing made up needs to be hidden."""
    text, found = re.subn(
        r"^min_cell = \d+", "min_cell = 0", PROJECT.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    if found != 1:
        raise CjkitError(f"{PROJECT} has no min_cell that a workshop could set to 0.")
    return text


def _files(chapters: Sequence[Chapter]) -> Iterator[tuple[Path, str]]:
    """Give every file of the course with its text."""
    for language in LANGUAGES:
        for number, chapter in enumerate(chapters):
            name = f"{number}_{chapter.name.lstrip('0123456789_')}.ipynb"
            for place, left_out in (("", "solution"), ("solutions", "exercise")):
                notebook = _notebook(chapter, language, left_out)
                text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
                yield Path(place, language, name), text + "\n"
        yield Path("instructor", f"{language}.md"), _notes(chapters, language)


def _notebook(chapter: Chapter, language: Language, left_out: str) -> NotebookNode:
    """Return a chapter in one language, without the code of `left_out`: tasks or solutions.

    What is told of a solution is told by its check.
    """
    cells = []
    for place, cell in enumerate(chapter.notebook.cells):
        tags = tags_of(cell)
        if place == chapter.head:
            cells.append(_opening(chapter, language))
        not_here = "solution" if cell.cell_type == "markdown" else left_out
        if is_opening(cell) or tags & {not_here, *LANGUAGES} - {language}:
            continue
        if place < chapter.head or "workshop" in tags or tags & TASKS:
            cells.append(_solution(cell) if cell.cell_type == "raw" else _folded(cell))
    notebook: NotebookNode = nbformat.v4.new_notebook(cells=cells)  # type: ignore[no-untyped-call]
    shown = {key: chapter.notebook.metadata[key] for key in ("kernelspec", "language_info")}
    notebook["metadata"] = shown | {"title": chapter.title[language]}
    return notebook


def _solution(cell: NotebookNode) -> NotebookNode:
    """Return the code cell of a solution, which the analysis keeps out of a run of all cells."""
    source, tags = cell.source, cell.metadata["tags"]
    made: NotebookNode = nbformat.v4.new_code_cell(source, id=cell.id)  # type: ignore[no-untyped-call]
    made["metadata"] = {"tags": tags}
    return made


def _folded(cell: NotebookNode) -> NotebookNode:
    """Return a cell, its code folded away where a report hides it."""
    if "hide-input" not in tags_of(cell):
        return cell
    folded = deepcopy(cell)
    folded["metadata"]["jupyter"] = {"source_hidden": True}
    return folded


def _opening(chapter: Chapter, language: Language) -> NotebookNode:
    source = (
        "from cjkit.workshop import begin\n\n"
        f'check = begin("{chapter.name}", globals(), language="{language}")'
    )
    cell: NotebookNode = nbformat.v4.new_code_cell(source, id="begin")  # type: ignore[no-untyped-call]
    cell["metadata"] = {"tags": ["hide-input"]}
    return _folded(cell)


def _notes(chapters: Sequence[Chapter], language: Language) -> str:
    """Write the instructor's notes: times, aims, hints, and what there is to find."""

    def word(term: str) -> str:
        return label(f"workshop_{term}", language)

    whole = sum(chapter.minutes for chapter in chapters)
    lines = [f"# {word('notes_title')}", "", word("notes_about"), ""]
    lines += [f"| {word('starts')} | {word('minutes')} | {word('chapter')} |", "|---|---|---|"]
    clock, is_fresh = 0, False
    for number, chapter in enumerate(chapters):
        if not is_fresh and clock >= whole / 2:
            lines.append(f"| {_clock(clock)} | {BREAK} | *{word('break')}* |")
            clock, is_fresh = clock + BREAK, True
        title = f"{number}. {chapter.title[language]}"
        lines.append(f"| {_clock(clock)} | {chapter.minutes} | {title} |")
        clock += chapter.minutes
    lines.append(f"| {_clock(clock)} | | {word('end')} |")
    for number, chapter in enumerate(chapters):
        lines += ["", f"## {number}. {chapter.title[language]}"]
        lines += ["", f"*{chapter.question[language]}*"]
        for cell in chapter.notebook.cells:
            if tags_of(cell) >= {"instructor", language}:
                lines += ["", cell.source]
        for exercise in chapter.exercises:
            lines += ["", f"### {exercise.title[language]}", ""]
            lines += [f"- {hint}" for hint in exercise.hints[language]]
            lines += ["", exercise.story[language], "", "```python", exercise.solution, "```"]
    return "\n".join(lines) + "\n"


def _clock(minutes: int) -> str:
    return f"{minutes // 60}:{minutes % 60:02}"
