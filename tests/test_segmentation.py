import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, text
from cjkit.labels import label
from cjkit.plots.theme import theme
from cjkit.privacy import mask
from cjkit.segmentation import (
    RFM_RULES,
    Rule,
    assign_segments,
    check_rules,
    compare_segments,
    measure_grid,
)

DAY = 86_400_000_000
LATE = 20_000 * DAY  # a midnight in 2024


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def build_orders(rows):
    """Build orders from (customer, order, days before LATE, revenue, is_return)."""
    table = pd.DataFrame(rows, columns=["customer_id", "order_id", "days", "revenue", "is_return"])
    table["ordered_us"] = (LATE - table.pop("days") * DAY).astype("int64")
    table = table.astype({"revenue": float, "is_return": "boolean"})
    return DuckDB(threads=1).add("orders", table)


def customers_of(segments):
    found = segments.customers.engine.query(f"select * from {segments.customers}")
    return found.set_index("customer_id").sort_index()


def test_figures_of_a_customer_are_net_and_count_orders_that_are_no_returns():
    orders = build_orders(
        [
            ("ann", "1", 40, 10, False),
            ("ann", "1", 40, 5, False),
            ("ann", "2", 3.5, 20, None),
            ("ann", "r1", 1, -8, True),
            (None, "3", 2, 99, False),
            ("bob", "r9", 2, -5, True),
            ("cas", "4", 0, 7, False),
        ]
    )
    found = customers_of(assign_segments(orders, as_of_us=LATE))
    assert found.index.tolist() == ["ann"]
    assert found.loc["ann", ["orders", "revenue", "recency_days"]].tolist() == [2, 27, 3]
    found = customers_of(assign_segments(orders))
    assert found["recency_days"].to_dict() == {"ann": 3, "cas": 0}


def test_scores_are_the_fifth_of_the_average_rank(rng):
    for size in (1, 2, 7, 40, 203):
        orders = build_orders(
            [
                (f"c{n:03d}", f"{n}-{k}", rng.integers(1, 12), rng.integers(1, 9), False)
                for n in range(size)
                for k in range(rng.integers(1, 5))
            ]
        )
        found = customers_of(assign_segments(orders, as_of_us=LATE))
        for score, value in (
            ("recency_score", -found["recency_days"]),
            ("frequency_score", found["orders"]),
            ("monetary_score", found["revenue"]),
        ):
            expected = np.ceil((5 * value.rank() / size).round(9)).astype(int)
            assert found[score].tolist() == expected.tolist()


def test_each_customer_has_the_one_segment_whose_rule_holds(rng):
    orders = build_orders(
        [
            (f"c{rng.integers(0, 80)}", f"{n}", rng.integers(1, 90), rng.integers(1, 50), False)
            for n in range(250)
        ]
    )
    segments = assign_segments(orders, as_of_us=LATE)
    found = customers_of(segments)
    for row in found.itertuples():
        holding = [
            rule.segment
            for rule in RFM_RULES
            if rule.recency[0] <= row.recency_score <= rule.recency[1]
            and rule.frequency[0] <= row.frequency_score <= rule.frequency[1]
        ]
        assert holding == [row.segment]
    table = segments.table.set_index("segment")
    assert table["customers"].to_dict() == found["segment"].value_counts().to_dict()
    assert table["segment_share"].sum() == pytest.approx(1)
    assert table["revenue_share"].sum() == pytest.approx(1)
    for name, own in found.groupby("segment"):
        row = table.loc[name]
        assert row["revenue"] == pytest.approx(own["revenue"].sum())
        assert row["average_order_value"] == pytest.approx(
            own["revenue"].sum() / own["orders"].sum()
        )
        assert row["recency_days"] == own["recency_days"].median()
        if len(own) > 1:
            assert row["customer_value_low"] < own["revenue"].mean() < row["customer_value_high"]
            assert row["average_order_value_low"] <= row["average_order_value"]


def test_a_share_of_no_revenue_is_missing():
    segments = assign_segments(build_orders([("ann", "1", 3, 0, False)]))
    assert segments.table["revenue_share"].isna().all()
    assert segments.table["average_order_value_low"].isna().all()


@pytest.mark.parametrize("size", [1, 6, 60])
def test_the_limits_of_fifths_put_the_same_people_into_the_same_scores_at_any_time(rng, size):
    rows = [
        (f"c{n:03d}", f"{n}-{k}", rng.integers(1, 40), round(rng.gamma(2, 30), 2), False)
        for n in range(size)
        for k in range(rng.integers(1, 4))  # most scores of frequency have nobody
    ]
    first = assign_segments(build_orders(rows), as_of_us=LATE)
    again = assign_segments(build_orders(rows), as_of_us=LATE, cuts=first.cuts)
    pd.testing.assert_frame_equal(customers_of(first), customers_of(again))
    assert again.cuts == first.cuts
    # Newcomers who are better than all push the fifths up, and nobody out of a segment.
    best = [(f"n{n:03d}", f"n{n}-{k}", 0.5, 9_999, False) for n in range(size) for k in range(9)]
    grown = build_orders([*rows, *best])
    kept = customers_of(assign_segments(grown, as_of_us=LATE, cuts=first.cuts))
    scores = ["segment", "recency_score", "frequency_score", "monetary_score"]
    old = kept.loc[customers_of(first).index, scores]
    pd.testing.assert_frame_equal(old, customers_of(first)[scores])
    assert (kept.loc[[row[0] for row in best], "frequency_score"] == 5).all()
    moved = customers_of(assign_segments(grown, as_of_us=LATE)).loc[old.index, "frequency_score"]
    assert (moved < old["frequency_score"]).any()


def test_without_orders_there_are_no_segments_and_the_pages_say_so():
    orders = build_orders([(None, "1", 3, 5, False)])
    segments = assign_segments(orders)
    grid = measure_grid(segments.customers)
    assert segments.table.empty
    assert segments.finding("en") == grid.finding("en") == label("no_orders", "en")
    assert grid.table["customers"].tolist() == [0] * 25


def test_the_grid_counts_all_pairs_of_scores():
    orders = build_orders([(f"c{n}", f"{n}", n % 9, n, False) for n in range(1, 40)])
    segments = assign_segments(orders, as_of_us=LATE + DAY)
    grid = measure_grid(segments.customers)
    assert len(grid.table) == 25
    assert grid.table["customers"].sum() == 39
    by_segment = grid.table.groupby("segment")["customers"].sum()
    expected = segments.table.set_index("segment")["customers"]
    assert by_segment[by_segment > 0].to_dict() == expected.to_dict()


def test_segments_of_two_moments_are_compared():
    orders = build_orders([(f"c{n}", f"{n}", n, 10, False) for n in range(1, 41)])
    now = assign_segments(orders, as_of_us=LATE)
    before = assign_segments(orders, as_of_us=LATE - 20 * DAY, name="rfm_before")
    change = compare_segments(now, before)
    assert change.table["customers"].sum() == 40
    assert change.table["previous_customers"].sum() == 20
    assert change.table["segment_share"].sum() == pytest.approx(1)
    assert now.customers.count() == 40
    assert "champions" not in change.finding("en")
    assert "{" not in change.finding("ja")
    assert len(change.plot().patches) == 2 * len(change.table)
    other = [Rule("all", (1, 5), (1, 5))]
    with pytest.raises(CjkitError, match="different rules"):
        compare_segments(now, assign_segments(orders, rules=other, name="all"))


def test_results_can_be_masked_shown_and_said():
    orders = build_orders([(f"c{n}", f"{n}", n % 9, n, False) for n in range(1, 40)])
    segments = assign_segments(orders, as_of_us=LATE + DAY)
    results = (segments, measure_grid(segments.customers), compare_segments(segments, segments))
    for result in results:
        for shown in (mask(result, 6), mask(result, 99)):
            assert "nan" not in shown.finding("en").lower()
            assert shown.plot(language="en").get_figure() is not None


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (RFM_RULES[1:], "recency score 4 with frequency score 4 belongs to no segment"),
        ((*RFM_RULES, Rule("best", (5, 5), (5, 5))), "belongs to 'champions' and 'best'"),
    ],
)
def test_rules_must_hold_every_pair_of_scores_once(rules, message):
    with pytest.raises(CjkitError, match=message):
        check_rules(rules)


def test_every_segment_has_a_name_in_both_languages():
    for rule in RFM_RULES:
        term = f"segment.{rule.segment}"
        assert label(term, "en") != term != label(term, "ja") != label(term, "en")


def test_pictures_draw_every_segment_and_cell():
    orders = build_orders([(f"c{n}", f"{n}", n % 9, n, False) for n in range(1, 40)])
    segments = assign_segments(orders, as_of_us=LATE + DAY)
    with theme("ja"):
        bars = segments.plot(language="ja")
        assert len(bars.patches) == 2 * len(segments.table)
        heat = measure_grid(segments.customers).plot(language="ja")
        written = [t.get_text() for t in heat.texts]
        assert sum(int(t) for t in written if t.isdigit()) == 39
        assert {t for t in written if not t.isdigit()} == {
            label(f"segment.{rule.segment}", "ja") for rule in RFM_RULES
        }


def test_online_retail_has_the_scores_that_were_checked_elsewhere(real_data):
    path = real_data / "online_retail" / "online_retail_2009_2010.parquet"
    engine = DuckDB()
    orders = engine.materialize(
        "orders",
        f"""select "Customer ID"::varchar as customer_id, Invoice as order_id,
            epoch_us(InvoiceDate::timestamp) as ordered_us, Quantity * Price as revenue,
            false as is_return
        from {text(str(path))} where Quantity > 0 and Price > 0""",
    )
    snapshot = pd.Timestamp("2010-12-10").value // 1000
    segments = assign_segments(orders, as_of_us=snapshot)
    found = customers_of(segments)
    assert len(found) == 4312
    assert found["orders"].sum() == 19213
    assert found["revenue"].sum() == pytest.approx(8832003.274, abs=0.0005)
    scores = {score: found[f"{score}_score"].value_counts() for score in ("frequency", "recency")}
    assert scores["frequency"].to_dict() == {1: 1419, 3: 1335, 4: 616, 5: 942}
    assert scores["recency"].to_dict() == {1: 864, 2: 864, 3: 870, 4: 808, 5: 906}
    champions = segments.table.iloc[0]
    assert (champions["segment"], champions["customers"]) == ("champions", 1005)
    assert champions["revenue_share"] == pytest.approx(0.647, abs=0.0005)
