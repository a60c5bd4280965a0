"""Every notebook on a company so small that most cells are empty or masked."""

import re
from html import unescape
from pathlib import Path

import nbformat
import pytest
from companies import CONSENT, project_head

import cjkit
from cjkit.checks import CjkitError
from cjkit.project import read_project
from cjkit.report.run import run_report
from cjkit.report.show import render

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
BEGINS = project_head(login="strong") + CONSENT
PROJECT = """
[report]
notebooks = {notebooks}
[conversion]
event = "buy"
[funnel]
steps = ["view", "buy"]
[events.view]
[events.buy]
[sources.web]
files = ["*.csv"]
[sources.web.mapping]
system = "A log"
file = {{ format = "csv", time_zone = "Asia/Tokyo" }}
ids = {{ login = "who" }}
[[sources.web.mapping.row]]
table = "events"
columns = {{ occurred_at = {{ column = "at", time = "iso" }}, event = "what" }}
"""
LOG = """at,what,who
2026-01-01 10:00:00,view,ann
2026-01-01 10:05:00,buy,ann
2026-01-01 11:00:00,view,bob
2026-01-02 09:00:00,view,bob
"""


def test_every_notebook_runs_on_two_people_and_shows_neither(tmp_path):
    (tmp_path / "journey.toml").write_text(
        BEGINS + PROJECT.format(notebooks=NOTEBOOKS),
        encoding="utf-8",
    )
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    report = run_report(read_project(tmp_path / "journey.toml"), output=tmp_path / "reports")
    assert [one["name"] for one in report.manifest["notebooks"]] == NOTEBOOKS
    for page in report.folder.glob("*/*.html"):
        # The font is written in letters, too, of which any three may stand together.
        text = re.sub(r"base64,[\w+/=]+", "", page.read_text(encoding="utf-8"))
        assert "ann" not in text.split(), page
        assert "NaN" not in text, page


@pytest.mark.parametrize(
    "rules",
    [
        'steps = ["view", {event = "help", within = "2h"}, {event = "buy", within = "1h"}]\n'
        'hold = "ref_id"',
        'steps = ["view", {event = "help", optional = true}, {event = "buy", within = "1h"}]\n'
        'without = ["leave"]',
        'steps = ["view", {event = ["help", "ask"], within = "2h"}, "buy"]\norder = "strict"',
        'steps = ["view", "help", "buy"]\norder = "any"\nties = "simultaneous"\ncount = "sessions"',
    ],
)
def test_the_funnel_notebook_takes_every_rule_of_a_project(tmp_path, monkeypatch, rules):
    names = "\n".join(f"[events.{name}]" for name in ("help", "ask", "leave"))
    project = BEGINS + PROJECT.format(notebooks=["03_funnel"]).replace(
        'steps = ["view", "buy"]', f"{rules}\n{names}"
    )
    project = project.replace('event = "what"', 'event = "what", ref_id = "case"')
    (tmp_path / "journey.toml").write_text(project, encoding="utf-8")
    steps = ["view", "help", "buy", "ask", "leave"]
    rows = [
        f"2026-0{1 + who % 2}-1{who % 9} 10:{minute}0:00,{steps[(who + minute) % 5]},c{who},k{who}"
        for who in range(40)
        for minute in range(6)
    ]
    (tmp_path / "log.csv").write_text("\n".join(["at,what,who,case", *rows]), encoding="utf-8")
    shown = []
    monkeypatch.setattr(cjkit, "show", lambda found, **_: shown.append(render(found, "en")))
    monkeypatch.setattr(cjkit, "headline", lambda *_, **__: None)
    explorers, explore = [], cjkit.explore
    monkeypatch.setattr(cjkit, "explore", lambda *at, **of: explorers.append(explore(*at, **of)))
    cells = nbformat.read(FOLDER / "03_funnel.ipynb", as_version=4).cells
    scope = {}
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code" and "exercise" not in tags:
            exec(compile(cell.source, "03_funnel", "exec"), scope)
        if "parameters" in tags:
            scope["project"] = str(tmp_path / "journey.toml")
    assert len(shown) >= 15
    # The explorer begins as the page does, and each of its states is the call that it shows.
    controls, told, page = explorers[0].children
    picks = {control.description: control for control in controls.children}
    for pick, value in ((None, None), ("within", "7D"), ("by", "channel"), ("count", "sessions")):
        if pick:
            picks[pick].value = value
        call = unescape(re.search("<code>(.*?)</code>", told.value)[1])
        try:
            found = eval(call, scope)
        except CjkitError as error:
            assert str(error) in unescape(page.value)
            continue
        key = re.search('class="cj-result" id="(.*?)"', page.value)[1]
        assert page.value.endswith(render(found, "en", key=key))
        if not pick:
            assert found.table.equals(scope["taken"].table)
