"""What is new in a run against those before it, from their manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cjkit.labels import NO_VALUE, Language, label
from cjkit.privacy import min_cell
from cjkit.report.cards import write_figure

Manifest = Mapping[str, Any]

PAST_RUNS = 20


def list_changes(manifest: Manifest, before: Manifest, language: Language) -> list[dict[str, str]]:
    """Return the headline figures that read otherwise than in an earlier run.

    Only notebooks that ran both times with the same parameters are compared: another parameter is
    another question.

    Returns
    -------
    list of mappings
        `page` (the notebook), `figure`, `before` and `now`, as the reader sees them.
    """
    ran = {each["name"]: each for each in before["notebooks"]}
    found = []
    for notebook in manifest["notebooks"]:
        earlier = ran.get(notebook["name"])
        if earlier is None or _asked(earlier) != _asked(notebook):
            continue
        told = {figure["key"]: _write(figure, language) for figure in earlier["headlines"]}
        for figure in notebook["headlines"]:
            then, now = told.get(figure["key"], NO_VALUE), _write(figure, language)
            if then != now:
                name = label(figure["key"], language)
                found.append({"page": notebook["name"], "figure": name, "before": then, "now": now})
    return found


def other_parameters(manifest: Manifest, before: Manifest) -> list[str]:
    """Return the notebooks of a run that an earlier one ran with other parameters."""
    ran = {each["name"]: _asked(each) for each in before["notebooks"]}
    return [
        each["name"]
        for each in manifest["notebooks"]
        if ran.get(each["name"], _asked(each)) != _asked(each)
    ]


def compare_runs(
    manifest: Manifest, past: Sequence[Manifest], language: Language
) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the first headline figure of each notebook over the runs, this one first.

    Returns
    -------
    heads : list of str
        The names of the figures.
    runs : list of mappings
        `name` of the run, `when` it was made, `as_of`, and its `figures`; a missing one is a dash.
    """
    keys = [
        (notebook["name"], notebook["headlines"][0]["key"])
        for notebook in manifest["notebooks"]
        if notebook["headlines"]
    ]
    runs = [
        {
            "name": run["run"],
            "when": run["made_at"][:16].replace("T", " "),
            "as_of": run["as_of"],
            "figures": [
                next((_write(figure, language) for figure in _figures(run, *key)), NO_VALUE)
                for key in keys
            ],
        }
        for run in [manifest, *past[:PAST_RUNS]]
    ]
    return [label(key, language) for _, key in keys], runs


def _asked(notebook: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters that make a question: the day it is asked on is none of them."""
    return {name: value for name, value in notebook["parameters"].items() if name != "as_of"}


def _figures(run: Manifest, name: str, key: str) -> Iterator[Mapping[str, Any]]:
    for notebook in run["notebooks"]:
        if notebook["name"] == name:
            yield from (figure for figure in notebook["headlines"] if figure["key"] == key)


def _write(figure: Mapping[str, Any], language: Language) -> str:
    """Write a figure, hidden also where the project hides more today than it did then."""
    if figure["is_masked"] or (figure["n"] is not None and 0 < figure["n"] < min_cell()):
        return label("hidden", language)
    return write_figure(figure, language)
