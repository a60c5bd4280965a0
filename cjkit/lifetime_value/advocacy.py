"""Who recommends the company: what customers say, and what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.engine import Table, text
from cjkit.events import split_by
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
from cjkit.privacy import Relation, Rest, Totals
from cjkit.statistics import Floats, wilson_interval

Z95 = 1.959964
NPS = ("nps", "nps_low", "nps_high")
RATE = ("referral_rate", "referral_rate_low", "referral_rate_high")


@dataclass(frozen=True)
class Advocacy:
    """Willingness to recommend (NPS), and recommendations made, by group of customers.

    Attributes
    ----------
    table : DataFrame, one row for each group, the largest first
        `group`, `customers`, `answers` (customers who have answered: the latest answer of each),
        `promoters` (9 or 10), `detractors` (0 to 6), `nps` (promoters less detractors in 100
        answers, with its interval), `referrers` (customers who have recommended), `referrals`, and
        `referral_rate` of the customers (0 to 1, Wilson interval).
    by : str or None
    sql : tuple of str
    """

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "answers": ("promoters", "detractors", *NPS),
        "promoters": NPS,
        "detractors": NPS,
        "customers": ("referrers", "referrals", *RATE),
        "referrers": ("referrals", *RATE),
    }

    adds_up: ClassVar[tuple[Relation, ...]] = (
        Totals("customers"),
        Totals("answers"),
        Rest("promoters", "answers"),
        Rest("detractors", "answers"),
        Rest("referrers", "customers"),
    )

    table: pd.DataFrame
    by: str | None
    sql: tuple[str, ...]

    @property
    def formats(self) -> dict[str, str]:
        """How the table is written."""
        return {"group": (self.by or "").split(".")[-1], "nps": "number"}

    def finding(self, language: Language = "en") -> str:
        """Say who would recommend most and least, and how many do."""
        known = self.table.dropna(subset=["nps"]).sort_values("nps", ascending=False)
        if known.empty:
            return label("no_advocacy", language)
        ends = [known.iloc[0]] if len(known) == 1 else [known.iloc[0], known.iloc[-1]]
        parts = [
            label(
                "finding_nps_group",
                language,
                group=self._name(row["group"], language),
                nps=format_signed(row["nps"], language, digits=0),
                low=format_signed(row["nps_low"], language, digits=0),
                high=format_signed(row["nps_high"], language, digits=0),
                answers=format_number(row["answers"], language),
            )
            for row in ends
        ]
        refer = known.dropna(subset=["referral_rate"])
        if len(refer) and refer["referrals"].sum():
            best = refer.sort_values("referral_rate").iloc[-1]
            parts.append(
                label(
                    "finding_referrals",
                    language,
                    group=self._name(best["group"], language),
                    customers=format_number(best["customers"], language),
                    rate=format_percent(best["referral_rate"], language),
                    low=format_percent(best["referral_rate_low"], language),
                    high=format_percent(best["referral_rate_high"], language),
                )
            )
        return ("" if language == "ja" else " ").join(parts)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the score of each group with its interval."""
        rows = self.table
        ax = draw_rates(
            [self._name(name, language) for name in rows["group"]],
            rows["nps"].tolist(),
            rows["nps_low"].tolist(),
            rows["nps_high"].tolist(),
            format_sizes(rows["answers"], language),
            zero=True,
            write=lambda score: format_number(score, language),
            ax=ax,
        )
        ax.set(title=label("nps", language))
        return ax

    def _name(self, group: Any, language: Language) -> str:
        if self.by is None:
            return label("everybody", language)
        return display_name(group, self.by.split(".")[-1], language)


def measure_advocacy(
    customers: Table,
    feedback: Table,
    events: Table,
    *,
    by: str | None = None,
    referral: str | None = "refer_friend",
) -> Advocacy:
    """Measure who would recommend the company (NPS) and who does.

    Parameters
    ----------
    customers : Table
        Reads `customer_id`.
    feedback : Table
        Reads `customer_id`, `metric`, `score`, `given_us`, `feedback_id`: answers whose metric is
        `nps`, 0 to 10.
    events : Table
        Reads `customer_id` and `event`.
    by : str, optional
        A column of customers, or `table.column` of a saved table, such as `segments.segment`.
    referral : str, optional
        The event that recommends; one that never happened counts for nobody.

    Returns
    -------
    Advocacy

    Raises
    ------
    CjkitError
        When there is no such group.

    Notes
    -----
    The variance of the score is that of the multinomial: p + d - (p - d)^2 over n answers.
    """
    everyone = f"(select *, '' as by_value from {customers})"
    relation = split_by(customers, by).relation if by else everyone
    sql = f"""
        select by_value, count(*) as customers, count(answered.score) as answers,
            sum(case when answered.score >= 9 then 1 else 0 end) as promoters,
            sum(case when answered.score <= 6 then 1 else 0 end) as detractors,
            sum(case when referred.referrals > 0 then 1 else 0 end) as referrers,
            sum(coalesce(referred.referrals, 0)) as referrals
        from {relation} as people
        left join (select customer_id, score from (select customer_id, score,
                    row_number() over (partition by customer_id
                        order by given_us desc, feedback_id desc) as place
                from {feedback}
                where metric = 'nps' and score is not null and customer_id is not null) as answers
            where place = 1) as answered on people.customer_id = answered.customer_id
        left join (select customer_id, count(*) as referrals from {events}
            where event = {text(referral or "")} group by customer_id) as referred
            on people.customer_id = referred.customer_id
        group by by_value
        order by customers desc, by_value"""
    table = customers.engine.query(sql).rename(columns={"by_value": "group"})
    whole = ["customers", "answers", "promoters", "detractors", "referrers", "referrals"]
    table[whole] = table[whole].astype(int)
    score, low, high = promoter_score(table["promoters"], table["detractors"], table["answers"])
    table["nps"], table["nps_low"], table["nps_high"] = score, low, high
    table["referral_rate"] = table["referrers"] / table["customers"]
    table["referral_rate_low"], table["referral_rate_high"] = wilson_interval(
        table["referrers"], table["customers"]
    )
    order = ["group", "customers", "answers", "promoters", "detractors", *NPS]
    return Advocacy(table[[*order, "referrers", "referrals", *RATE]], by, (sql,))


def promoter_score(promoters: Any, detractors: Any, answers: Any) -> tuple[Floats, Floats, Floats]:
    """Return the net promoter score (-100 to 100) and its 95% interval; missing without answers.

    Examples
    --------
    >>> score, low, high = promoter_score(46, 34, 100)
    >>> print(f"{score:.1f} from {low:.1f} to {high:.1f}")
    12.0 from -5.4 to 29.4
    """
    n = np.asarray(answers, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, d = np.asarray(promoters, dtype=float) / n, np.asarray(detractors, dtype=float) / n
        half = Z95 * np.sqrt(np.maximum(p + d - (p - d) ** 2, 0) / n)
    score = 100 * (p - d)
    return score, np.maximum(score - 100 * half, -100.0), np.minimum(score + 100 * half, 100.0)
