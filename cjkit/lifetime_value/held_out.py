"""What a model expected of days that are known by now, beside what happened on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cjkit.lifetime_value.comparison import Comparison
from cjkit.lifetime_value.purchases import MOST_REPEATS_SHOWN, PurchaseFit
from cjkit.lifetime_value.spend import SpendFit
from cjkit.privacy import Relation, Rest, Totals

_ACTUAL = ("actual_purchases", "actual_buyer_share", "actual_revenue")
_COUNTS = {
    "customers": (*_ACTUAL, *(name.replace("actual", "predicted") for name in _ACTUAL)),
    "actual_buyers": _ACTUAL,
}
_ADDS_UP: tuple[Relation, ...] = (
    Rest("actual_buyers", "customers"),
    *(Totals(count) for count in _COUNTS),
)


def comparison(table: pd.DataFrame, group: str, sql: tuple[str, ...]) -> Comparison:
    """Return what `average` found for groups, to be shown by purchases a customer."""
    return Comparison(table, "purchases", group, _COUNTS, _ADDS_UP, sql)


def score(fit: PurchaseFit, spend: SpendFit | None, horizon: float) -> pd.DataFrame:
    """Give each history what was predicted for its customers; missing where not fitted."""
    history = fit.histories.times(fit.unit)
    scored = fit.histories.table.assign(predicted=np.nan, probability=np.nan, revenue=np.nan)
    if fit.estimate is None:
        return scored.iloc[:0]
    scored["predicted"] = fit.fitted.expected_purchases(horizon, *history)
    scored["probability"] = fit.fitted.buy_probability(horizon, *history)
    if spend is not None:
        mean = scored["repeat_spend"] / scored["customers"]
        scored["revenue"] = scored["predicted"] * spend.fitted.expected_spend(history[0], mean)
    return scored


def compare_repeats(scored: pd.DataFrame, sql: tuple[str, ...]) -> Comparison:
    """Compare customers by how often they had bought again."""
    most = MOST_REPEATS_SHOWN
    table = average(scored, "repeats", scored["repeats"].clip(upper=most))
    table["repeats"] = [f"{most}+" if k == most else str(k) for k in table["repeats"]]
    return comparison(table, "repeats", sql)


def compare_deciles(scored: pd.DataFrame, sql: tuple[str, ...]) -> Comparison:
    """Compare tenths of the customers by what was predicted; equal predictions are never parted."""
    ranked = scored.sort_values("predicted", ascending=False)
    reached = ranked.groupby("predicted", sort=False)["customers"].sum().cumsum()
    before = reached.shift(fill_value=0) / max(reached.max(), 1) if len(reached) else reached
    decile = (ranked["predicted"].map(before) * 10).astype(int) + 1
    table = average(ranked, "decile", decile)
    return comparison(table, "decile", sql)


def average(scored: pd.DataFrame, name: str, group: pd.Series[Any]) -> pd.DataFrame:
    """Average what happened and what was predicted over the customers of each group."""
    n = scored["customers"]
    sums = pd.DataFrame(
        {
            name: group,
            "customers": n,
            "actual_buyers": n * (scored["later_purchases"] > 0),
            "actual_purchases": n * scored["later_purchases"],
            "predicted_purchases": n * scored["predicted"],
            "actual_buyer_share": n * (scored["later_purchases"] > 0),
            "predicted_buyer_share": n * scored["probability"],
            "actual_revenue": scored["later_spend"],
            "predicted_revenue": n * scored["revenue"],
        }
    )
    table: pd.DataFrame = sums.groupby(name, as_index=False).sum(min_count=1)
    for mean in table.columns[3:]:
        table[mean] = table[mean] / table["customers"]
    return table
