"""Tables of databases as sources, on real servers that this module starts."""

import csv
import json
import multiprocessing
import resource
import shutil
import sys
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy
from servers import mariadb, postgresql

from cjkit.checks import CjkitError
from cjkit.cleansing import prepare
from cjkit.engine import DuckDB
from cjkit.privacy import open_vault, project_key
from cjkit.project import read_project
from cjkit.report.check import check_project
from cjkit.sources import land, read_mappings, read_raw
from cjkit.sources.connecting import connected
from cjkit.sources.databases import DatabaseTable

SECRETS = ("s3cret", "reader")


@pytest.fixture(scope="module")
def secured():
    with postgresql() as (url, certificate):
        yield url, certificate


@pytest.fixture(scope="module")
def postgres(secured):
    return secured[0]


@pytest.fixture(scope="module")
def maria():
    with mariadb() as url:
        yield url


PROJECT = """
[project]
id = "shop"
name = { en = "Shop", ja = "店" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[consent]
missing = "allow"
[privacy]
pseudonyms = "plain"
[identity]
login = { strength = "strong" }
[sources.orders]
url = "${SHOP_DB}"
SOURCE
[sources.orders.mapping]
system = "Shop"
file.time_zone = "Asia/Tokyo"
ids.login = "who"
[[sources.orders.mapping.filter]]
name = "test"
when = { column = "kind", is = ["test"] }
[[sources.orders.mapping.row]]
table = "orders"
[sources.orders.mapping.row.columns]
order_id = "id"
line_no = { value = 1 }
ordered_at = { column = "at", time = "iso" }
revenue = "amount"
quantity = { value = 1 }
x_paid = { when = { column = "paid", is = ["true", "1"] } }
x_page = "detail.page"
x_first_tag = "detail.tags.0"
"""


class Shop:
    """A project whose orders lie in a table of a database."""

    def __init__(self, folder, url, source='table = "orders"', monkeypatch=None):
        self.folder, self.url = folder, url
        drivers = {"postgresql": "postgresql+pg8000", "mysql": "mysql+pymysql"}
        made = sqlalchemy.make_url(url)
        self.database = sqlalchemy.create_engine(
            made.set(drivername=drivers[made.drivername]), poolclass=sqlalchemy.NullPool
        )
        (folder / "journey.toml").write_text(PROJECT.replace("SOURCE", source))
        monkeypatch.setenv("SHOP_DB", url)

    def run(self, *statements):
        with self.database.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    @property
    def project(self):
        return read_project(self.folder / "journey.toml")

    def land(self):
        self.engine = DuckDB(threads=2)
        return land(self.project, self.engine)

    def rows(self, landed):
        (folder,) = landed.folders
        rows = self.engine.query(f"from '{folder}/orders.parquet' order by record_no")
        rows["ordered_at"] = rows["ordered_at"].astype("str")
        return [
            tuple(None if pd.isna(value) else value for value in row)
            for row in rows[ROW].itertuples(index=False)
        ]


ROW = ["record_no", "order_id", "ordered_at", "revenue", "x_paid", "x_page", "x_first_tag"]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return lambda url, *source: Shop(tmp_path, url, *source, monkeypatch=monkeypatch)


@pytest.fixture(params=["postgres", "maria"])
def url(request):
    """Each of the two servers."""
    return request.getfixturevalue(request.param)


ORDERS = (
    "drop table if exists orders",
    "create table orders (id int primary key, who varchar(40), at varchar(40), "
    "amount numeric(12, 2), paid boolean, kind varchar(40), detail json)",
    """insert into orders values
        (10, 'ann', '2026-05-01 09:00', 1234.50, true, 'web', '{"page": "/a", "tags": ["x"]}'),
        (9, 'bob', '2026-05-01T00:30:00Z', null, false, 'web', null),
        (3, 'bob', '2026-05-01 12:00', 5, null, 'test', null),
        (4, null, 'yesterday', 5, null, '', null)""",
)


def told(error):
    """What an error says, in which nothing is secret: not in what it was made of either."""
    assert error.value.__suppress_context__ or error.value.__context__ is None
    assert not [secret for secret in SECRETS if secret in str(error.value)]
    return str(error.value)


def test_a_table_becomes_rows_in_the_order_of_its_key_and_records_add_up(shop, url):
    company = shop(url)
    company.run(*ORDERS)
    landed = company.land()
    assert company.rows(landed) == [
        (2, "4", None, 5.0, False, None, None),
        (3, "9", "2026-05-01 00:30:00", None, False, None, None),
        (4, "10", "2026-05-01 00:00:00", 1234.5, True, "/a", "x"),
    ]
    (ledger,) = landed.ledgers
    assert (ledger.file, ledger.read, ledger.mapped, ledger.unreadable) == (
        "SHOP_DB/orders",
        4,
        3,
        0,
    )
    assert ledger.filtered == {"test": 1}


def test_rows_are_those_of_a_csv_export_of_the_table(shop, url, tmp_path, rng):
    texts = [
        "",
        "a,b",
        'say "hi"',
        "two\nlines",
        " spaced ",
        "日本語🎉",
        "\\N",
        "null",
        "'",
        "%s:x",
    ]
    rows = [
        (
            number,
            str(rng.choice(texts)) or None,
            f"2026-05-{rng.integers(1, 28):02} 10:{rng.integers(0, 60):02}",
            round(float(rng.normal(100, 900)), 2),
            bool(rng.integers(2)),
            str(rng.choice(["web", "test", *texts])),
            json.dumps({"page": str(rng.choice(texts)), "tags": [str(rng.choice(texts))]}),
        )
        for number in rng.permutation(12_000).tolist()[:300]
    ]
    company = shop(url)
    company.run(*ORDERS[:2])
    with company.database.begin() as connection:
        values = [dict(zip("abcdefg", row, strict=True)) for row in rows]
        sql = "insert into orders values (:a, :b, :c, :d, :e, :f, :g)"
        if "postgres" in url:
            sql = sql.replace(":g", "cast(:g as json)")
        connection.execute(sqlalchemy.text(sql), values)
    found = company.rows(company.land())
    shutil.rmtree(company.project.state_folder)
    with (tmp_path / "orders.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "who", "at", "amount", "paid", "kind", "detail"])
        writer.writerows(sorted(rows))
    told = (tmp_path / "journey.toml").read_text()
    (tmp_path / "journey.toml").write_text(
        told.replace('url = "${SHOP_DB}"', 'files = ["orders.csv"]')
        .replace('table = "orders"\n', "", 1)
        .replace('["true", "1"]', '["True"]')
    )
    assert found == company.rows(company.land())
    assert len(found) > 200


POSTGRES_VALUES = {
    "12345678901234567890.0123456789::numeric": "12345678901234567890.0123456789",
    "9007199254740993::bigint": "9007199254740993",
    "0.1::real": "0.1",
    "2::float8": "2",
    "'NaN'::float8": "nan",
    "true": "true",
    "''::text": "",
    "null::text": None,
    "E'a\\nb'::text": "a\nb",
    "'2026-05-01 09:58:12.123456'::timestamp": "2026-05-01 09:58:12.123456",
    "'2026-05-01 09:58:12.5+09'::timestamptz": "2026-05-01 00:58:12.5+00",
    "'infinity'::timestamptz": "infinity",
    "'0044-03-15 BC'::date": "0044-03-15 BC",
    "'10:30'::time": "10:30:00",
    "interval '26 hours'": "26:00:00",
    "'\\x00ff'::bytea": "00ff",
    """'{"a": 0.10, "b": 1234567890123456.5}'::json""": '{"a": 0.10, "b": 1234567890123456.5}',
    "array['x,y', null, 'z\"']": '["x,y", null, "z\\""]',
    "array[1.50, 2]::numeric[]": '["1.50", "2"]',
    "array['2026-05-01 09:00+09']::timestamptz[]": '["2026-05-01 00:00:00+00:00"]',
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "'10.0.0.1'::inet": "10.0.0.1",
}
MARIA_VALUES = {
    "cast('12345678901234567890.0123456789' as decimal(40, 10))": "12345678901234567890.0123456789",
    "cast(18446744073709551615 as unsigned)": "18446744073709551615",
    "0.1e0": "0.1",
    "true": "1",
    "''": "",
    "null": None,
    "'日本 100%'": "日本 100%",
    "concat('a', char(0 using utf8mb4), 'b')": "a\0b",
    "cast('2026-05-01 09:58:12.123456' as datetime(6))": "2026-05-01 09:58:12.123456",
    "from_unixtime(0)": "1970-01-01 00:00:00",
    "cast('2026-05-01' as date)": "2026-05-01",
    "cast('101:00:01.5' as time(1))": "101:00:01.500000",
    "cast('-01:00:00' as time)": "-1:00:00",
    "x'00ff'": "00ff",
    "json_object('a', 0.10)": '{"a": 0.10}',
}


@pytest.mark.parametrize(
    ("server", "values"), [("postgres", POSTGRES_VALUES), ("maria", MARIA_VALUES)]
)
def test_values_of_every_kind_are_exact_texts(shop, request, server, values):
    listed = ", ".join(f"{value} as v{number}" for number, value in enumerate(values))
    nothing = "null as id, null as who, null as at, null as amount, null as paid, null as kind"
    query = f"select {nothing}, null as detail, {listed}"
    company = shop(request.getfixturevalue(server), f"query = {json.dumps(query)}")
    (frame,) = read_raw(company.project, "orders", "SHOP_DB/query orders", [1])
    record = json.loads(frame["record"][0])
    assert [record[f"v{number}"] for number in range(len(values))] == [
        value or None for value in values.values()
    ]


def test_a_timestamp_of_mysql_is_an_instant_and_a_datetime_is_not(shop, maria):
    company = shop(maria)
    company.run(
        "drop table if exists orders",
        "create table orders (id int, who text, at timestamp null, local datetime, "
        "amount int, paid int, kind text, detail text)",
        "set time_zone = '+09:00'",
        "insert into orders values (1, 'a', '2026-05-01 09:00', '2026-05-01 09:00', 1, 1, 'w', '')",
        "insert into orders values (2, 'a', null, null, 1, 1, 'w', '')",
    )
    (frame,) = read_raw(company.project, "orders", "SHOP_DB/orders", [1, 2])
    first, second = map(json.loads, frame["record"])
    assert (first["at"], first["local"]) == ("2026-05-01 00:00:00+00:00", "2026-05-01 09:00:00")
    assert (second["at"], second["local"]) == (None, None)
    assert [row[2] for row in company.rows(company.land())] == ["2026-05-01", None]


def test_only_a_table_that_changed_is_landed_again(shop, url):
    company = shop(url)
    company.run(*ORDERS, "create table if not exists kept as select * from orders")
    first = company.land()
    assert (first.made, company.land().made) == (1, 0)
    company.run(
        "update orders set amount = 6 where id = 3", "update orders set amount = 5 where id = 3"
    )
    assert company.land().made == 0
    company.run("update orders set amount = 6 where id = 3")
    second = company.land()
    assert (second.made, second.folders == first.folders) == (1, False)
    company.run("drop table kept")


def test_equal_rows_without_a_key_are_equal_whatever_their_order(shop, postgres):
    company = shop(postgres, 'query = "select * from orders order by random()"')
    company.run(*ORDERS)
    landed = company.land()
    assert [row[1] for row in company.rows(landed)] == ["10", "4", "9"]  # as texts
    assert [company.land().made for _ in range(5)] == [0] * 5


def test_a_table_with_updated_is_read_only_when_count_or_latest_changed(shop, url, monkeypatch):
    company = shop(url, 'table = "orders"\nupdated = "id"')
    company.run(*ORDERS)
    fetched = []
    fetch = DatabaseTable.fetch
    monkeypatch.setattr(
        DatabaseTable, "fetch", lambda *given: (fetched.append(1), fetch(*given))[1]
    )
    company.land()
    company.run("update orders set amount = 6 where id = 3")  # without a trace in `updated`
    assert (company.land().made, len(fetched)) == (0, 1)
    company.run("update orders set id = 11 where id = 3")
    assert (company.land().made, len(fetched)) == (1, 2)
    company.run("delete from orders where id = 9")
    assert (company.land().made, len(fetched)) == (1, 3)


@pytest.mark.parametrize(
    "query",
    [
        "select * from orders where at like '2026%' and '12:30' < 'x' ;",
        "with w as (select * from orders where kind like 'w_b%%') select * from w -- all",
    ],
)
def test_a_query_may_hold_what_drivers_take_for_their_own(shop, url, query):
    company = shop(url, f"query = {json.dumps(query)}")
    company.run(*ORDERS)
    landed = company.land()
    assert [row[1] for row in company.rows(landed)] == ["10", "9"]
    assert landed.ledgers[0].file == "SHOP_DB/query orders"


@pytest.mark.parametrize(
    "query",
    ["delete from orders", "select 1; delete from orders", "select 1) as x; delete from orders --"],
)
def test_a_query_cannot_write(shop, url, query):
    company = shop(url, f"query = {json.dumps(query)}")
    company.run(*ORDERS)
    with pytest.raises(CjkitError, match="SHOP_DB/query orders cannot be read") as error:
        company.land()
    assert "syntax" in told(error)
    with company.database.connect() as connection:
        assert connection.exec_driver_sql("select count(*) from orders").scalar() == 4


def test_an_empty_table_is_landed_with_nothing(shop, url):
    company = shop(url)
    company.run(*ORDERS[:2])
    landed = company.land()
    assert (landed.ledgers[0].read, company.rows(landed)) == (0, [])


def test_a_read_that_breaks_leaves_what_was_landed_before(shop, postgres):
    company = shop(postgres)
    company.run(*ORDERS)
    (before,) = company.land().folders
    before_ = (company.folder / "journey.toml").read_text()
    broken = "select 20000 / (19999 - n) as id, 'a' as who, '' as at, 1 as amount, 1 as paid, "
    broken += "'' as kind, '' as detail from generate_series(1, 30000) as n"
    (company.folder / "journey.toml").write_text(
        before_.replace('table = "orders"', f"query = {json.dumps(broken)}", 1)
    )
    with pytest.raises(
        CjkitError, match=r"SHOP_DB/query orders cannot be read: division by zero\."
    ):
        company.land()
    assert list((company.project.state_folder / "landed").iterdir()) == [before]
    assert not list(company.project.fetched_folder.glob("*/*"))


def test_a_source_may_look_up_a_table(shop, postgres):
    company = shop(postgres)
    company.run(
        *ORDERS,
        "drop table if exists people",
        "create table people (login text, mail text)",
        "insert into people values ('ann', 'ann@example.jp')",
    )
    added = """lookup.person = { source = "people", key = "login", on = "who" }
[sources.people]
url = "${SHOP_DB}"
table = "public.people"
mapping = { system = "People", ids = {} }
"""
    written = (company.folder / "journey.toml").read_text()
    first, mark, rest = written.partition('system = "Shop"\n')
    lookup, _, source = added.partition("\n")
    rest = rest.replace('x_page = "detail.page"', 'x_page = "person.mail"')
    (company.folder / "journey.toml").write_text(f"{first}{mark}{lookup}\n{rest}\n{source}")
    landed = company.land()
    rows = company.engine.query(f"from '{landed.folders[0]}/orders.parquet' order by record_no")
    assert rows["x_page"].fillna("").tolist() == ["", "", "ann@example.jp"]
    company.run("update people set mail = 'ann@example.com'")
    assert company.land().made == 2


def break_url(url, **parts):
    if "drivername" in parts:
        return f"{parts['drivername']}{url[url.index(':') :]}"
    return sqlalchemy.make_url(url).set(**parts).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"port": 1}, r"no server answers at 127\.0\.0\.1:1: see whether it runs, and to SHOP_DB"),
        ({"password": "s3cret-wrong"}, "refuses the login: see to the user and the password"),
        ({"username": "s3cret-user"}, "refuses the login: see to the user and the password"),
        ({"database": "stock"}, "no database 'stock'"),
        ({"drivername": "snowflake"}, "no driver for 'snowflake' is installed"),
        ({"drivername": "postgresql+psycopg2"}, r"pip install 'cjkit\[databases\]'"),
    ],
)
def test_a_database_that_cannot_be_opened_says_why_and_no_secret(
    shop, url, parts, message, monkeypatch
):
    company = shop(url)
    monkeypatch.setenv("SHOP_DB", break_url(url, **parts))
    with pytest.raises(CjkitError, match=message) as error:
        company.land()
    assert check_project(company.project).faults == (told(error),)


@pytest.mark.parametrize(
    ("options", "is_encrypted"),
    [
        ("sslmode=disable", False),
        ("sslmode=prefer", True),
        ("sslmode=require", True),
        ("sslmode=verify-ca&sslrootcert={certificate}", True),
    ],
)
def test_sslmode_means_what_postgresql_means(options, is_encrypted, secured, monkeypatch):
    url, certificate = secured
    monkeypatch.setenv("SHOP_DB", f"{url}?{options.format(certificate=certificate)}")
    with connected("SHOP_DB", Path("SHOP_DB/orders")) as connection:
        asked = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
        assert connection.exec_driver_sql(asked).scalar() is is_encrypted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("sslmode=verify-ca", "cannot be read: .*certificate verify failed"),
        ("sslmode=verify-full&sslrootcert={certificate}", "not valid for '127.0.0.1'"),
        ("sslmode=verify-full&sslrootcert=/s3cret.crt", "sslrootcert is no file .*No such file"),
        ("sslmode=requires", "sslmode is none that PostgreSQL knows. Did you mean 'require'"),
    ],
)
def test_a_server_that_cannot_be_trusted_is_not_read(options, message, shop, secured, monkeypatch):
    url, certificate = secured
    company = shop(url)
    monkeypatch.setenv("SHOP_DB", f"{url}?{options.format(certificate=certificate)}")
    with pytest.raises(CjkitError, match=message) as error:
        company.land()
    told(error)


def test_an_option_that_no_driver_knows_is_named(shop, url, monkeypatch):
    company = shop(url)
    monkeypatch.setenv("SHOP_DB", f"{url}?tokenn=s3cret")
    with pytest.raises(CjkitError, match=r"cannot be read: .*tokenn") as error:
        company.land()
    told(error)


def test_a_connection_that_is_lost_leaves_nothing(shop, postgres, monkeypatch, capfd):
    company = shop(postgres)
    company.run(*ORDERS)
    stream = DatabaseTable._stream

    def cut(self, connection, key):
        yield next(stream(self, connection, key))[:1]
        company.run(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() "
            "and backend_type = 'client backend'"
        )
        yield from stream(self, connection, key)

    monkeypatch.setattr(DatabaseTable, "_stream", cut)
    with pytest.raises(CjkitError, match="SHOP_DB/orders cannot be read") as error:
        company.land()
    told(error)
    assert not list((company.project.state_folder / "landed").iterdir())
    assert not list(company.project.fetched_folder.glob("*/*"))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "given", ["s3cret@word", "", "reader:s3cret@word/shop", "a://b:s3cret@c:d/e"]
)
def test_what_is_no_url_is_not_repeated(shop, postgres, given, monkeypatch):
    company = shop(postgres)
    monkeypatch.setenv("SHOP_DB", given)
    with pytest.raises(CjkitError, match="SHOP_DB holds no URL of a database") as error:
        company.land()
    told(error)


def test_a_variable_that_is_not_set_is_named(shop, postgres, monkeypatch):
    company = shop(postgres)
    monkeypatch.delenv("SHOP_DB")
    with pytest.raises(
        CjkitError, match=r"sources.orders.url: the environment variable SHOP_DB is"
    ):
        company.land()


def test_what_lacks_is_said_with_the_nearest_before_a_row_is_read(shop, url):
    company = shop(url, 'table = "order"')
    company.run(*ORDERS, "create table if not exists empty_one (a int)")
    with pytest.raises(
        CjkitError, match=r"table 'order' is not in SHOP_DB\. Did you mean 'orders'"
    ):
        company.land()
    (company.folder / "journey.toml").write_text(
        (company.folder / "journey.toml")
        .read_text()
        .replace('"order"', '"orders"')
        .replace('revenue = "amount"', 'revenue = "amuont"')
    )
    message = r"column 'amuont' is not in SHOP_DB/orders. Did you mean 'amount'"
    with pytest.raises(CjkitError, match=message):
        company.land()
    (fault,) = check_project(company.project).faults
    assert "Did you mean 'amount'" in fault


def test_a_schema_is_named_before_a_dot(shop, postgres):
    company = shop(postgres, 'table = "old stock.orders"')
    company.run('drop schema if exists "old stock" cascade', 'create schema "old stock"')
    with pytest.raises(CjkitError, match="It has none"):
        company.land()
    company.run(*(line.replace("orders", '"old stock".orders') for line in ORDERS[1:]))
    assert len(company.rows(company.land())) == 3


def test_without_the_extra_the_message_names_it(shop, postgres, monkeypatch):
    company = shop(postgres)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(
        CjkitError, match=r"SHOP_DB/orders is in a database: pip install 'cjkit\[dat"
    ):
        company.land()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('url = "postgresql://reader:s3cret@x/y"\ntable = "t"', "name the environment variable"),
        ('url = "${A}${B}"\ntable = "t"', "such as '\\${SHOP_DB}'"),
        ('files = ["a"]\nurl = "${A}"\ntable = "t"', "one of them"),
        ('url = "${A}"', "name a table of the database, or write a query"),
        ('url = "${A}"\ntable = "t"\nquery = "q"', "name a table of the database, or write a"),
        ('files = ["a"]\nupdated = "t"', "go with the url of a database"),
        ("required = true", "name its files, or the url of a database"),
    ],
)
def test_a_source_is_files_or_a_table(tmp_path, source, message):
    text = PROJECT.replace('url = "${SHOP_DB}"\n', "").replace("SOURCE", source)
    (tmp_path / "journey.toml").write_text(text)
    with pytest.raises(CjkitError, match=message) as error:
        read_project(tmp_path / "journey.toml")
    told(error)


def test_nothing_in_clear_and_no_secret_stays_after_prepare(shop, postgres):
    company = shop(postgres)
    company.run(*ORDERS, "insert into orders values (5, 'hanako@example.jp', '2026-05-02', 7)")
    path = company.folder / "journey.toml"
    path.write_text(path.read_text().replace('[privacy]\npseudonyms = "plain"\n', ""))
    first = prepare(company.project)
    assert (first.is_new, prepare(company.project).is_new) == (True, False)
    state = company.project.state_folder.parent
    assert not list(state.glob("*/fetched"))
    held = b"".join(file.read_bytes() for file in company.folder.rglob("*") if file.is_file())
    assert b"SHOP_DB/orders" in held
    assert not [word for word in ("s3cret", "hanako", "reader:") if word.encode() in held]
    with open_vault(
        company.project.state_folder / "vault.sqlite", project_key(company.project)
    ) as vault:
        (landed,) = (company.project.state_folder / "landed").iterdir()
        (frame,) = vault.records(landed.name)
    assert "yesterday" in [json.loads(record)["at"] for record in frame["record"]]


def land_apart(folder):
    """Land in a process of its own; return how many records were read, and its peak in MB."""
    landed = land(read_project(folder / "journey.toml"), DuckDB(threads=2, memory="1GB"))
    return landed.ledgers[0].read, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.mark.long
def test_a_million_rows_land_within_a_gigabyte_and_a_quarter(shop, postgres):
    company = shop(postgres)
    company.run(
        *ORDERS[:2],
        """insert into orders select i, 'customer-' || i % 5000, '2026-05-01 10:00', i * 1.25,
            true, 'web', json_build_object('page', '/p/' || i % 100)
            from generate_series(1, 1000000) as i""",
    )
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        read, peak = pool.apply(land_apart, [company.folder])
    assert read == 1_000_000
    assert peak < 1250


def test_rows_stream_in_little_memory(shop, url):
    """Held at once, 30,000 rows of 1 kB would take 30 MB and more."""
    company = shop(url, 'table = "orders"')
    company.run(
        *ORDERS[:2],
        "alter table orders add column more text",
        *(
            f"insert into orders (id, more) values {', '.join(rows)}"
            for rows in [
                [f"({first + n}, '{'x' * 1000}')" for n in range(5_000)]
                for first in range(0, 30_000, 5_000)
            ]
        ),
    )
    engine, path = DuckDB(threads=1), company.folder / "orders.parquet"
    mapping = read_mappings(company.project)["orders"]
    table = DatabaseTable("orders", company.project.sources["orders"], mapping)
    table.unmapped()  # what is loaded once
    tracemalloc.start()
    try:
        table.fetch(engine, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6
    assert engine.query(f"select count(*) as n from '{path}'")["n"].tolist() == [30_000]
