"""What a hold-out shows: what those who were written to did more than those who were kept aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, microseconds, parse_duration, unknown_name
from cjkit.cleansing.assigned import ARMS
from cjkit.cleansing.log import Log
from cjkit.engine import text
from cjkit.events import local_midnight_us
from cjkit.labels import Language, format_money, format_percent, format_sizes, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest
from cjkit.statistics import mean_difference_interval, newcombe_interval, wilson_interval

RATE, REVENUE = "conversion_rate", "revenue_per_person"
_RESTS_ON_PEOPLE = ("audience", "hold_out", "difference", "difference_low", "difference_high")


@dataclass(frozen=True)
class HoldOutEffect:
    """What `measure_hold_out` found.

    Attributes
    ----------
    table : DataFrame, two rows
        `measure` (`conversion_rate`, `revenue_per_person`); of either arm the people
        (`audience_people`, `hold_out_people`), of whom converted or bought (`audience_converted`,
        `hold_out_converted`), and what the measure is (`audience`, `hold_out`); `difference` of
        these, audience less hold-out, with `difference_low` and `difference_high` (95%).
    experiment, conversion : str
    within : Timedelta
    unfinished : int
        People of either arm of whom the log does not know all of `within` yet: in no figure.
    sql : tuple of str
    """

    table: pd.DataFrame
    experiment: str
    conversion: str
    within: pd.Timedelta
    unfinished: int
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("audience_people", "hold_out_people", "audience_converted", "hold_out_converted"),
        _RESTS_ON_PEOPLE,
    )
    adds_up: ClassVar[tuple[Relation, ...]] = (
        Rest("audience_converted", "audience_people"),
        Rest("hold_out_converted", "hold_out_people"),
    )

    def finding(self, language: Language) -> str:
        """Say what the difference is, and whether it may be chance."""
        rate, revenue = (self.table.set_index("measure").loc[name] for name in (RATE, REVENUE))
        if pd.isna(rate["difference"]):
            return label("all_hidden", language)
        is_clear = not rate["difference_low"] <= 0 <= rate["difference_high"]
        return label(
            "hold_out_clear" if is_clear else "hold_out_unclear",
            language,
            audience=format_percent(rate["audience"], language),
            hold_out=format_percent(rate["hold_out"], language),
            low=format_percent(rate["difference_low"], language),
            high=format_percent(rate["difference_high"], language),
            money=format_money(revenue["difference"], language),
            money_low=format_money(revenue["difference_low"], language),
            money_high=format_money(revenue["difference_high"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the conversion rate of either arm with its interval (Wilson, 95%)."""
        row = self.table.set_index("measure").to_dict("index")[RATE]
        people = [row["audience_people"], row["hold_out_people"]]
        low, high = wilson_interval([row["audience_converted"], row["hold_out_converted"]], people)
        ax = draw_rates(
            [label("arm_audience", language), label("arm_hold_out", language)],
            [row["audience"], row["hold_out"]],
            low.tolist(),
            high.tolist(),
            format_sizes(people, language),
            ax=ax,
        )
        ax.set_xlabel(label(RATE, language))
        return ax


def measure_hold_out(
    log: Log,
    experiment: str,
    *,
    conversion: str = "purchase",
    within: str | pd.Timedelta = "30D",
    arms: tuple[str, str] = ARMS,
) -> HoldOutEffect:
    """Measure what an activation brought: its audience against those who were held out.

    Everybody counts in the arm that they were assigned to, whatever reached them, so that the two
    differ by chance and the activation alone. Counted is what they did from their assignment on,
    for `within`; who was assigned so late that the log ends before that is left out of both arms.
    A person converts once, by any event `conversion`; revenue is that of their orders, returns
    taken off.

    Parameters
    ----------
    log : Log
        Reads `assignments`, `events`, `orders`.
    experiment : str
        The name of the activation, or of a test that a source assigned.
    conversion : str, default 'purchase'
        The event that counts.
    within : duration, default '30D'
        How long what people do counts.
    arms : pair of str, default ('audience', 'hold_out')
        What the two arms are called: who was written to, and who was not.

    Raises
    ------
    CjkitError
        When the log has no such experiment, arm or event, or nobody's time is over yet.

    Notes
    -----
    Intervals (95%): of rates Newcombe's, of means Welch's, which allows unequal variances. Few
    orders of very different size make the latter too narrow.
    """
    known = log.assignments.values("experiment")
    if experiment not in known:
        raise unknown_name("experiment", experiment, known, where="the assignments of the log")
    if conversion not in (events := log.events.values("event")):
        raise unknown_name("conversion", conversion, events, where="the events of the log")
    length = microseconds(within, name="within")
    until = local_midnight_us(log.as_of, log.project.project.time_zone)
    assigned = f"""select customer_id, arm, min(assigned_us) as assigned_us
            from assignments where experiment = {text(experiment)} group by customer_id, arm"""
    sql = f"""
        select arm, count(*) as people,
            count(case when converted > 0 then customer_id end) as converted,
            count(case when bought > 0 then customer_id end) as bought,
            sum(revenue) as revenue, sum(revenue * revenue) as squares
        from (select assigned.customer_id, assigned.arm, assigned.is_over,
                coalesce(did.converted, 0) as converted, coalesce(paid.bought, 0) as bought,
                coalesce(paid.revenue, 0) as revenue
            from (select *, assigned_us + {length} <= {until} as is_over
                from ({assigned}) as each_one) as assigned
            left join (select customer_id, arm, count(*) as converted
                from ({assigned}) as those join events using (customer_id)
                where event = {text(conversion)} and occurred_us >= assigned_us
                    and occurred_us < assigned_us + {length}
                group by customer_id, arm) as did using (customer_id, arm)
            left join (select customer_id, arm, count(*) as bought, sum(orders.revenue) as revenue
                from ({assigned}) as those join orders using (customer_id)
                where ordered_us >= assigned_us and ordered_us < assigned_us + {length}
                group by customer_id, arm) as paid using (customer_id, arm)) as people
        where is_over group by arm"""
    early = f"""select arm, count(*) as people from ({assigned}) as assigned
        where assigned_us + {length} > {until} group by arm"""
    found = log.engine.query(sql).set_index("arm").astype("float64").T.to_dict()
    waiting = log.engine.query(early).set_index("arm")["people"]
    for arm in arms:
        if arm not in (both := {*found, *waiting.index}):
            raise unknown_name("arm", arm, both, where=f"experiment {experiment!r}")
        if arm not in found:
            raise CjkitError(
                f"Nobody of arm {arm!r} was assigned {within} or more before the log ends, on "
                f"{log.as_of}: wait, or name a shorter `within`."
            )
    return HoldOutEffect(
        table=_compare(found[arms[0]], found[arms[1]]),
        experiment=experiment,
        conversion=conversion,
        within=parse_duration(within, name="within"),
        unfinished=int(waiting.reindex(list(arms)).sum()),
        sql=(sql, early),
    )


def _compare(audience: Mapping[str, float], hold_out: Mapping[str, float]) -> pd.DataFrame:
    """Return one row for each measure of both arms, and what they differ by."""
    people = [arm["people"] for arm in (audience, hold_out)]
    rates = [arm["converted"] / arm["people"] for arm in (audience, hold_out)]
    means = [arm["revenue"] / arm["people"] for arm in (audience, hold_out)]
    sums = [
        [arm[name] for name in ("revenue", "squares", "people")] for arm in (audience, hold_out)
    ]
    intervals = (
        newcombe_interval(audience["converted"], people[0], hold_out["converted"], people[1]),
        mean_difference_interval(*sums[0], *sums[1]),
    )
    return pd.DataFrame(
        {
            "measure": [RATE, REVENUE],
            "audience_people": np.repeat(int(people[0]), 2),
            "hold_out_people": np.repeat(int(people[1]), 2),
            "audience_converted": [int(audience["converted"]), int(audience["bought"])],
            "hold_out_converted": [int(hold_out["converted"]), int(hold_out["bought"])],
            "audience": [rates[0], means[0]],
            "hold_out": [rates[1], means[1]],
            "difference": [rates[0] - rates[1], means[0] - means[1]],
            "difference_low": [float(low) for low, _ in intervals],
            "difference_high": [float(high) for _, high in intervals],
        }
    )
