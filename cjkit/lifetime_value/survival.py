"""Who stays under contract: survival as counted."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import parse_duration, unknown_name
from cjkit.engine import Table, text
from cjkit.events import split_by
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.lifetime_value.clock import number_days
from cjkit.lifetime_value.histories import Obstacle, day, end_of
from cjkit.lifetime_value.life_table import compare_survival, survive
from cjkit.plots.lines import Line, draw_lines
from cjkit.privacy import Equation, Relation, Totals

SURVIVAL = ("survival_rate", "survival_rate_low", "survival_rate_high")
NO_CONTRACT = Obstacle("no_contract")
NOBODY_SIGNED = Obstacle("nobody_signed")


@dataclass(frozen=True)
class Survival:
    """How many customers are still under contract, by time since it began.

    Attributes
    ----------
    table : DataFrame, one row for each period since (and each group of `by`)
        `group`, `period_no` (complete periods since the contract began), `at_risk` (customers
        under contract at its beginning and observed since), `lost` and `censored` in it (last
        seen under contract), `survival_rate` at its end (Kaplan-Meier, to the day; 0 to 1) with its
        interval.
    period : Timedelta
    until : date
    by : str or None
    p_value : float
        Of the log-rank test that all groups stay alike; missing without groups.
    obstacle : Obstacle or None
        Why there is nothing to count: nobody is under contract.
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "at_risk": ("lost", "censored", *SURVIVAL),
        "lost": (),
        "censored": (),
        "survival_rate": SURVIVAL[1:],
    }
    beside: ClassVar[tuple[str, ...]] = ("survival_rate",)
    formats: ClassVar[dict[str, str]] = {"group": "attribute"}

    table: pd.DataFrame
    period: pd.Timedelta
    until: datetime.date
    by: str | None
    p_value: float
    obstacle: Obstacle | None
    sql: tuple[str, ...]

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Whoever is not at risk in the next period was lost or last seen.

        Of two rates that follow each other a reader can compute the losses between them.
        """
        relations: list[Relation] = []
        for rows in self.table.reset_index(drop=True).groupby("group", sort=False).indices.values():
            at_risk, lost, censored, rate = (
                [(name, int(row)) for row in rows]
                for name in ("at_risk", "lost", "censored", "survival_rate")
            )
            for k in range(len(rows)):
                gone = (lost[k], censored[k], *at_risk[k + 1 : k + 2])
                relations.append(Equation((at_risk[k],), gone))
                relations.append(Equation((*rate[max(k - 1, 0) : k], lost[k]), (rate[k],)))
        if self.by is not None:
            names = ("at_risk", "lost", "censored")
            relations += [Totals(name, ("period_no",)) for name in names]
        return tuple(relations)

    def finding(self, language: Language = "en") -> str:
        """Say how many stay for how long or, of groups, whether they differ."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        if self.by is not None:
            term = "finding_survival_differs" if self.p_value < 0.05 else "finding_survival_alike"
            p = format_number(self.p_value, language, digits=3)
            return label(term, language, p="< 0.001" if self.p_value < 0.0005 else f"= {p}")
        rows = well_observed(self.table)
        if rows.empty:
            return label("no_survival", language)
        row = rows.iloc[-1]
        return label(
            "finding_survival",
            language,
            periods=format_number(row["period_no"], language),
            days=format_number(self.period / pd.Timedelta(days=1), language, digits=1),
            rate=format_percent(row["survival_rate"], language),
            low=format_percent(row["survival_rate_low"], language),
            high=format_percent(row["survival_rate_high"], language),
            customers=format_number(self.table["at_risk"].max(), language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw survival with its interval, a line for each group."""
        lines = [
            Line(
                np.r_[0, rows["period_no"]],
                np.r_[1, rows["survival_rate"]],
                display_name(name, (self.by or "").split(".")[-1], language)
                if self.by
                else label("survival_rate", language),
                low=np.r_[1, rows["survival_rate_low"]],
                high=np.r_[1, rows["survival_rate_high"]],
            )
            for name, rows in self.table.dropna(subset="survival_rate").groupby("group", sort=False)
        ]
        ax = draw_lines(lines, write=lambda rate: format_percent(rate, language, digits=0), ax=ax)
        ax.set(
            xlabel=label("periods_of_contract", language),
            title=label("survival_rate", language),
            ylim=(0, 1.02),
        )
        return ax


def measure_survival(
    events: Table,
    *,
    start: str | None,
    end: str | None,
    period: str | pd.Timedelta = "30D",
    by: str | None = None,
    until: str | datetime.date | None = None,
) -> Survival:
    """Measure how long customers stay under contract, from their first `start` to their `end`.

    A customer's contract begins on the local day of their first event `start` and is lost on that
    of the first event `end` at or after it; without one it is censored on the day before `until`.
    A contract begun anew is not counted. Day 0 is the day it begins; a loss on day D is one of
    period D / period, rounded up (of the first on day 0).

    Parameters
    ----------
    events : Table
        Reads `customer_id`, `event`, `occurred_us`, `local_date`.
    start, end : str or None
        The events. None, as in a project whose customers have no contract, gives an empty result
        that says so.
    period : str or Timedelta, default '30D'
        The length of a renewal period, in whole days.
    by : str, optional
        A column of customers, or `table.column` of a saved table.
    until : str or date, optional
        The day after the last day observed; default the day after the last event.

    Returns
    -------
    Survival

    Raises
    ------
    CjkitError
        When there is no such event or group, or `period` is no duration.
    """
    length = parse_duration(period, name="period")
    last = end_of(events, until)
    columns = ["group", "period_no", "at_risk", "lost", "censored", *SURVIVAL]
    nothing = pd.DataFrame(columns=columns)
    if start is None or end is None:
        return Survival(nothing, length, last, by, float("nan"), NO_CONTRACT, ())
    known = events.values("event")
    for role, event in (("start", start), ("end", end)):
        if event not in known:
            raise unknown_name(role, event, known)
    sql = _contracts_sql(events, start, end, by, last)
    counted = events.engine.query(sql)
    if counted.empty:
        return Survival(nothing, length, last, by, float("nan"), NOBODY_SIGNED, (sql,))
    lost, censored = (
        counted.pivot(index="days", columns="by_value", values=name).fillna(0).to_numpy(float)
        for name in ("lost", "censored")
    )
    p_value = compare_survival(lost, censored)
    tables = [_by_period(rows, length) for _, rows in counted.groupby("by_value", sort=False)]
    table = pd.concat(tables, ignore_index=True)
    return Survival(table, length, last, by, p_value, None, (sql,))


def _contracts_sql(
    events: Table, start: str, end: str, by: str | None, until: datetime.date
) -> str:
    """Write the SQL that counts contracts by group, days that they have lasted, and outcome."""
    relation = split_by(events, by).relation if by else f"(select *, '' as by_value from {events})"
    numbers = number_days(events, until)
    return f"""
        select by_value, coalesce(ended.day_no, 0) - began.day_no as days,
            sum(case when ended.day_no is not null then 1 else 0 end) as lost,
            sum(case when ended.day_no is null then 1 else 0 end) as censored
        from (select customer_id, by_value, min(case when event = {text(start)}
                    then local_date end) as began_on,
                min(case when event = {text(end)} and occurred_us >= began_us
                    then local_date end) as ended_on
            from (select customer_id, by_value, event, local_date, occurred_us,
                    min(case when event = {text(start)} then occurred_us end)
                        over (partition by customer_id) as began_us
                from {relation} as events
                where event in ({text(start)}, {text(end)}) and local_date < {day(until)}) as marked
            where began_us is not null
            group by customer_id, by_value) as contracts
        join {numbers} as began on contracts.began_on = cast(began.local_date as date)
        left join {numbers} as ended on contracts.ended_on = cast(ended.local_date as date)
        group by by_value, coalesce(ended.day_no, 0) - began.day_no
        order by by_value, days"""


def _by_period(counted: pd.DataFrame, length: pd.Timedelta) -> pd.DataFrame:
    """Sum up one group's losses by period; survival is reckoned to the day."""
    days = counted["days"].to_numpy(float)
    at_risk, *survival = survive(counted["lost"], counted["censored"])
    tenure = days / (length / pd.Timedelta(days=1))
    periods = max(int(np.ceil(tenure.max())), 1)
    # A loss on a renewal day belongs to the period that ends; who is last seen then completed it.
    lost, censored = (
        np.bincount(np.clip(place, 1, periods + 1).astype(int), counted[name], periods + 2)
        for place, name in ((np.ceil(tenure), "lost"), (np.floor(tenure) + 1, "censored"))
    )
    gone = (lost + censored)[1 : periods + 1]
    table = pd.DataFrame(
        {
            "group": counted["by_value"].iloc[0],
            "period_no": np.arange(1, periods + 1),
            "at_risk": (at_risk[0] - gone.cumsum() + gone).astype(int),
            "lost": lost[1 : periods + 1].astype(int),
            "censored": censored[1 : periods + 1].astype(int),
        }
    )
    places = np.searchsorted(tenure, table["period_no"], side="right") - 1
    for name, figures in zip(SURVIVAL, survival, strict=True):
        table[name] = np.append(figures, 1.0)[places]  # -1: nobody lost or last seen yet
    return table


def well_observed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the periods in which a tenth of the customers were at risk, and that are seen."""
    is_seen = table["survival_rate"].notna()
    rows: pd.DataFrame = table[is_seen & (table["at_risk"] * 10 >= table["at_risk"].max())]
    return rows
