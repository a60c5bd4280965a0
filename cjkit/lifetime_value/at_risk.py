"""Who is worth saving: customers of high value who are likely to stay away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.labels import Language, format_money, format_number, format_percent, label
from cjkit.lifetime_value.histories import Obstacle
from cjkit.lifetime_value.value import Value
from cjkit.plots.heat import draw_heat
from cjkit.privacy import Relation, Totals, min_cell

TIERS = 5
RISK_BANDS = 5


@dataclass(frozen=True)
class AtRisk:
    """Customers by what they are worth if they come back, and by how likely they stay away.

    Attributes
    ----------
    table : DataFrame, one row for each value tier and band of risk that has customers
        `value_tier` (1: the fifth of the customers worth most had they bought just now),
        `risk_from` and `risk_to` of their churn risk (0 to 1), `customers`, `predicted_value` of
        all of them, and `value_at_stake`: what it would be higher had they bought just now.
    customers : int
        On the list.
    value_at_stake : float
        Of all on the list.
    least_risk, top_share : float
        Who is on the list: at least this churn risk, among this share of the customers by value.
    within : Timedelta
        The window of the churn risk.
    action_list : Table or None
        On the engine, one row for each customer on the list: `customer_id`, `action_rank` (1: most
        at stake), `churn_risk`, `predicted_value`, `value_at_stake`, `last_day`.
    obstacle : Obstacle or None
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("predicted_value", "value_at_stake")
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Totals("customers"),)
    formats: ClassVar[dict[str, str]] = {
        "value_tier": "number",
        "risk_from": "rate",
        "risk_to": "rate",
    }

    table: pd.DataFrame
    customers: int
    value_at_stake: float
    least_risk: float
    top_share: float
    within: pd.Timedelta
    action_list: Table | None
    obstacle: Obstacle | None
    sql: tuple[str, ...]

    def finding(self, language: Language = "en") -> str:
        """Say how many are worth saving, and what is at stake."""
        if self.obstacle is not None:
            return self.obstacle.words(language)
        if 0 < self.customers < min_cell():
            return label("finding_at_risk_few", language, fewest=min_cell())
        return label(
            "finding_at_risk",
            language,
            customers=format_number(self.customers, language),
            share=format_percent(self.top_share, language, digits=0),
            risk=format_percent(self.least_risk, language, digits=0),
            within=format_number(self.within.days, language),
            stake=format_money(self.value_at_stake, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw what is at stake in each cell of value and risk."""
        wide = self.table.pivot(index="value_tier", columns="risk_from", values="value_at_stake")
        bands = [float(low) for low in wide.columns]
        ax = draw_heat(
            wide.to_numpy(float),
            rows=[str(tier) for tier in wide.index],
            columns=[
                f"{format_percent(low, language, digits=0)}–"
                f"{format_percent(low + 1 / RISK_BANDS, language, digits=0)}"
                for low in bands
            ],
            write=lambda money: format_money(money, language, digits=0),
            ax=ax,
        )
        ax.set(
            xlabel=label("churn_risk", language),
            ylabel=label("value_tier", language),
            title=label("value_at_stake", language),
        )
        return ax


def rank_at_risk(
    value: Value, *, least_risk: float = 0.7, top_share: float = 0.2, name: str = "action_list"
) -> AtRisk:
    """Rank the customers of high value who are likely to stay away, most at stake first.

    High value means: among the `top_share` of the customers by what each would be worth had they
    bought just now (a customer already given up has little predicted value left). At stake is what
    silence has taken from that: an upper bound of what winning a customer back can bring.

    Parameters
    ----------
    value : Value
    least_risk : float, default 0.7
        The churn risk from which a customer is on the list: the probability of no purchase within
        the window of `value`.
    top_share : float, default 0.2
    name : str, default 'action_list'
        The name of the list on the engine.

    Returns
    -------
    AtRisk

    Raises
    ------
    CjkitError
        When a share is not between 0 and 1.
    """
    for option, given in (("least_risk", least_risk), ("top_share", top_share)):
        if not 0 < given <= 1:
            raise CjkitError(f"{option}={given!r} must be above 0 and at most 1, such as 0.2.")
    columns = ["value_tier", "risk_from", "risk_to", "customers", *AtRisk.counts["customers"]]
    settings = (least_risk, top_share, value.within)
    if value.scores is None:
        empty = pd.DataFrame(columns=columns)
        return AtRisk(empty, 0, float("nan"), *settings, None, value.obstacle, value.sql)
    engine = value.scores.engine
    ranked = f"""
        select customer_id, churn_risk, predicted_value, last_day,
            greatest(value_if_recent - predicted_value, 0) as value_at_stake,
            percent_rank() over (order by value_if_recent desc) as place
        from {value.scores}"""
    list_sql = f"""
        select customer_id, row_number() over (order by value_at_stake desc, customer_id)
                as action_rank, churn_risk, predicted_value, value_at_stake, last_day
        from ({ranked}) as ranked
        where place < {float(top_share)!r} and churn_risk >= {float(least_risk)!r}"""
    action_list = engine.materialize(name, list_sql)
    sql = f"""
        select cast(least(floor({TIERS} * place), {TIERS - 1}) as int) + 1 as value_tier,
            cast(least(floor({RISK_BANDS} * churn_risk), {RISK_BANDS - 1}) as int) as band,
            count(*) as customers, sum(predicted_value) as predicted_value,
            sum(value_at_stake) as value_at_stake
        from ({ranked}) as ranked
        group by 1, 2
        order by 1, 2"""
    table = engine.query(sql)
    table["risk_from"], table["risk_to"] = (
        (table["band"] + ahead) / RISK_BANDS for ahead in (0, 1)
    )
    listed = engine.query(
        f"select count(*) as n, coalesce(sum(value_at_stake), 0) as stake from {action_list}"
    ).iloc[0]
    return AtRisk(
        table[columns],
        int(listed["n"]),
        float(np.round(listed["stake"], 6)),
        *settings,
        action_list,
        None,
        (*value.sql, list_sql, sql),
    )
