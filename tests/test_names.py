"""Display names: complete in both languages for the sample company and the recipes."""

import json
from pathlib import Path

import pytest

from cjkit.labels import terms
from cjkit.project import read_project

ROOT = Path(__file__).parent.parent
PROJECTS = [ROOT / "data" / "sample" / "journey.toml", *sorted(ROOT.glob("data/recipes/*.toml"))]


def has_name(project, kind, value):
    own = project.names.get(kind, {}).get(value, {})
    return {"en", "ja"} <= set(own) or f"{kind}.{value}" in terms()


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.stem)
def test_whatever_a_project_names_reads_well_in_both_languages(path):
    project = read_project(path)
    places = [*project.events.values()]
    named = {
        "event": set(project.events),
        "touchpoint": set(project.touchpoints),
        "stage": set(project.stages.order),
        "channel": {place.channel for place in places if place.channel},
        "source": set(project.sources),
        "namespace": set(project.identity),
    }
    missing = [
        f"names.{kind}.{value}"
        for kind, values in named.items()
        for value in sorted(values)
        if not has_name(project, kind, value)
    ]
    assert not missing


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.stem)
def test_a_project_names_nothing_that_it_lacks(path):
    project = read_project(path)
    known = {
        "event": {*project.events, "purchase", "return"},
        "touchpoint": set(project.touchpoints),
        "source": set(project.sources),
    }
    strange = [
        f"names.{kind}.{value}"
        for kind, values in known.items()
        for value in project.names.get(kind, {})
        if value not in values
    ]
    assert not strange


NOTEBOOKS = [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("cjkit/workshop/chapters/*.ipynb")]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS), ids=lambda path: path.stem)
def test_a_notebook_keeps_the_house_rules(path):
    """Few short cells, prose in both languages, no outputs, no absolute path."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    about = notebook["metadata"]["cjkit"]
    assert set(about["title"]) == set(about["question"]) == {"en", "ja"}
    cells = notebook["cells"]
    tags = [set(cell["metadata"].get("tags", [])) for cell in cells]
    prose = [tag for cell, tag in zip(cells, tags, strict=True) if cell["cell_type"] == "markdown"]
    assert sum("en" in tag for tag in prose) == sum("ja" in tag for tag in prose) > 0
    code = [
        (cell, tag) for cell, tag in zip(cells, tags, strict=True) if cell["cell_type"] == "code"
    ]
    sizes = sorted(len("".join(cell["source"]).splitlines()) for cell, _ in code)
    assert len(code) <= 40
    assert sizes[-1] <= 15
    assert sizes[len(sizes) // 2] <= 8
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell, _ in code)
    assert sum("parameters" in tag for _, tag in code) == 1
    assert all(tag >= {"exercise", "solution"} for _, tag in code if "solution" in tag)
    assert any("exercise" in tag for _, tag in code) == any(
        "solution" in tag
        for cell, tag in zip(cells, tags, strict=True)
        if cell["cell_type"] == "raw"
    )
    assert not any(
        line.lstrip().startswith(("/", "'/", '"/'))
        for cell, _ in code
        for line in "".join(cell["source"]).splitlines()
    )
