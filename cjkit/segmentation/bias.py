"""Who is missing from the segments, and how they would change if the missing were like others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table, column, text
from cjkit.labels import (
    Language,
    display_name,
    format_number,
    format_percent,
    format_signed,
    format_sizes,
    label,
)
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Totals
from cjkit.segmentation.definition import learn_axes, scale
from cjkit.segmentation.features import Features
from cjkit.statistics import Floats, one_thread

NO_ORDER = "no_order"
"""The place of people who are known and have not bought."""

_NEIGHBOURS = 15
_KNOWN, _MISSING = 20_000, 5_000
_OF_BUYING = ("days", "revenue", "lines", "discount_rate")
_BUYING = ("orders", "days_between_orders", "recency_days", "purchases_a_visit")


@dataclass(frozen=True)
class MissingPeople:
    """What `measure_missing` found.

    Attributes
    ----------
    table : DataFrame, one row for each group of missing people and segment
        `missing` ('guests': orders that nobody's id stands on, each taken for a person;
        'no_profile': people seen without a profile), `people` (of the group), `segment` (or
        `no_order`), `customers` (known ones in it), `customers_share` (of all known ones),
        `share_if` (of all, were the missing like their nearest neighbours), `share_change` (the
        difference of the two) with `share_change_low` and `share_change_high` (95%; of the draw of
        the missing, not of the assumption).
    sql : tuple of str
    method : str
    """

    table: pd.DataFrame
    sql: tuple[str, ...]
    method: str = f"{_NEIGHBOURS} nearest neighbours on scaled features, of samples"

    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("customers", "people"),
        ("customers_share", "share_if", "share_change", "share_change_low", "share_change_high"),
    )
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers", ("missing",)),)
    formats: ClassVar[dict[str, str]] = {
        "missing": "missing_people", "share_if": "rate", "share_change": "rate",
    }  # fmt: skip

    @property
    def largest(self) -> pd.Series[Any] | None:
        """The row of the share that would change most; None where nobody is missing."""
        known = self.table.dropna(subset="share_change")
        if known.empty:
            return None
        return known.iloc[int(np.argmax(known["share_change"].abs().to_numpy(float)))]

    def finding(self, language: Language) -> str:
        """Say which share would change most."""
        row = self.largest
        if row is None:
            return label("nobody_missing", language)
        return label(
            "missing_finding",
            language,
            people=format_number(row["people"], language),
            missing=display_name(row["missing"], "missing_people", language),
            segment=display_name(row["segment"], "segment", language),
            now=format_percent(row["customers_share"], language),
            then=format_percent(row["share_if"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw by how many points each share would change."""
        rows = self.table.dropna(subset="share_change")
        ax = draw_rates(
            [
                f"{display_name(missing, 'missing_people', language)}: "
                f"{display_name(segment, 'segment', language)}"
                for missing, segment in zip(rows["missing"], rows["segment"], strict=True)
            ],
            rows["share_change"].tolist(),
            rows["share_change_low"].tolist(),
            rows["share_change_high"].tolist(),
            format_sizes(rows["people"], language),
            zero=True,
            ax=ax,
        )
        ax.xaxis.set_major_formatter(
            lambda value, _: format_signed(100 * value, language, digits=1)
        )
        ax.set_xlabel(label("points_of_share", language))
        return ax


def measure_missing(
    segments: Table,
    orders: Table,
    features: Features | None = None,
    customers: Table | None = None,
    *,
    seed: int = 0,
) -> MissingPeople:
    """Ask how segments would change if those who are missing from them were like those who are not.

    An order of a guest is taken for a person and compared with the last orders of known customers,
    by its day, revenue, lines and discounts. Somebody without a profile is compared with people who
    have one by what they did (features without orders); then people who have not bought are a
    segment of their own. Of the 15 nearest the shares of the segments are taken: an assumption that
    no data can prove, since the missing may be missing because they differ.

    Parameters
    ----------
    segments : Table
        `customer_id`, `segment`.
    orders : Table
        Reads `customer_id`, `order_id`, `ordered_us`, `revenue`, `discount`, `is_return`.
    features : Features, optional
        Of everybody (`who='everyone'`), with events.
    customers : Table, optional
        With the column `has_profile`. Without both, people without a profile are left out.
    seed : int, default 0
        Which people are drawn.
    """
    statements: list[str] = []
    tables = []
    guests, known, sql = _buyings(orders, segments, seed)
    statements += sql
    tables.append(_compare("guests", guests, known))
    if features is not None and customers is not None and "has_profile" in customers.columns:
        without, known, sql = _profiles(features, segments, customers, seed)
        statements += sql
        tables.append(_compare("no_profile", without, known))
    return MissingPeople(pd.concat(tables, ignore_index=True), tuple(statements))


@dataclass(frozen=True)
class _People:
    """A sample of people with numbers (and `segment`, where it is known), and how many in all."""

    drawn: pd.DataFrame
    sizes: pd.Series[Any]


def _buyings(orders: Table, segments: Table, seed: int) -> tuple[_People, _People, list[str]]:
    """Return the orders of guests, and the last orders of known customers."""
    each = f"""
        select order_id, max(customer_id) as customer_id, max(ordered_us) as ordered_us,
            max(ordered_us) / 86400000000.0 as days, sum(revenue) as revenue, count(*) as lines,
            avg(case when discount > 0 then 1.0 else 0.0 end) as discount_rate
        from {orders} as lines where not coalesce(is_return, false) group by order_id"""
    guests = f"select *, null as segment from ({each}) as each_order where customer_id is null"
    last = f"""
        select last.*, own.segment from (select *, row_number() over (
                partition by customer_id order by ordered_us desc, order_id desc) as place
            from ({each}) as each_order where customer_id is not null) as last
        join {segments} as own on own.customer_id = last.customer_id where last.place = 1"""
    drawn = [
        _draw(orders, sql, "order_id", _OF_BUYING, most, seed)
        for sql, most in ((guests, _MISSING), (last, _KNOWN))
    ]
    return drawn[0][0], drawn[1][0], [*drawn[0][1], *drawn[1][1]]


def _profiles(
    features: Features, segments: Table, customers: Table, seed: int
) -> tuple[_People, _People, list[str]]:
    """Return people without a profile, and those with one: by what they did but buying."""
    told = features.table[
        features.table["kind"].isin(["frequency", "recency", "channel", "time", "shape", "support"])
    ]
    names = [name for name in told["feature"] if name not in _BUYING]
    drawn = []
    for has_profile, most in ((False, _MISSING), (True, _KNOWN)):
        sql = f"""
            select features.*, coalesce(own.segment, {text(NO_ORDER)}) as segment
            from {features.customers} as features
            join {customers} as people on people.customer_id = features.customer_id
            left join {segments} as own on own.customer_id = features.customer_id
            where {"" if has_profile else "not "}coalesce(people.has_profile, false)"""
        drawn.append(_draw(features.customers, sql, "customer_id", names, most, seed))
    return drawn[0][0], drawn[1][0], [*drawn[0][1], *drawn[1][1]]


def _draw(
    table: Table, sql: str, key: str, names: list[str] | tuple[str, ...], most: int, seed: int
) -> tuple[_People, list[str]]:
    sizes_sql = f"select segment, count(*) as people from ({sql}) as counted group by segment"
    drawn_sql = f"""
        select segment, {", ".join(map(column, names))} from ({sql}) as drawn
        order by md5({column(key)} || {text(f" {seed}")}), {column(key)} limit {most}"""
    sizes = table.engine.query(sizes_sql).set_index("segment")["people"]
    return _People(table.engine.query(drawn_sql), sizes), [sizes_sql, drawn_sql]


def _compare(missing: str, people: _People, known: _People) -> pd.DataFrame:
    """Compare the shares of the known with those of all, were the missing like their neighbours."""
    sizes = known.sizes.sort_index().sort_values(ascending=False, kind="stable")
    everybody, gone = float(sizes.sum()), float(people.sizes.sum())
    table = pd.DataFrame({"segment": sizes.index, "customers": sizes.to_numpy(int)})
    table.insert(0, "missing", missing)
    table.insert(1, "people", int(gone))
    table["customers_share"] = table["customers"] / (everybody or np.nan)
    if not len(people.drawn) or len(known.drawn) < _NEIGHBOURS:
        return table.iloc[:0].assign(**dict.fromkeys(_DIFFERENCES, pd.Series(dtype=float)))
    near = _neighbour_shares(people.drawn, known.drawn, list(table["segment"]))
    weight = gone / (everybody + gone)
    now = table["customers_share"].to_numpy(float)
    table["share_if"] = (1 - weight) * now + weight * near.mean(axis=0)
    table["share_change"] = table["share_if"] - now
    half = (
        1.96 * weight * near.std(axis=0, ddof=1) / np.sqrt(len(near)) if len(near) > 1 else np.nan
    )
    table["share_change_low"], table["share_change_high"] = (
        table["share_change"] - half, table["share_change"] + half
    )  # fmt: skip
    return table


_DIFFERENCES = ("share_if", "share_change", "share_change_low", "share_change_high")


def _neighbour_shares(people: pd.DataFrame, known: pd.DataFrame, segments: list[str]) -> Floats:
    """Return for each missing person the shares of the segments among the nearest known ones."""
    from sklearn.neighbors import NearestNeighbors

    axes = learn_axes(known.drop(columns="segment"))
    if not axes:
        return np.tile([(known["segment"] == name).mean() for name in segments], (len(people), 1))
    with one_thread():
        finder = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit(scale(known, axes))
        places = finder.kneighbors(scale(people, axes), return_distance=False)
    held = known["segment"].to_numpy()[places]
    return np.column_stack([(held == name).mean(axis=1) for name in segments])
