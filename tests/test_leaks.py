"""Nobody of the sample company can be found in what a full run writes or says."""

import base64
import html
import json
import re
import shutil
import unicodedata
from collections import defaultdict
from urllib.parse import quote

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from small_company import make_company, run_cjkit, shared_company

from cjkit.engine import DuckDB, text

pytestmark = pytest.mark.slow

# What tells a person, by file: names and ways to reach them, and the ids under which systems know
# them. Numbers of orders and receipts tell a sale: they belong into the log, and into no report.
PERSONAL = {
    "crm/customers.csv": (
        *("顧客番号", "ログインID", "会員カード番号", "氏名", "氏名カナ", "メールアドレス"),
        *("電話番号", "郵便番号", "住所"),
    ),
    "shop/orders_*.csv": ("login_id", "email", "phone"),
    "shop/order_lines_*.csv": ("login_id", "email"),
    "pos/receipts_*.csv": ("会員カード番号",),
    "mail/mail_events_*.csv": ("email",),
    "call_center/calls_*.csv": ("phone", "loyalty_no"),
    "store/visits_*.csv": ("loyalty_no",),
    "survey/responses.csv": ("email",),
    "reviews/product_reviews.csv": ("login_id",),
    "referrals/referrals.csv": ("login_id", "friend_email", "friend_login_id"),
    "consent/consents.csv": ("login_id", "client_id", "email"),
}
SALES = {"shop/orders_*.csv": ("order_no",), "pos/receipts_*.csv": ("レシート番号",)}
NUMBERS = re.compile(r"[\d\s()+-]+")
SHORTEST, PREFIX = 4, 4


def read_values(folder, columns_of):
    """Return the distinct values of the columns that identify."""
    found = set()
    for pattern, columns in columns_of.items():
        paths = sorted((folder / "exports").glob(pattern))
        assert paths, pattern
        for path in paths:
            encoding = "cp932" if path.parts[-2] in ("crm", "pos") else "utf-8"
            rows = pd.read_csv(path, dtype=str, encoding=encoding, usecols=list(columns))
            found.update(*(rows[name].dropna().str.strip() for name in columns))
    return {value for value in found if len(value) >= SHORTEST}


def read_cookies(folder):
    engine = DuckDB(threads=1)
    hits = text(str(folder / "exports" / "web" / "*.ndjson"))
    ids = engine.query(f"select distinct client_id, user_id from read_json({hits})")
    engine.close()
    return {value for name in ids for value in ids[name].dropna()}


def spellings(value):
    """Return how a value may stand in a file: as it is, or as some writer would encode it."""
    plain = {value, unicodedata.normalize("NFKC", value)}
    if NUMBERS.fullmatch(value):
        digits = re.sub(r"\D", "", value)
        plain |= {digits, f"+81{digits[1:]}"} if len(digits) >= 10 else set()
    plain |= {re.sub(r"\s", "", each) for each in plain}
    found = set(plain)
    for each in plain:
        found |= {quote(each), html.escape(each), json.dumps(each)[1:-1]}
        found.add("".join(f"&#{ord(letter)};" for letter in each))
        data = each.encode()
        if len(data) >= 8:
            # In base64 a value reads in one of three ways, by where in the whole it begins.
            for before in range(3):
                coded = base64.b64encode(b"\0" * before + data).decode()
                found.add(coded[(0, 2, 3)[before] : len(coded.rstrip("=")) - 1])
    return {each for each in found if len(each) >= SHORTEST}


class Search:
    """All spellings of many values, sought in one pass by how they begin."""

    def __init__(self, values):
        self.value_of = {each: value for value in values for each in spellings(value)}
        self._by_prefix = defaultdict(list)
        for each in self.value_of:
            self._by_prefix[each[:PREFIX]].append(each)

    def __call__(self, content):
        """Return the spellings that stand in `content`, not as a part of a longer number."""
        found, beginnings = set(), self._by_prefix
        for place in range(len(content) - PREFIX + 1):
            for each in beginnings.get(content[place : place + PREFIX], ()):
                if content.startswith(each, place) and not (
                    each.isdigit()
                    and (
                        content[place - 1 : place].isdigit()
                        or content[place + len(each) : place + len(each) + 1].isdigit()
                    )
                ):
                    found.add(each)
        return found


def read_files(folder):
    """Return what the files below `folder` hold as text, by name: of Parquet its texts."""
    contents = {}
    engine = DuckDB(threads=1)
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        name = str(path.relative_to(folder))
        if path.suffix != ".parquet":
            # The key of the pseudonyms lies elsewhere; the vault's values are encrypted.
            contents[name] = path.read_bytes().decode("utf-8", errors="replace")
            continue
        source = f"read_parquet({text(str(path))})"
        columns = engine.describe(f"select * from {source}")
        parts = [name for name, kind in columns.items() if kind == "VARCHAR"]
        held = [
            "\n".join(engine.query(f'select distinct "{part}" as v from {source}')["v"].dropna())
            for part in parts
        ]
        contents[name] = "\n".join(held)
    engine.close()
    return contents


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    return shared_company(tmp_path_factory)


@pytest.fixture(scope="module")
def persons(company):
    return read_values(company.folder, PERSONAL) | read_cookies(company.folder)


@pytest.fixture(scope="module")
def search(persons):
    return Search(persons)


def check_report(company, search, sales):
    contents = read_files(company.report)
    assert {"manifest.json", "ja/01_cleansing.html", "en/06_journey_map.html"} <= set(contents)
    contents["said"] = (company.folder / "said.log").read_text("utf-8")
    assert sum(map(len, contents.values())) > 1_000_000
    for name, content in contents.items():
        # A subset of a font is no text.
        content = re.sub(r"url\(data:font[^)]*\)", "", content)
        assert search(content) | sales(content) == set(), name


def check_state(company, search):
    contents = read_files(company.state)
    names = {name.split("/")[0] for name in contents}
    assert {"landed", "prepared", "audit", "identity", "vault.sqlite"} <= names
    for name, content in contents.items():
        assert search(content) == set(), name


def test_the_report_and_what_the_run_said_hold_nobody(company, search):
    check_report(company, search, Search(read_values(company.folder, SALES)))


def test_the_state_folder_holds_nobody_in_the_clear(company, search):
    check_state(company, search)


BROKEN = """\
import cjkit
log = cjkit.open("journey.toml")
rows = [log.engine.query(f"from {name} limit 50").to_dict("records")
        for name in ("customers", "events", "orders", "feedback", "consents")]
raise ValueError(rows)"""


def test_a_notebook_that_fails_says_nobody(company, search, tmp_path):
    """The worst a failing cell can do is to say rows of the log: no person's own data is in it."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in ("exports", ".cjkit"):
        (folder / name).symlink_to(company.folder / name)
    notebook = new_notebook(cells=[new_code_cell(BROKEN)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "broken.ipynb")
    project = company.project.read_text("utf-8")
    project = re.sub(r"(?ms)^notebooks = \[.*?\]", 'notebooks = ["./broken.ipynb"]', project)
    project = re.sub(r"(?ms)^\[report\.targets\].*?^$", "", project)  # of the notebooks left out
    (folder / "journey.toml").write_text(project, encoding="utf-8")
    failed = run_cjkit(folder, "report", "journey.toml")
    assert failed.returncode != 0
    assert "ValueError" in failed.stderr
    assert search(failed.stdout + failed.stderr) == set()


def test_the_search_finds_every_spelling(search, persons):
    """Each of them in a page of its own would be found."""
    chosen = sorted(persons)[:: max(1, len(persons) // 100)]
    assert len(chosen) >= 100
    for value in chosen:
        for each in spellings(value):
            assert each in search(f"<p title='{each}'>…</p>"), each
    whole = base64.b64encode("氏名: 山田 花子 です".encode()).decode()
    assert Search({"山田 花子"})(whole)


def test_a_leak_of_any_kind_fails(company, search, persons, tmp_path):
    """One value in one table, file or log line is enough."""
    leaked = sorted(value for value in persons if "@" in value)[0]
    pd.DataFrame({"customer_id": ["c1"]}).to_csv(tmp_path / "clean.csv")
    assert not any(search(content) for content in read_files(tmp_path).values())
    engine = DuckDB(threads=1)
    engine.add("rows", pd.DataFrame({"n": [1], "page": [f"/u/{leaked}?x=1"]}))
    engine.copy("select * from rows", tmp_path / "rows.parquet")
    engine.close()
    assert search(read_files(tmp_path)["rows.parquet"]) >= {leaked}


@pytest.mark.long
def test_a_larger_company_holds_nobody(tmp_path):
    company = make_company(tmp_path, 3000)
    search = Search(read_values(tmp_path, PERSONAL) | read_cookies(tmp_path))
    check_report(company, search, Search(read_values(tmp_path, SALES)))
    check_state(company, search)
    shutil.rmtree(tmp_path)
