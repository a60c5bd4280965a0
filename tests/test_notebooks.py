"""Every notebook on a company so small that most cells are empty or masked."""

import re
from pathlib import Path

import pytest

from cjkit.project import read_project
from cjkit.report.run import run_report

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted(
    path.stem for path in (Path(__file__).parent.parent / "notebooks").glob("*.ipynb")
)
PROJECT = """
[project]
id = "tiny"
name = {{ en = "Tiny", ja = "小さな店" }}
time_zone = "Asia/Tokyo"
currency = "JPY"
[consent]
missing = "allow"
[privacy]
pseudonyms = "plain"
[report]
notebooks = {notebooks}
[identity.login]
strength = "strong"
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
    (tmp_path / "journey.toml").write_text(PROJECT.format(notebooks=NOTEBOOKS), encoding="utf-8")
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    report = run_report(read_project(tmp_path / "journey.toml"), output=tmp_path / "reports")
    assert [one["name"] for one in report.manifest["notebooks"]] == NOTEBOOKS
    for page in report.folder.glob("*/*.html"):
        # The font is written in letters, too, of which any three may stand together.
        text = re.sub(r"base64,[\w+/=]+", "", page.read_text(encoding="utf-8"))
        assert "ann" not in text.split(), page
        assert "NaN" not in text, page
