"""Showing results: what was found in a sentence, the picture, the table and the SQL behind them.

A notebook ends each section in one `show(result)`. One execution serves all languages of the run:
each gets an output of its own, whose metadata says which language it is in. All that comes from
data is escaped, and small cells are masked before anything is written.
"""

from __future__ import annotations

import dataclasses
import io
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from itertools import count
from typing import Any, Literal

import pandas as pd
from matplotlib import pyplot as plt

from cjkit.checks import one_of
from cjkit.labels import LANGUAGES, Language, format_number, label, languages
from cjkit.plots.theme import lay_out, theme
from cjkit.privacy import mask, min_cell
from cjkit.report.cards import write_card
from cjkit.report.tables import SHOWN_ROWS, write_table
from cjkit.spreadsheets import neutral

HEADLINE = "application/vnd.cjkit.headline+json"
KINDS = ("rate", "money", "count", "number", "days")
OPEN_ROWS = 12

Title = str | Mapping[Language, str]

_numbers = count(1)


def show(
    result: Any,
    *,
    table: bool = True,
    picture: bool = True,
    title: Title | None = None,
    key_point: bool = False,
) -> None:
    """Show a result in the notebook: one output for each language of the run.

    In JupyterLab only the first language is shown; in a run of the report, all of them.

    Parameters
    ----------
    result : a result of an analysis, or a DataFrame
        Figures about fewer people than the project's `min_cell` are masked.
    table, picture : bool
        False leaves that part out.
    title : str or mapping from language to str, optional
        Words above the result: a term of `labels`, or the words in each language.
    key_point : bool, default False
        True where the head of the page, which has room for a few findings, must have this one.
    """
    from IPython.display import display

    masked = mask(result)
    name, key = _name(result), new_key()
    for place, language in enumerate(_shown_languages()):
        html = _render(result, masked, language, key, table, picture, title)
        finding = _finding(masked, language)
        bundle = {"text/html": html, "text/plain": finding or name}
        rows = _table(masked)
        if not _is_report():
            bundle["text/html"] = f"<style>{style()}</style>{html}"
        elif place == 0 and table and rows is not None and not rows.empty:
            bundle["text/csv"] = write_csv(_with_types_of(rows, _table(result)))
        about: dict[str, Any] = {"language": language, "name": name, "key": key}
        about["finding"] = finding
        if key_point:
            about["key_point"] = True
        display(bundle, raw=True, metadata={"cjkit": about})  # type: ignore[no-untyped-call]


def render(
    result: Any,
    language: Language,
    *,
    key: str = "r0",
    table: bool = True,
    picture: bool = True,
    title: Title | None = None,
) -> str:
    """Return a result as one HTML section in one language, masked and escaped.

    Parameters
    ----------
    result, table, picture, title
        As for `show`.
    language : {'en', 'ja'}
    key : str
        The id of the section, which starts every id in it.
    """
    return _render(result, mask(result), language, key, table, picture, title)


def _render(
    result: Any,
    masked: Any,
    language: Language,
    key: str,
    table: bool,
    picture: bool,
    title: Title | None,
) -> str:
    """Write what `masked` holds; `result` only says which of its cells are hidden."""
    rows, finding = _table(masked), _finding(masked, language)
    parts = []
    if title is not None:
        words = label(title, language) if isinstance(title, str) else title[language]
        parts.append(f'<h3 class="cj-title">{escape(words)}</h3>')
    if finding:
        parts.append(f'<p class="cj-finding">{escape(finding)}</p>')
    if rows is not None and rows.empty:
        parts.append(f'<p class="cj-nothing">{escape(label("nothing_here", language))}</p>')
    else:
        drawn = _picture(masked, language, key, finding or _name(result)) if picture else ""
        parts.append(drawn)
        if table and rows is not None:
            parts.append(_folded_table(result, rows, language, key, is_second=bool(drawn)))
    parts.append(_statements(getattr(result, "sql", ()), language))
    return f'<section class="cj-result" id="{key}" lang="{language}">{"".join(parts)}</section>'


def show_at_the_end_of_a_cell() -> None:
    """Let a result that ends a cell of a notebook show itself, as `show` would.

    Results stand below this room and know nothing of pages, so they are given their
    `_repr_html_` here: all dataclasses with a `table` in the modules that are loaded.
    """
    modules = [module for name, module in sys.modules.items() if name.startswith("cjkit.")]
    for kind in {value for module in modules for value in vars(module).values() if _is_kind(value)}:
        kind._repr_html_ = _repr_html


def _is_kind(value: object) -> bool:
    """Say whether `value` is a class of results."""
    return (
        isinstance(value, type)
        and dataclasses.is_dataclass(value)
        and "table" in {field.name for field in dataclasses.fields(value)}
    )


def _repr_html(result: Any) -> str:
    section = render(result, languages()[0], key=new_key())
    return f"<style>{style()}</style>{section}"


def headline(
    key: str,
    value: float | None,
    *,
    low: float | None = None,
    high: float | None = None,
    n: int | None = None,
    previous: float | None = None,
    kind: Literal["rate", "money", "count", "number", "days"] = "number",
    better: Literal["up", "down"] | None = None,
    note: Title | None = None,
) -> None:
    """Record a headline figure: a card on the page and the index, a line in the manifest.

    Parameters
    ----------
    key : str
        The term of `labels` that names the figure.
    value, low, high : float
        The figure and its 95% interval; a missing one is written as a dash.
    n : int, optional
        How many customers, orders or answers stand behind it. Below the project's `min_cell`
        the figure is masked; and so it is where `n`, or the value of `n` people, is missing, as in
        a masked result: take the figures from `privacy.mask(result)`.
    previous : float, optional
        The figure of the period that this one is compared with.
    kind : {'rate', 'money', 'count', 'number', 'days'}
    better : {'up', 'down'}, optional
        Which direction is good news; without it a change has no colour, nor has one that the
        interval lets chance explain.
    note : str or mapping from language to str, optional
        A few words under the figure.

    Raises
    ------
    CjkitError
        When `kind` or `better` is none of these.
    """
    from IPython.display import display

    one_of("kind", kind, KINDS)
    if better is not None:
        one_of("better", better, ("up", "down"))
    figures = {"value": value, "low": low, "high": high, "n": n, "previous": previous}
    plain = {name: _plain(figure) for name, figure in figures.items()}
    is_masked = n is not None and _is_hidden(plain["value"], plain["n"])
    if kind == "count" and n is not None and 0 < (plain["previous"] or 0) < min_cell():
        plain["previous"] = None
    about = {
        "key": key,
        "kind": kind,
        "better": better,
        "note": note if note is None or isinstance(note, str) else dict(note),
        "is_masked": is_masked,
        **(dict.fromkeys(figures) if is_masked else plain),
    }
    bundle = {HEADLINE: about, "text/plain": f"{key}: {about['value']}"}
    if not _is_report():
        bundle["text/html"] = f"<style>{style()}</style>{write_card(about, languages()[0])}"
    display(bundle, raw=True)  # type: ignore[no-untyped-call]


def _is_hidden(value: float | None, n: float | None) -> bool:
    """Say whether a figure about `n` people is masked, or comes from a masked result."""
    if n is None:
        return True
    return 0 < n < min_cell() or (value is None and n > 0 and min_cell() > 1)


def write_csv(table: pd.DataFrame) -> str:
    """Write a table as CSV that a spreadsheet opens as data, never as a formula.

    See `cjkit.spreadsheets`.
    """
    safe = table.copy()
    for name in safe:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = [neutral(cell) if isinstance(cell, str) else cell for cell in safe[name]]
    return str(safe.to_csv(index=False, lineterminator="\r\n"))


def style() -> str:
    """Return the style sheet of results, which a notebook and a page share."""
    return resources.files(__package__).joinpath("templates/result.css").read_text("utf-8")


def new_key() -> str:
    """Return an id for the section of a result that no other section of the page has.

    JupyterLab holds all open notebooks in one page, so that there it names the kernel too.
    """
    number = next(_numbers)
    return f"r{number}" if _is_report() else f"r{os.getpid()}-{number}"


def _is_report() -> bool:
    return os.environ.get("CJKIT_REPORT") == "1"


def _shown_languages() -> tuple[Language, ...]:
    """Return the languages of the run: all of a report, the first one in JupyterLab."""
    if not _is_report():
        return languages()[:1]
    named = os.environ.get("CJKIT_LANGUAGES", "").split(",")
    return tuple(language for language in LANGUAGES if language in named) or languages()


def _name(result: Any) -> str:
    """Return the name of a result's class in snake_case, or 'table' for a DataFrame."""
    if isinstance(result, pd.DataFrame):
        return "table"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(result).__name__).lower()


def _table(result: Any) -> pd.DataFrame | None:
    found = result if isinstance(result, pd.DataFrame) else getattr(result, "table", None)
    return found if isinstance(found, pd.DataFrame) else None


def _with_types_of(masked: pd.DataFrame, exact: pd.DataFrame | None) -> pd.DataFrame:
    """Return a masked table with its counts as whole numbers again."""
    kinds = {
        name: "Int64"
        for name in masked
        if exact is not None and pd.api.types.is_integer_dtype(exact[name])
    }
    return masked.astype(kinds)


def _finding(result: Any, language: Language) -> str:
    return str(result.finding(language)) if hasattr(result, "finding") else ""


def _picture(result: Any, language: Language, key: str, alt: str) -> str:
    """Return the picture of a result: its own HTML, or its Axes as SVG whose text stays text."""
    if isinstance(result, pd.DataFrame):
        return ""
    if hasattr(result, "to_html"):
        return f'<div class="cj-picture cj-html">{result.to_html(language)}</div>'
    if not hasattr(result, "plot"):
        return ""
    with theme(language):
        figure = result.plot(language=language).figure
        lay_out(figure)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None})
        plt.close(figure)
    return f'<div class="cj-picture">{_inline_svg(drawn.getvalue(), key, alt)}</div>'


def _inline_svg(svg: str, key: str, alt: str) -> str:
    """Make a drawing of matplotlib fit to stand in a page beside others."""
    svg = svg[svg.index("<svg") :]
    # Its metadata tell of nothing, and its style sheet would reach the whole page.
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: f' id="{key}-{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", svg)
    width = re.search(r'width="([\d.]+)pt"', svg)
    points = float(width[1]) if width else 648.0
    size = f'style="max-width:{points * 4 / 3:.0f}px" role="img" aria-label="{escape(alt)}"'
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', lambda _: size, svg, count=1)
    svg = re.sub(r' transform="rotate\(-0 [^)]*\)"', "", svg)
    return re.sub(r"\n\s*", "\n", svg)


def _folded_table(
    result: Any, rows: pd.DataFrame, language: Language, key: str, *, is_second: bool
) -> str:
    """Put a table behind a click where a picture says it first, or where it is long."""
    exact = _table(result)
    hidden = rows.isna() & ~exact.isna() if exact is not None else None
    heads = result.heads(language) if hasattr(result, "heads") else None
    written = write_table(
        rows,
        language,
        prefix=f"{key}-c",
        formats=getattr(result, "formats", None),
        heads=heads,
        hidden=hidden,
    )
    words = label("table_rows", language, rows=format_number(len(rows), language))
    if len(rows) > SHOWN_ROWS:
        words += label("first_rows", language, rows=SHOWN_ROWS)
    is_open = "" if is_second or len(rows) > OPEN_ROWS else " open"
    note = ""
    if hidden is not None and hidden.to_numpy().any():
        why = label("hidden_why", language, people=min_cell())
        note = f'<p class="cj-range">{escape(why)}</p>'
    return (
        f'<!--csv--><details class="cj-table"{is_open}><summary>{escape(words)}</summary>'
        f'<div class="cj-scroll" tabindex="0">{written}</div>{note}</details>'
    )


def _statements(statements: Sequence[str], language: Language) -> str:
    """Return the SQL that made a result, behind a click."""
    if not statements:
        return ""
    code = ";\n\n".join(_dedent(statement) for statement in statements)
    return (
        f'<details class="cj-sql"><summary>{escape(label("sql_behind", language))}</summary>'
        f'<pre tabindex="0"><code>{escape(code)}</code></pre></details>'
    )


def _dedent(statement: str) -> str:
    """Take away the indentation that a statement has from the code that made it."""
    lines = [line.rstrip() for line in statement.strip().splitlines() if line.strip()]
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:]), default=0)
    return "\n".join([*lines[:1], *(line[margin:] for line in lines[1:])])


def _plain(figure: Any) -> float | None:
    """Return a number that JSON knows, or None for a missing one."""
    if figure is None or figure is pd.NA or not math.isfinite(figure):
        return None
    number: float = figure.item() if hasattr(figure, "item") else figure
    return number
