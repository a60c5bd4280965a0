"""A very small company with notebooks of its own, for the tests of reports."""

from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HOSTILE = "<script>alert(1)</script>"

PROJECT = """
[project]
id = "shop"
name = { en = "Tea & <b>Cake</b>", ja = "お茶とケーキ" }
time_zone = "Asia/Tokyo"
currency = "JPY"
languages = ["ja", "en"]
[consent]
missing = "allow"
[privacy]
pseudonyms = "plain"
[period]
length = "1M"
as_of = "2026-04-01"
[report]
notebooks = [NOTEBOOKS]
[report.cannot]
04_lifetime_value = { en = "One order is too few.", ja = "注文が1件では足りません。" }
[identity.login]
strength = "strong"
[sources.web]
files = ["web.csv"]
[sources.web.mapping]
system = "Web"
file = { format = "csv", time_zone = "Asia/Tokyo" }
ids = { login = "user" }
[[sources.web.mapping.row]]
table = "events"
[sources.web.mapping.row.columns]
occurred_at = { column = "time", time = "iso" }
event = { column = "event" }
[sources.till]
files = ["till.csv"]
[sources.till.mapping]
system = "Till"
file = { format = "csv", time_zone = "Asia/Tokyo" }
ids = { login = "user" }
[[sources.till.mapping.row]]
table = "orders"
[sources.till.mapping.row.columns]
order_id = "order"
ordered_at = { column = "time", time = "iso" }
revenue = { column = "amount", numbers = true }
quantity = { value = 1 }
[names.event.view]
en = "Viewed"
ja = "閲覧した"
"""
EVENTS = f"""user,time,event
ann,2026-03-01 10:00:00,view
ann,2026-03-01 11:00:00,call
bob,2026-03-02 10:00:00,view
cas,2026-03-03 10:00:00,{HOSTILE}
"""
ORDERS = """order,user,time,amount
o1,ann,2026-03-01 12:00:00,1200
"""
PARAMETERS = """\
project: str = "data/sample/journey.toml"  # the company and its data
as_of: str = ""  # analyse as of this day
top: int = 3  # how many rows
steps: list = ["view", "call"]  # steps, in order"""
OPEN = """\
import sys, warnings
import pandas as pd
from cjkit import cleansing
from cjkit.report import headline, show
log = cleansing.open(project, as_of=as_of)
warnings.warn("a warning that no reader wants")"""
SHOWN = """\
sql = "select event, count(*) as customers from events group by 1 order by 2 desc, 1"
counts = log.engine.query(sql)
show(counts.head(top))"""
HEADLINES = """\
headline("customers", 3, kind="count", previous=2, better="up")
headline("conversion_rate", 0.25, low=0.2, high=0.3, n=2, kind="rate")"""


def code(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"tags": list(tags)})


def prose(source: str, *tags: str) -> nbformat.NotebookNode:
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def write_notebook(
    path: Path, cells: list, *, title: str = "", needs: tuple = (), opens: bool = True
) -> None:
    """Write a notebook that begins as all notebooks of the kit do, and opens the log if told."""
    name = title or path.stem
    about = {
        "title": {"en": f"{name} in English", "ja": f"{name}の日本語"},
        "question": {"en": f"What of {name}?", "ja": f"{name}はどうか。"},
        "needs": list(needs),
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    first = [
        prose(f"# {name} in English\n\nFor everyone.", "en"),
        prose(f"# {name}の日本語\n\nすべての人に。", "ja"),
        code(PARAMETERS, "parameters"),
        code(OPEN if opens else "pass", "hide-input"),
    ]
    notebook = new_notebook(
        cells=[*first, *cells],
        metadata={
            "cjkit": about,
            "kernelspec": kernel,
            "language_info": {"name": "python"},
        },
    )
    nbformat.write(notebook, path)


def write_shop(folder: Path, *notebooks: str) -> Path:
    """Write the project and its data; return the project file."""
    named = ", ".join(f'"./{name}.ipynb"' for name in notebooks)
    (folder / "journey.toml").write_text(PROJECT.replace("NOTEBOOKS", named), encoding="utf-8")
    (folder / "web.csv").write_text(EVENTS, encoding="utf-8")
    (folder / "till.csv").write_text(ORDERS, encoding="utf-8")
    return folder / "journey.toml"
