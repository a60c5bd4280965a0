"""Small companies for the tests of the gate: a project file, and what its systems export."""

from __future__ import annotations

import csv
import re
from pathlib import Path


def project_head(*, pseudonyms: str = "plain", **identity: str) -> str:
    """Write what project files begin with; `identity` says how strong each kind of id is."""
    ids = "".join(
        f'{name} = {{ strength = "{strength}" }}\n' for name, strength in identity.items()
    )
    return f"""
[project]
id = "tiny"
name = {{ en = "Tiny", ja = "小さな店" }}
time_zone = "Asia/Tokyo"
currency = "JPY"
[privacy]
pseudonyms = "{pseudonyms}"
[identity]
{ids}"""


HEAD = (
    project_head(login="strong", mail="strong", cookie="weak")
    + """
[company]
started_on = 2015-04-01
[events]
view = { touchpoint = "site" }
[touchpoints]
site = { stage = "consideration" }
"""
)
CONSENT = '[consent]\nmissing = "allow"\n'
FILE = 'file = { format = "csv", time_zone = "Asia/Tokyo" }\n'
MAPPINGS = {
    "web": """ids = { login = "login", cookie = "cookie", mail = "mail" }
[[sources.web.mapping.row]]
table = "events"
[sources.web.mapping.row.columns]
occurred_at = { column = "at", time = "iso" }
event = { column = "event", codes = { view = "view", cart = "cart", purchase = "purchase" } }
ref_id = "ref"
revenue = { column = "amount", numbers = true }
page = "page"
device = "device"
touchpoint = "touchpoint"
user_agent_class = "agent"
currency = "currency"
""",
    "hits": """ids = { login = "login" }
[[sources.hits.mapping.row]]
table = "events"
unique = ["event_id"]
[sources.hits.mapping.row.columns]
event_id = "id"
occurred_at = { column = "at", time = "iso" }
event = "event"
channel = "channel"
direction = "direction"
ref_id = "ref"
""",
    "interviews": """[[sources.interviews.mapping.row]]
table = "notes"
[sources.interviews.mapping.row.columns]
kind = "kind"
text = "text"
""",
    "shop": """ids = { login = "login" }
[[sources.shop.mapping.row]]
table = "orders"
[sources.shop.mapping.row.columns]
order_id = "order_id"
ordered_at = { column = "at", time = "iso" }
revenue = { column = "amount", numbers = true }
is_return = { when = { column = "kind", is = ["return"] } }
""",
    "till": """ids = { login = "login" }
[[sources.till.mapping.row]]
table = "orders"
[sources.till.mapping.row.columns]
order_id = "order_id"
ordered_at = { column = "at", time = "iso" }
revenue = { column = "amount", numbers = true }
touchpoint = { value = "counter" }
""",
    "crm": """ids = { login = "login", mail = "mail" }
[[sources.crm.mapping.row]]
table = "customers"
[sources.crm.mapping.row.columns]
signed_up_at = { column = "joined", time = "%Y-%m-%d" }
region = "region"
is_staff = { when = { column = "kind", is = ["staff"] } }
is_test = { when = { column = "kind", is = ["test"] } }
""",
    "consent": """ids = { login = "login", cookie = "cookie" }
[[sources.consent.mapping.row]]
table = "consents"
[sources.consent.mapping.row.columns]
purpose = "purpose"
is_granted = { when = { column = "answer", is = ["yes"] } }
given_at = { column = "at", time = "iso" }
""",
    "deleted": """ids = { login = "login" }
[[sources.deleted.mapping.row]]
table = "tombstones"
[sources.deleted.mapping.row.columns]
retracted_at = { column = "at", time = "iso" }
""",
    "merges": """[sources.merges.mapping.ids]
login = "new"
merged = { column = "old", namespace = "login" }
[[sources.merges.mapping.row]]
table = "customers"
[sources.merges.mapping.row.columns]
region = "region"
""",
    "survey": """ids = { login = "login" }
[[sources.survey.mapping.row]]
table = "feedback"
[sources.survey.mapping.row.columns]
given_at = { column = "at", time = "iso" }
metric = "metric"
score = { column = "score", numbers = true }
score_max = { value = 10 }
""",
}


def make_company(folder: Path, files: dict[str, str], *, more: str = "", head: str = "") -> Path:
    """Write a project whose sources have the given files, and return its project file.

    `files` holds the text of each file by name: `web.csv` is a file of the source `web`,
    `web_2.csv` another one. Spaces around commas and at the ends of lines are for the eye only.
    `more` is further TOML, `head` stands in place of the usual consent.
    """
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        lines = [re.sub(r"\s*,\s*", ",", line.strip()) for line in content.strip().splitlines()]
        (folder / "in" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = dict.fromkeys(re.split(r"[_.]", name)[0] for name in files)
    declared = [
        f'[sources.{name}]\nfiles = ["in/{name}*.csv"]\n[sources.{name}.mapping]\n'
        f'system = "{name}"\n{FILE}{MAPPINGS[name]}'
        for name in names
    ]
    path = folder / "journey.toml"
    path.write_text(HEAD + (head or CONSENT) + more + "".join(declared), encoding="utf-8")
    return path


KEY = b"k" * 32


def make_keyed_company(
    folder: Path,
    head: str,
    mappings: dict[str, tuple[str, str, str, str]],
    files: dict[str, str],
    *,
    end: str = "",
) -> Path:
    """Write a project whose ids are keyed by `KEY`, one file a source, and return its project file.

    A mapping is its ids, its table, its columns and its private columns. Spaces after commas and
    at the ends of lines are for the eye only.
    """
    (folder / "in").mkdir(parents=True)
    for name, (ids, table, columns, private) in mappings.items():
        lines = [line.strip() for line in files[name].splitlines()]
        with (folder / "in" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.reader(lines, skipinitialspace=True)
            csv.writer(file).writerows([cell.strip() for cell in row] for row in rows)
        head += f"""
            [sources.{name}]
            files = ["in/{name}.csv"]
            [sources.{name}.mapping]
            system = "{name}"
            file = {{ format = "csv", time_zone = "Asia/Tokyo" }}
            ids = {{ {ids} }}
            private = {{ {private} }}
            row = [{{ table = "{table}", columns = {{ {columns} }} }}]
            """
    path = folder / "journey.toml"
    path.write_text(head + end, encoding="utf-8")
    (folder / "own.key").write_text(KEY.hex())
    (folder / "own.key").chmod(0o600)
    return path
