"""How long customers take from one step of a funnel to the next."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table
from cjkit.funnel.entries import entries_sql, known_time, limit
from cjkit.funnel.result import rows_of, write_length
from cjkit.funnel.rules import FunnelOptions, FunnelRules, need_a_start, read_rules
from cjkit.labels import Language, format_duration, label
from cjkit.plots.ranges import draw_ranges
from cjkit.project.choosing import AnyStep


@dataclass(frozen=True)
class FunnelTimes:
    """What `measure_times` found.

    Attributes
    ----------
    table : DataFrame, one row for each step after the first, and a last one for the whole way
        `from_step`, `to_step`, `customers` (count of those whose time is known), and of the time
        between them in microseconds the quartiles `quarter_us`, `median_us`, `three_quarters_us`.
    rules : FunnelRules
    sql : tuple of str
        The statement that gives each customer's times; the quartiles are taken from its rows.
    """

    table: pd.DataFrame
    rules: FunnelRules
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("quarter_us", "median_us", "three_quarters_us")
    }

    @property
    def formats(self) -> dict[str, Any]:
        """How the table's columns are written where their names do not say it."""
        return dict.fromkeys(_ENDS, self.rules.name_step)

    def finding(self, language: Language) -> str:
        """Say how long half of the customers take, and which step takes longest."""
        rows = rows_of(self.table)
        whole = rows[-1]
        known = [row for row in rows[:-1] or rows if pd.notna(row["median_us"])]
        if pd.isna(whole["median_us"]) or not known:
            return label("no_times", language)
        slowest = max(known, key=lambda row: float(row["median_us"]))
        return label(
            "times_finding",
            language,
            last=self.rules.name_step(whole["to_step"], language),
            median=format_duration(whole["median_us"], language),
            quarter=format_duration(whole["quarter_us"], language),
            three_quarters=format_duration(whole["three_quarters_us"], language),
            before=self.rules.name_step(slowest["from_step"], language),
            after=self.rules.name_step(slowest["to_step"], language),
            slowest=format_duration(slowest["median_us"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the middle half of the times of each step as a bar, the median as a mark."""
        ax = draw_ranges(
            [
                " → ".join(self.rules.name_step(row[end], language) for end in _ENDS)
                for row in rows_of(self.table)
            ],
            *(
                self.table[name].to_numpy(dtype=float, na_value=np.nan)
                for name in ("quarter_us", "median_us", "three_quarters_us")
            ),
            ticks={
                time // pd.Timedelta("1us"): write_length(time, language)
                for time in map(pd.Timedelta, _TICKS)
            },
            write=lambda time: format_duration(time, language),
            ax=ax,
        )
        ax.set_xlabel(label("time_between", language))
        return ax


_ENDS = ("from_step", "to_step")
_TICKS = ("1s", "10s", "1min", "10min", "1h", "6h", "1D", "3D", "10D", "30D", "100D", "365D")


def measure_times(
    events: Table, steps: Sequence[AnyStep], **options: Unpack[FunnelOptions]
) -> FunnelTimes:
    """Measure how long customers who take all `steps` need for each.

    Of each customer the first start that leads to the last step in time counts, with the earliest
    possible next step each time; steps that are optional are passed over. A time that begins or
    ends at an event of which only the day is known, and is below a day, is not known and is left
    out.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads what `measure_funnel` reads, and `time_precision`. The
        customers' times are kept on its engine as the table `funnel_times`.
    steps
        As in `measure_funnel`.
    **options
        `within`, `order` (not 'any'), `ties`, `entry`, `hold`, `without`, as in `measure_funnel`.

    Returns
    -------
    FunnelTimes

    Raises
    ------
    CjkitError
        As `measure_funnel`.

    Examples
    --------
    >>> times = measure_times(events, ["view", "cart", "buy"]).table
    >>> (times["median_us"] / 3_600_000_000).tolist()
    [1.0, 1.0, 2.0]
    """
    rules = read_rules(events, steps, **options)
    need_a_start(rules)
    definitions, entries, _ = entries_sql(str(events), rules, complete=True)
    last = len(steps)
    needed = [k + 1 for k in rules.required]
    moments = ", ".join(f"at_{k} as moment_{k}" for k in needed)
    sql = f"""{definitions}
        select customer_id, {moments} from (
            select *, row_number() over (partition by customer_id order by step_no) as start_no
            from {entries} where at_{last} <= {limit("until")}
        ) as ended where start_no = 1"""
    kept = events.engine.materialize("funnel_times", sql)
    ways = list(dict.fromkeys([*itertools.pairwise(needed), (1, last)]))
    measured = " union all ".join(
        f"select {number} as way, {known_time(f'moment_{a}', f'moment_{b}')} as time_us"
        f" from {kept} as moments"
        for number, (a, b) in enumerate(ways)
    )
    found = events.engine.quantiles(f"({measured})", "time_us", [0.25, 0.5, 0.75], by=["way"])
    found = found.set_index("way").reindex(range(len(ways)))
    table = pd.DataFrame(
        {
            "from_step": [rules.names[a - 1] for a, _ in ways],
            "to_step": [rules.names[b - 1] for _, b in ways],
            "customers": found["n"].fillna(0).astype(int),
            "quarter_us": found["p25"].astype(float),
            "median_us": found["p50"].astype(float),
            "three_quarters_us": found["p75"].astype(float),
        }
    ).reset_index(drop=True)
    return FunnelTimes(table, rules, (sql,))
