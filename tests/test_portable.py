"""The check of portable SQL itself: it passes what every engine runs and refuses the rest."""

import pytest
from portable import faults


@pytest.mark.parametrize(
    "sql",
    [
        "select a, sum(b) over (partition by a order by c rows between unbounded preceding and "
        "1 preceding) as s from t",
        "select row_number() over (partition by a order by c) as n, lag(b) over (partition by a "
        "order by c) as l from t",
        "select count(distinct case when x = 'it''s' then y end) as n from \"t\" group by z",
        "select coalesce(a, 0), greatest(a, b), cast(a as varchar) from t",
    ],
)
def test_what_every_engine_runs_is_portable(sql):
    assert faults(sql) == []


@pytest.mark.parametrize(
    "sql",
    [
        "select * from a asof join b on a.t >= b.t",
        "select list_filter(x, lambda y: y > 1) from t",
        "select [1, 2, 3] as l",
        "select string_agg(a, ',' order by b) from t",
        "select occurred_at + interval 1 day from t",
        "select epoch_us(occurred_at) from t",
        "select a from t qualify row_number() over (order by b) = 1",
        "select sum(a) over (order by b) from t",
        "select ntile(5) over (order by a) from t",
        "select quantile_cont(a, 0.5) from t",
        "select * exclude (a) from t",
        "selec a from t",
    ],
)
def test_what_some_engine_lacks_is_refused(sql):
    assert faults(sql)
