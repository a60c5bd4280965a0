"""Pages: an executed notebook as one self-contained HTML page in each language.

The notebook ran once; a page keeps one language's prose and outputs. Nothing on a page asks the
network: styles, script and fonts stand in it, and its content security policy lets a browser run
the kit's one script (named by its hash) and nothing else, whatever the data holds.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache
from html import escape, unescape
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import nbconvert
from nbconvert.filters import Highlight2HTML
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from cjkit.labels import LANGUAGES, Language, format_number, label
from cjkit.report.cards import write_card
from cjkit.report.chapters import Chapter, Heading, Words
from cjkit.report.fonts import page_fonts
from cjkit.report.show import HEADLINE, style

TEMPLATES = Path(str(resources.files(__package__))) / "templates"
BRIEF_FINDINGS = 5
WIDGET = "application/vnd.jupyter.widget-view+json"
PAGE_WORDS = (
    *("skip", "code", "print", "print_summary", "contents", "overview", "in_brief", "parameters"),
    *(
        "image",
        "other_pages",
        "key_figures",
        "reports",
        "cannot",
        "past_runs",
        "this_run",
        "about_run",
    ),
)

Facts = list[tuple[str, str]]


@dataclass(frozen=True)
class Edition:
    """What every page of one run says about the run.

    Attributes
    ----------
    company : words
    languages : tuple of languages, the default first
    run : str
        The run's name, which is the name of its folder.
    made_at : datetime, in the project's time zone
    period, previous : words
        The days looked at, and those they are compared with.
    quality : words
        One line on the quality of the data.
    headings : tuple of Heading
        The notebooks of the run, in order.
    has_pdf : bool
        Whether each page is printed as PDF too, beside it.
    """

    company: Words
    languages: tuple[Language, ...]
    run: str
    made_at: datetime.datetime
    period: Words
    previous: Words
    quality: Words
    headings: tuple[Heading, ...]
    has_pdf: bool = False


def write_page(chapter: Chapter, edition: Edition, language: Language) -> str:
    """Return the page of a notebook in one language.

    The prose and outputs of other languages, warnings and interactive controls are left out;
    headline figures stand at the top.
    """
    notebook, lead = _one_language(chapter, language)
    heading = chapter.heading
    names = [other.name for other in edition.headings]
    place = names.index(heading.name)
    page = {
        **frame(edition, language, name=heading.name, title=heading.title[language]),
        "lead": lead,
        "has_code": True,
        "facts": facts(edition, language),
        "quality": edition.quality[language],
        "cards": [write_card(figure, language) for figure in chapter.headlines],
        "findings": shown_findings(chapter, language, most=BRIEF_FINDINGS),
        "parameters": list(chapter.shown_parameters.items()),
        "before": _link(edition, place - 1, language),
        "after": _link(edition, place + 1, language),
    }
    # Without the last step of HTMLExporter, which reads the page once more to name its images and
    # takes longer than all the rest: here the template names them.
    html, _ = nbconvert.TemplateExporter.from_notebook_node(
        _exporter(), notebook, resources={"cjkit": page}
    )
    return finish(html, language)


def frame(edition: Edition, language: Language, *, name: str, title: str) -> dict[str, Any]:
    """Return what the frame of a page needs: its head, its bar, its list of pages and its foot."""
    script = read_template("page.js")
    return {
        "name": name,
        "title": title,
        "language": language,
        "has_pdf": edition.has_pdf,
        "company": edition.company[language],
        "period": edition.period[language],
        "version": metadata.version("cjkit"),
        "policy": policy(script),
        "style": style() + read_template("page.css") + _highlighting(),
        "script": script,
        "words": {word: label(f"page_{word}", language) for word in PAGE_WORDS},
        "others": [
            {
                "language": other,
                "name": label("language_name", other),
                "href": f"../{other}/{name}.html",
            }
            for other in edition.languages
            if other != language
        ],
        "chapters": [_link(edition, place, language) for place in range(len(edition.headings))],
        "foot": label("page_foot", language, version=metadata.version("cjkit"), run=edition.run),
    }


def facts(edition: Edition, language: Language) -> Facts:
    """Return the period, what it is compared with, and when the page was made."""
    return [
        (label("period", language), edition.period[language]),
        (label("page_compared", language), edition.previous[language]),
        (label("page_made", language), f"{edition.made_at:%Y-%m-%d %H:%M %Z}"),
    ]


def shown_findings(chapter: Chapter, language: Language, *, most: int) -> list[dict[str, str]]:
    """Return the key points of a chapter and its first findings, with the ids of their results."""
    # Two pictures of one result say the same sentence.
    told = list(
        {
            finding.words[language]: finding
            for finding in reversed(chapter.findings)
            if language in finding.words
        }.values()
    )[::-1]
    chosen = sorted(told, key=lambda finding: not finding.is_key_point)[:most]
    return [
        {"key": finding.key, "words": finding.words[language]}
        for finding in told
        if finding in chosen
    ]


def say_in(words: Words, language: Language) -> str:
    """Return the words in a language, or in the one there is."""
    return words.get(language) or next(iter(words.values()), "")


def read_template(name: str) -> str:
    """Return the text of a file of the page's template."""
    return (TEMPLATES / "cjkit" / name).read_text(encoding="utf-8")


def policy(script: str) -> str:
    """Return the content security policy of a page that holds `script` and no other."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
    )


def finish(html: str, language: Language) -> str:
    """Give a page its table of contents and its fonts, which depend on all that it holds."""
    html, contents = _number_headings(html)
    html = html.replace("<!--contents-->", contents)
    return html.replace("/*fonts*/", page_fonts(html, language), 1)


@cache
def _exporter() -> nbconvert.HTMLExporter:
    return nbconvert.HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="cjkit",
        extra_template_basedirs=[str(TEMPLATES)],
        embed_images=False,
        filters={"highlight_code": Highlight2HTML(pygments_lexer="ipython3")},  # type: ignore[no-untyped-call]
    )


def _one_language(chapter: Chapter, language: Language) -> tuple[NotebookNode, str]:
    """Return the notebook with one language's cells and outputs, and its first prose apart."""
    files = {table.key: table.file for table in chapter.tables}
    others = set(LANGUAGES) - {language}
    lead = None
    sections: list[list[NotebookNode]] = [[]]
    emptied = [False]
    for cell in chapter.notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        if (tags & others and language not in tags) or "injected-parameters" in tags:
            continue
        if cell.cell_type == "markdown" and lead is None:
            lead = re.sub(r"\A\s*# .*\n?", "", cell.source)
            continue
        if cell.cell_type == "markdown" and cell.source.lstrip().startswith("#"):
            sections.append([])
            emptied.append(False)
        if cell.cell_type == "code":
            emptied[-1] |= any(HEADLINE in output.get("data", {}) for output in cell.outputs)
            kept = [
                _fit(output, files, language)
                for output in cell.outputs
                if _is_for(output, language)
            ]
            cell = copy(cell)
            cell["outputs"] = kept
        sections[-1].append(cell)
    # A section that only records headline figures says nothing here: they stand at the top.
    cells = [
        cell
        for section, is_emptied in zip(sections, emptied, strict=True)
        if not is_emptied or any(cell.get("outputs") for cell in section)
        for cell in section
    ]
    notebook = copy(chapter.notebook)
    notebook["cells"] = cells
    return notebook, lead or ""


def _is_for(output: NotebookNode, language: Language) -> bool:
    """Say whether an output belongs on the page of this language."""
    if output.output_type == "stream":
        return bool(output.name == "stdout")
    if HEADLINE in output.get("data", {}):
        return False
    return bool(output.get("metadata", {}).get("cjkit", {}).get("language", language) == language)


def _fit(output: NotebookNode, files: Mapping[str, str], language: Language) -> NotebookNode:
    """Put the link to its CSV file beside a table, and a note in place of a live control."""
    about = output.get("metadata", {}).get("cjkit")
    if about:
        file = escape(files.get(about["key"], ""))
        link = f'<a class="cj-download" href="../tables/{file}" download>CSV</a>' if file else ""
        html = output.data["text/html"].replace("<!--csv-->", link)
    elif WIDGET in output.get("data", {}):
        html = f'<p class="cj-nothing">{escape(label("page_live_only", language))}</p>'
    else:
        return output
    fit = copy(output)
    fit["data"] = {"text/html": html}
    return fit


def _link(edition: Edition, place: int, language: Language) -> dict[str, str] | None:
    """Return the name and title of the page at `place`, or None where there is no such page."""
    if not 0 <= place < len(edition.headings):
        return None
    heading = edition.headings[place]
    return {
        "name": heading.name,
        "number": format_number(place + 1, language),
        "title": heading.title[language],
        "question": heading.question[language],
    }


def _number_headings(html: str) -> tuple[str, str]:
    """Give the headings of the prose plain ids, and return the list that links to them."""
    items: list[str] = []

    def number(match: re.Match[str]) -> str:
        level, words = match[1], re.sub(r"<a class=\"anchor-link\".*?</a>", "", match[2])
        plain = re.sub("<[^>]+>", "", words)
        items.append(f'<li><a class="h{level}" href="#s{len(items) + 1}">{plain}</a></li>')
        return f'<h{level} id="s{len(items)}">{words}</h{level}>'

    # nbconvert writes what is not ASCII in headings as numbers.
    html = re.sub(r"&#\d{3,};", lambda written: unescape(written[0]), html)
    html = re.sub(r'<h([23]) id="[^"]*">(.*?)</h\1>', number, html, flags=re.DOTALL)
    return html, f'<ul class="contents">{"".join(items)}</ul>' if items else ""


@cache
def _highlighting() -> str:
    """Return the colours of code."""
    return str(HtmlFormatter(style="default").get_style_defs(".highlight"))
