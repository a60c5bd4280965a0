"""Chapters: what an executed notebook recorded, whatever the language of its page."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from cjkit.labels import LANGUAGES, Language
from cjkit.report.show import HEADLINE

Words = Mapping[Language, str]


@dataclass(frozen=True)
class Heading:
    """How a notebook is called: its file's name, its title and the question that it answers."""

    name: str
    title: Words
    question: Words


@dataclass(frozen=True)
class Finding:
    """A sentence that a result said of itself, and the id of the result on the page."""

    key: str
    words: Words
    is_key_point: bool


@dataclass(frozen=True)
class ShownTable:
    """A table that a notebook showed: the id of its result, its file's name, and its CSV."""

    key: str
    file: str
    csv: str

    @property
    def rows(self) -> int:
        """How many rows it has, the head not counted."""
        return sum(1 for _ in csv.reader(io.StringIO(self.csv))) - 1


@dataclass(frozen=True)
class Chapter:
    """An executed notebook and what it recorded, whatever the language of the page."""

    heading: Heading
    notebook: NotebookNode
    parameters: Mapping[str, Any]
    seconds: float
    headlines: tuple[Mapping[str, Any], ...]
    findings: tuple[Finding, ...]
    tables: tuple[ShownTable, ...]

    @property
    def shown_parameters(self) -> dict[str, str]:
        """The parameters as text; of a path that depends on the machine the name alone."""
        return {name: _shown(value) for name, value in self.parameters.items()}


def read_heading(name: str, notebook: NotebookNode | None) -> Heading:
    """Return the title and question in a notebook's metadata; without them, its name."""
    about = notebook.metadata.get("cjkit", {}) if notebook else {}
    title = about.get("title", {})
    question = about.get("question", {})
    return Heading(
        name=name,
        title={language: title.get(language, name) for language in LANGUAGES},
        question={language: question.get(language, "") for language in LANGUAGES},
    )


def read_chapter(
    heading: Heading,
    notebook: NotebookNode,
    parameters: Mapping[str, Any],
    seconds: float,
    targets: Mapping[str, float],
) -> Chapter:
    """Collect what an executed notebook recorded: headline figures, findings and tables."""
    outputs = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output
    ]
    sentences: dict[str, dict[Language, str]] = {}
    key_points: set[str] = set()
    tables: list[ShownTable] = []
    for output in outputs:
        about = output.metadata.get("cjkit", {})
        if about.get("finding"):
            sentences.setdefault(about["key"], {})[about["language"]] = about["finding"]
            if about.get("key_point"):
                key_points.add(about["key"])
        if "text/csv" in output.data:
            file = f"{heading.name}-{len(tables) + 1}-{about['name']}.csv"
            tables.append(ShownTable(key=about["key"], file=file, csv=output.data["text/csv"]))
    return Chapter(
        heading=heading,
        notebook=notebook,
        parameters=parameters,
        seconds=seconds,
        headlines=tuple(
            {**figure, "target": targets.get(figure["key"])}
            for output in outputs
            if (figure := output.data.get(HEADLINE))
        ),
        findings=tuple(Finding(key, words, key in key_points) for key, words in sentences.items()),
        tables=tuple(tables),
    )


def _shown(value: Any) -> str:
    """Write a parameter; of a path that depends on the machine only the name is shown."""
    text = str(value)
    return Path(text).name if Path(text).is_absolute() else text
