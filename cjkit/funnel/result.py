"""What a funnel found, and how readers see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import unknown_name
from cjkit.events import Period
from cjkit.funnel.rules import (
    Count,
    FunnelRules,
)
from cjkit.labels import (
    MISSING,
    Language,
    display_name,
    format_duration,
    format_number,
    format_percent,
    format_sizes,
    in_unit,
    label,
)
from cjkit.plots.rates import draw_rates
from cjkit.plots.steps import draw_steps
from cjkit.privacy import Relation, Steps, Totals


@dataclass(frozen=True)
class Funnel:
    """What `measure_funnel` found: the counts, and the rules that produced them.

    Attributes
    ----------
    table : DataFrame, one row for each step (and each group of `by`), in order
        `step_number` from 1, `step`, `customers` (count of people) and, where something else is
        counted, `sessions`, `cases` or `starts`; `lost` of what is counted since the step before
        (the last that is not optional; missing at optional steps), `step_rate` of the step before
        and `overall_rate` of the first step, each with the bounds of its 95% Wilson interval
        (`..._low`, `..._high`); 0 to 1, missing at the first step and where nobody could have
        converted. With `by`, a first column of its name.
    rules : FunnelRules
        Steps, window, order, ties, and whatever else decides which chains count.
    by : str or None
        The column that the counts are split by.
    by_at : str
        Which event's value counts where `by` is a column of events.
    group : str or None
        The one group whose funnel this is, such as 'device.iphone', where `of` made it.
    period : Period or None
        The days that were read; None for the whole log.
    sql : tuple of str
        The statements that made the table, in order.
    """

    table: pd.DataFrame
    rules: FunnelRules
    by: str | None
    by_at: str
    group: str | None
    period: Period | None
    sql: tuple[str, ...]

    @property
    def counts(self) -> dict[str, tuple[str, ...]]:
        """What goes when the people behind it are too few to be shown."""
        step, overall = ([f"{rate}{end}" for end in ("", "_low", "_high")] for rate in RATES)
        rests = ("lost", *step, *overall)
        if self.rules.count == "customers":
            return {"customers": rests, "lost": tuple(step)}
        other = self.rules.count
        return {"customers": (other, *rests), other: rests, "lost": tuple(step)}

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who is lost from step to step, and the groups together."""
        within = (self.by,) if self.by is not None else ()
        counted = list(dict.fromkeys(["customers", self.rules.count]))
        groups: list[Relation] = [Totals(count, ("step_number",)) for count in counted if within]
        if self.rules.count != "customers":
            groups.append(Steps("customers", within))
        return (Steps(self.rules.count, within, rest="lost"), *groups)

    @property
    def formats(self) -> dict[str, Callable[[Any, Language], str]]:
        """How the table's columns are written where their names do not say it."""
        return {"step": self.rules.name_step}

    @property
    def largest_loss(self) -> dict[str, Any]:
        """The row of the step that loses most customers: where to look first for a pain point."""
        return max(rows_of(self.table), key=lambda row: -1 if pd.isna(row["lost"]) else row["lost"])

    @property
    def ends(self) -> pd.DataFrame:
        """The rows of the last step: one, or one for each group, with their overall rates."""
        return self.table.query("step_number == step_number.max()")

    def of(self, group: str) -> Funnel:
        """Return the funnel of one group of `by`, such as to compare two groups."""
        found = self.table[self.table[self.by] == group] if self.by else self.table.head(0)
        if self.by is None or found.empty:
            groups = sorted(set(self.table[self.by])) if self.by else []
            raise unknown_name("group", group, groups, where="the funnel")
        table = found.drop(columns=self.by).reset_index(drop=True)
        name = f"{self.by}.{group}"
        return dataclasses.replace(self, table=table, by=None, group=name)

    def finding(self, language: Language) -> str:
        """Say in one sentence how many come through, and where most are lost."""
        if self.by is not None:
            return self._finding_by_group(self.by, language)
        rows = rows_of(self.table)
        first, last, loss = rows[0], rows[-1], self.largest_loss
        if not first["customers"] > 0 or pd.isna(loss["lost"]):
            return label("no_funnel", language)
        count = self.rules.count
        before = base_of(self.rules, loss["step_number"] - 1)
        return label(
            "funnel_finding",
            language,
            entered=write_count(first[count], count, language),
            first=self.rules.name_step(first["step"], language),
            last=self.rules.name_step(last["step"], language),
            rate=format_percent(last["overall_rate"], language),
            low=format_percent(last["overall_rate_low"], language),
            high=format_percent(last["overall_rate_high"], language),
            in_time=_in_time(self.rules, language),
            before=self.rules.name_step(rows[before]["step"], language),
            after=self.rules.name_step(loss["step"], language),
            lost=write_count(loss["lost"], count, language),
        )

    def _finding_by_group(self, by: str, language: Language) -> str:
        groups = rows_of(self.ends.dropna(subset="overall_rate"))
        groups = [row for row in groups if row[by] != MISSING]
        if len(groups) < 2:
            return label("nothing_to_compare", language)
        # By the bounds, so that a handful of customers is not called the best or the worst.
        high = max(groups, key=lambda row: float(row["overall_rate_low"]))
        low = min(groups, key=lambda row: float(row["overall_rate_high"]))
        is_clear = high["overall_rate_low"] > low["overall_rate_high"]
        return label(
            "funnel_by_finding" if is_clear else "funnel_by_alike",
            language,
            last=self.rules.name_step(high["step"], language),
            highest=display_name(high[by], by, language),
            highest_rate=format_percent(high["overall_rate"], language),
            lowest=display_name(low[by], by, language),
            lowest_rate=format_percent(low["overall_rate"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the steps as bars of what is counted; with `by`, each group's rate and interval."""
        count = self.rules.count
        if self.by is None:
            rows = rows_of(self.table)
            ax = draw_steps(
                [self.rules.name_step(row["step"], language) for row in rows],
                [float(row[count]) for row in rows],
                [_step_note(row, self.rules, language) for row in rows],
                behind=[
                    float(rows[base_of(self.rules, place) if place else 0][count])
                    for place in range(len(rows))
                ],
                ax=ax,
            )
            ax.set_xlabel(label(count, language))
            return ax
        entered = self.table.loc[self.table["step_number"] == 1, count]
        ax = draw_rates(
            [display_name(value, self.by, language) for value in self.ends[self.by]],
            self.ends["overall_rate"].tolist(),
            self.ends["overall_rate_low"].tolist(),
            self.ends["overall_rate_high"].tolist(),
            format_sizes(entered, language),
            ax=ax,
        )
        ax.set_xlabel(label("overall_rate", language))
        return ax


RATES = ("step_rate", "overall_rate")


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def write_length(length: pd.Timedelta, language: Language) -> str:
    """Write a length that somebody chose, such as a window: in the unit in which it is whole."""
    for unit, size in (("days", "1D"), ("hours", "1h"), ("minutes", "1min")):
        if length % pd.Timedelta(size) == pd.Timedelta(0):
            return in_unit(format_number(length // pd.Timedelta(size), language), unit, language)
    return format_duration(length // pd.Timedelta("1us"), language)


def _in_time(rules: FunnelRules, language: Language) -> str:
    """Write in what time a chain ends: no session lasts as long as a window of days."""
    if rules.count == "sessions" and rules.within >= pd.Timedelta("1D"):
        return label("within_session", language)
    return label("within_time", language, within=write_length(rules.within, language))


def write_count(number: float, count: Count, language: Language) -> str:
    """Write how many people, sessions, cases or starts there are."""
    return label(f"amount_{count}", language, number=format_number(number, language))


def _step_note(row: dict[str, Any], rules: FunnelRules, language: Language) -> str:
    """Return what stands at a step's bar: how many, and the two rates."""
    rates = {"of_previous": row["step_rate"], "of_first": row["overall_rate"]}
    is_second = row["step_number"] > 1 and base_of(rules, row["step_number"] - 1) == 0
    noted = [
        label(term, language, rate=format_percent(rate, language))
        for term, rate in rates.items()
        if pd.notna(rate) and not (term == "of_previous" and is_second)
    ]
    if rules.steps[row["step_number"] - 1].optional:
        noted.append(label("optional", language))
    return " · ".join([format_number(row[rules.count], language), *noted])


def base_of(rules: FunnelRules, step: int) -> int:
    """Return the step whose customers could take this one: the last before it that is required."""
    return max(k for k in rules.required if k < step)
