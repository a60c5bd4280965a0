"""How long customers take from one step of a funnel to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import microseconds, one_of, parse_duration
from cjkit.engine import Table
from cjkit.funnel.counts import rows_of, write_length
from cjkit.funnel.entries import entries_sql
from cjkit.funnel.steps import Ties, check_steps, steps_taken
from cjkit.labels import Language, display_name, format_duration, label
from cjkit.plots.ranges import draw_ranges


@dataclass(frozen=True)
class FunnelTimes:
    """What `measure_times` found.

    Attributes
    ----------
    table : DataFrame, one row for each step after the first, and a last one for the whole way
        `from_step`, `to_step`, `customers` (count of those whose time is known), and of the time
        between them in microseconds the quartiles `quarter_us`, `median_us`, `three_quarters_us`.
    within : Timedelta
        The longest time allowed from the first step to the last.
    ties : {'ordered', 'simultaneous'}
    sql : tuple of str
        The statement that gives each customer's times; the quartiles are taken from its rows.
    """

    table: pd.DataFrame
    within: pd.Timedelta
    ties: Ties
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("quarter_us", "median_us", "three_quarters_us")
    }
    formats: ClassVar[dict[str, str]] = {"from_step": "event", "to_step": "event"}

    def finding(self, language: Language) -> str:
        """Say how long half of the customers take, and which step takes longest."""
        rows = rows_of(self.table)
        whole = rows[-1]
        known = [row for row in rows[:-1] or rows if pd.notna(row["median_us"])]
        if pd.isna(whole["median_us"]) or not known:
            return label("nothing_here", language)
        slowest = max(known, key=lambda row: float(row["median_us"]))
        return label(
            "times_finding",
            language,
            last=display_name(whole["to_step"], "event", language),
            median=format_duration(whole["median_us"], language),
            quarter=format_duration(whole["quarter_us"], language),
            three_quarters=format_duration(whole["three_quarters_us"], language),
            before=display_name(slowest["from_step"], "event", language),
            after=display_name(slowest["to_step"], "event", language),
            slowest=format_duration(slowest["median_us"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the middle half of the times of each step as a bar, the median as a mark."""
        ax = draw_ranges(
            [
                " → ".join(display_name(row[end], "event", language) for end in _ENDS)
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
    events: Table,
    steps: Sequence[str],
    *,
    within: str | pd.Timedelta = "30D",
    ties: Ties = "ordered",
) -> FunnelTimes:
    """Measure how long customers who take all `steps` need for each.

    Of each customer the first entry that leads to the last step within the window counts, with the
    earliest possible next step each time. A time that begins or ends at an event of which only the
    day is known, and is below a day, is not known and is left out.

    Parameters
    ----------
    events : Table
        The prepared event log. Reads `customer_id`, `event`, `occurred_us`, `step_no`,
        `time_precision`. The customers' times are kept on its engine as the table `funnel_times`.
    steps, within, ties
        As in `measure_funnel`.

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
    window = parse_duration(within, name="within")
    check_steps(events, steps)
    one_of("ties", ties, ("ordered", "simultaneous"))
    # Twice the time, odd where only the day is known: a minimum then keeps both together.
    source = f"""(select *, 2 * occurred_us
            + case when time_precision = 'day' then 1 else 0 end as moment
        from {events} as timed)"""
    entries = entries_sql(steps_taken(source, steps, ties, ("moment",)), steps, ties, "moment")
    last = len(steps)
    moments = ", ".join(f"min(at_1_{k}) as moment_{k}" for k in range(1, last + 1))
    sql = f"""
        select customer_id, {moments} from ({entries}) as entries
        where {_time("at_1_1", f"at_1_{last}")} <= {microseconds(window, name="within")}
        group by customer_id"""
    kept = events.engine.materialize("funnel_times", sql)
    ways = list(dict.fromkeys([*((k, k + 1) for k in range(1, last)), (1, last)]))
    measured = " union all ".join(
        f"select {number} as way, {_known_time(f'moment_{a}', f'moment_{b}')} as time_us"
        f" from {kept} as moments"
        for number, (a, b) in enumerate(ways)
    )
    found = events.engine.quantiles(f"({measured})", "time_us", [0.25, 0.5, 0.75], by=["way"])
    found = found.set_index("way").reindex(range(len(ways)))
    table = pd.DataFrame(
        {
            "from_step": [steps[a - 1] for a, _ in ways],
            "to_step": [steps[b - 1] for _, b in ways],
            "customers": found["n"].fillna(0).astype(int),
            "quarter_us": found["p25"].astype(float),
            "median_us": found["p50"].astype(float),
            "three_quarters_us": found["p75"].astype(float),
        }
    ).reset_index(drop=True)
    return FunnelTimes(table, window, ties, (sql,))


def _time(start: str, end: str) -> str:
    """Write the SQL of the microseconds between two moments as `measure_times` writes them."""
    return f"(({end} - {end} % 2) - ({start} - {start} % 2)) / 2"


def _known_time(start: str, end: str) -> str:
    """Write the SQL of the time between two moments, missing where it is not known."""
    time = _time(start, end)
    return (
        f"case when {time} >= {microseconds('1D', name='a day')} "
        f"or ({start} % 2 = 0 and {end} % 2 = 0) then {time} end"
    )
