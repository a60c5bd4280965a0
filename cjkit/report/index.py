"""The front of a report: its overview in each language, and the way to the last one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from cjkit.labels import Language, join_sentences, label
from cjkit.project import Project
from cjkit.report.cards import write_card, write_line
from cjkit.report.changes import Manifest, compare_runs, list_changes, other_parameters
from cjkit.report.chapters import Chapter, Heading, Words
from cjkit.report.export import (
    TEMPLATES,
    Edition,
    Facts,
    facts,
    finish,
    frame,
    policy,
    read_template,
    say_in,
    shown_findings,
)

CARD_FINDINGS = 2


def write_home(
    chapters: Sequence[Chapter],
    edition: Edition,
    language: Language,
    *,
    cannot: Sequence[tuple[Heading, Words]],
    manifest: Manifest,
    past: Sequence[Manifest],
) -> str:
    """Return the overview: headline figures, what changed, every report, and the runs before.

    Parameters
    ----------
    chapters : sequence of Chapter, in order
    edition : Edition
    language : {'en', 'ja'}
    cannot : sequence of Heading and words
        The notebooks that this project's data cannot answer, and why.
    manifest : mapping
        Of this run: what it was made of stands at the foot.
    past : sequence of mappings
        The manifests of earlier runs, the latest first.
    """
    page = frame(edition, language, name="index", title=label("page_title", language))
    for link, chapter in zip(page["chapters"], chapters, strict=True):
        link["figures"] = [write_line(figure, language) for figure in chapter.headlines[1:]]
        link["findings"] = shown_findings(chapter, language, most=CARD_FINDINGS)
    figure_names, runs = compare_runs(manifest, past, language)
    page |= {
        "has_code": False,
        "facts": facts(edition, language),
        "quality": edition.quality[language],
        "cards": [write_card(c.headlines[0], language) for c in chapters if c.headlines],
        "cannot": [
            {
                "title": heading.title[language],
                "question": heading.question[language],
                "reason": say_in(reason, language),
            }
            for heading, reason in cannot
        ],
        "changed": _changed(manifest, past, language),
        "run_heads": [label("page_made", language), label("as_of", language), *figure_names],
        "runs": runs if past else [],
        "about": _about(manifest, language),
    }
    html = _environment().get_template("home.html.j2").render(page=page)
    return finish(html, language)


def write_chooser(edition: Edition) -> str:
    """Return the page that leads to the reader's language, and offers all."""
    script = read_template("choose.js")
    first = edition.languages[0]
    return (
        _environment()
        .get_template("choose.html.j2")
        .render(
            title=edition.company[first],
            languages=[
                {"code": language, "name": label("language_name", language)}
                for language in edition.languages
            ],
            policy=policy(script),
            script=script,
        )
    )


def report_home(project: Project, output: str | Path | None = None) -> Path:
    """Return the folder of a project's runs: below `output`, else below `[report] dir`."""
    return Path(output or project.report.dir) / project.project.id


def point_latest(home: Path, run: str) -> None:
    """Make `home/latest` lead to a run: a link, or where there are none, a page that forwards."""
    latest, fresh = home / "latest", home / f".latest-{os.getpid()}"
    try:
        fresh.symlink_to(run, target_is_directory=True)
        if latest.is_dir() and not latest.is_symlink():
            shutil.rmtree(latest)
        fresh.replace(latest)
    except OSError:
        fresh.unlink(missing_ok=True)
        latest.mkdir(exist_ok=True)
        target = f"../{run}/index.html"
        forward = f'<!DOCTYPE html><meta http-equiv="refresh" content="0; url={target}">'
        (latest / "index.html").write_text(f'{forward}<a href="{target}">{run}</a>', "utf-8")


def read_runs(home: Path) -> list[dict[str, Any]]:
    """Return the manifests of the runs published below `home`, the latest first."""
    found = []
    for path in home.glob("*/manifest.json"):
        if not path.parent.is_symlink():
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return sorted(found, key=lambda manifest: str(manifest["run"]), reverse=True)


def _changed(
    manifest: Manifest, past: Sequence[Manifest], language: Language
) -> dict[str, Any] | None:
    """Return what reads otherwise than in the last run, in words; None where this is the first."""
    if not past:
        return None
    last = past[0]
    days = {"then": last["as_of"], "now": manifest["as_of"]}
    data = "same" if last["data"]["fingerprint"] == manifest["data"]["fingerprint"] else "new"
    if days["then"] != days["now"]:
        data = "day"
    titles = {each["name"]: each["title"][language] for each in manifest["notebooks"]}
    others = [titles[name] for name in other_parameters(manifest, last)]
    figures = list_changes(manifest, last, language)
    notes = [label(f"changed_data_{data}", language, **days)]
    if not figures:
        notes.append(label("changed_nothing", language))
    if others:
        notes.append(label("changed_parameters", language, pages=", ".join(others)))
    return {
        "since": label("changed_since", language, when=last["made_at"][:16].replace("T", " ")),
        "notes": join_sentences(notes, language),
        "heads": [label(f"changed_{word}", language) for word in ("figure", "before", "now")],
        "figures": figures,
    }


def _about(manifest: Manifest, language: Language) -> Facts:
    """Return what a run was made of, for the foot of the overview."""
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    return [
        (label("run_name", language), manifest["run"]),
        (label("as_of", language), manifest["as_of"]),
        (label("run_data", language), manifest["data"]["fingerprint"][:16]),
        (label("run_seconds", language), f"{manifest['seconds']:.0f}"),
        (label("run_versions", language), versions),
    ]


def _environment() -> Environment:
    """Return the reader of templates, in which each value is escaped where it stands."""
    return Environment(loader=FileSystemLoader(TEMPLATES / "cjkit"), autoescape=False)
