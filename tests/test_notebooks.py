"""Every notebook on a company so small that most cells are empty or masked, here and by nbval."""

import os
import re
import shutil
import subprocess
import sys
from html import unescape

import pytest
from companies import CONSENT, project_head
from small_company import ROOT, run_notebook

import cjkit
from cjkit.checks import CjkitError
from cjkit.report.show import render

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
NBVAL = ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=300")
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


def write_pair(folder):
    """Write a company of two people, and return its project file."""
    folder.mkdir(parents=True, exist_ok=True)
    project = folder / "journey.toml"
    project.write_text(BEGINS + PROJECT.format(notebooks=NOTEBOOKS), encoding="utf-8")
    (folder / "log.csv").write_text(LOG, encoding="utf-8")
    return project


def test_no_cell_fails_in_a_kernel(tmp_path):
    """In a folder as a user has it: the notebooks, and the pair as the sample."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    write_pair(tmp_path / "data" / "sample")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *NBVAL, *(f"{name}.ipynb" for name in NOTEBOOKS)],
        cwd=tmp_path / "notebooks",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert all(f"{name}.ipynb" in done.stdout for name in NOTEBOOKS)


def test_every_notebook_runs_on_two_people_and_shows_neither(tmp_path):
    project = write_pair(tmp_path)
    for name in NOTEBOOKS:
        shown = run_notebook(name, project)[1]
        assert shown, name
        for result, _ in shown:
            for language in ("en", "ja"):
                words = re.split(r"\W+", render(result, language))
                assert not {"ann", "bob", "NaN", "nan"} & set(words), (name, result)


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
    explorers, explore = [], cjkit.explore
    monkeypatch.setattr(cjkit, "explore", lambda *at, **of: explorers.append(explore(*at, **of)))
    scope, shown = run_notebook("03_funnel", tmp_path / "journey.toml", explorers=True)
    assert len([render(result, "en") for result, _ in shown]) >= 13
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
