"""The engine: quoting, batches, quantiles, whole files, and its own mess tidied."""

import os

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, column, text

HOSTILE = ['a "b"', "it's", "x; drop table t", "日本\\", "{0}", ""]


@pytest.fixture
def engine(tmp_path):
    engine = DuckDB(threads=1, spill=tmp_path / "spill")
    yield engine
    engine.close()


@pytest.mark.parametrize("name", HOSTILE[:-1])
def test_any_name_and_any_text_pass_through_sql_unchanged(engine, name):
    table = engine.add(name, pd.DataFrame({name: [name]}))
    found = engine.query(f"select * from {table} where {column(name)} = {text(name)}")
    assert found.columns.tolist() == [name]
    assert found.iloc[0, 0] == name


def test_batches_stream_every_row_while_other_statements_run(engine):
    seen = []
    for frame in engine.batches("select range as x from range(500_000)", rows=100_000):
        assert len(frame) <= 100_000
        engine.query("select 1")
        seen.append(frame["x"].sum())
    assert len(seen) >= 5
    assert sum(seen) == 500_000 * 499_999 // 2


def test_a_table_is_written_from_batches_or_not_at_all(engine):
    frames = (pd.DataFrame({"x": [k, k]}) for k in range(3))
    assert engine.write_table("t", frames).count() == 6

    def broken():
        yield pd.DataFrame({"x": [9]})
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError):
        engine.write_table("t", broken())
    assert engine.table("t").count() == 6
    with pytest.raises(CjkitError, match="No rows were given"):
        engine.write_table("empty", [])


def test_quantiles_agree_with_numpy_in_every_group(engine, rng):
    frame = pd.DataFrame({"g": rng.integers(0, 4, 500), "v": rng.normal(size=500)})
    frame.loc[::7, "v"] = np.nan
    table = engine.add("t", frame)
    at = [0.025, 0.5, 0.9]
    found = engine.quantiles(
        f"(select g, nullif(v, 'nan'::double) as v from {table})", "v", at, ["g"]
    )
    assert found.columns.tolist() == ["g", "n", "p2_5", "p50", "p90"]
    for row, (_, group) in zip(found.itertuples(), frame.groupby("g"), strict=True):
        known = group["v"].dropna()
        assert row.n == len(known)
        assert np.allclose([row.p2_5, row.p50, row.p90], np.quantile(known, at))


def test_a_file_appears_only_when_it_is_whole(engine, tmp_path):
    path = tmp_path / "out.parquet"
    with pytest.raises(Exception, match=r"(?i)division|error|not readable"):
        engine.copy("select error('not readable') from range(10)", path)
    assert list(tmp_path.glob("out*")) == []
    engine.copy("select 1 as x", path)
    assert engine.query(f"select x from {text(str(path))}")["x"].tolist() == [1]


def test_parts_stand_in_their_order_and_appear_only_when_all_are_whole(tmp_path):
    engine, folder = DuckDB(threads=3), tmp_path / "out.parquet"
    broken = "select error('not readable') from range(10)"
    endless = "select count(*) as x from range(1000000000) as a, range(1000000000) as b"
    with pytest.raises(Exception, match="not readable"):
        engine.copy_parts([endless, "select 1 as x", broken], folder)
    assert list(tmp_path.glob("out*")) == []
    zone = "current_setting('TimeZone') as zone"
    parts = [f"select x, {zone} from range({n}, {n + 9000}) as t(x)" for n in (20_000, 10_000, 0)]
    for _ in range(2):
        engine.copy_parts(parts, folder)
    found = engine.query(f"select * from read_parquet({text(str(folder))})")
    expected = np.concatenate([np.arange(n, n + 9000) for n in (20_000, 10_000, 0)])
    assert found["x"].tolist() == expected.tolist()
    assert set(found["zone"]) == {"UTC"}
    settings = engine.query("select current_setting('external_threads') as n")
    assert (settings["n"].iloc[0], engine.threads) == (1, 3)


def test_spill_folders_of_dead_processes_are_removed_and_those_of_living_ones_kept(tmp_path):
    spill = tmp_path / "spill"
    (spill / "999999999-dead").mkdir(parents=True)
    (spill / f"{os.getpid()}-alive").mkdir()
    DuckDB(spill=spill).close()
    assert [folder.name for folder in spill.iterdir()] == [f"{os.getpid()}-alive"]


def test_what_does_not_fit_in_memory_spills_into_a_folder_that_is_made_for_it(tmp_path):
    engine = DuckDB(threads=1, memory="60MB", spill=tmp_path / "not" / "there" / "yet")
    found = engine.query(
        "select max(place) as n from (select row_number() over (order by hash(i)) as place"
        " from range(4000000) as numbers(i)) as placed"
    )
    assert found["n"].tolist() == [4_000_000]


def test_an_unknown_table_is_named_with_the_nearest(engine):
    engine.add("customers", pd.DataFrame({"x": [1]}))
    with pytest.raises(CjkitError, match="Did you mean 'customers'"):
        engine.table("custmers")


def test_nothing_is_fetched_at_run_time(engine):
    with pytest.raises(Exception, match=r"(?i)extension|httpfs|not.*load"):
        engine.query("select * from 'https://example.com/x.parquet'")
