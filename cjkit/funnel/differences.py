"""Two funnels side by side: which step changed, and whether chance alone may have done it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.funnel.result import Funnel, rows_of
from cjkit.funnel.rules import FunnelRules
from cjkit.labels import Language, display_name, format_percent, format_points, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Equation, Relation, Rest
from cjkit.statistics import benjamini_hochberg, difference_p_value, newcombe_interval

_COMPARED = ("difference", "difference_low", "difference_high", "p_value")


@dataclass(frozen=True)
class FunnelDifference:
    """What `compare_funnels` found.

    Attributes
    ----------
    table : DataFrame, one row for each step after the first and a last one for the whole way
        (and so for each group of `by`)
        `from_step`, `to_step`; `customers` at `from_step` and `reached` at `to_step` (counts) and
        their `rate` (0 to 1), the same of the funnel before as `previous_customers`,
        `previous_reached`, `previous_rate`; `difference` of the rates with its 95% Newcombe
        interval (`difference_low`, `difference_high`), and `p_value` of the score test, adjusted
        over all rows of the table (Benjamini-Hochberg).
    rules : FunnelRules
    by : str or None
    groups : tuple of str, or None
        The two groups that are compared, where they are groups of one column.
    sql : tuple of str
        The statements of both funnels.
    """

    table: pd.DataFrame
    rules: FunnelRules
    by: str | None
    groups: tuple[str, str] | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("reached", "rate", *_COMPARED),
        "reached": ("rate", *_COMPARED),
        "previous_customers": ("previous_reached", "previous_rate", *_COMPARED),
        "previous_reached": ("previous_rate", *_COMPARED),
    }

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who did not come further; and where a count stands twice, as the end and as the start."""
        groups = self.table.groupby(self.by, sort=False).indices if self.by else {}
        same: list[Relation] = []
        for rows in groups.values() or [range(len(self.table))]:
            *ways, whole = map(int, rows)
            twice = [("reached", a, "customers", b) for a, b in pairwise(ways)]
            if ways:
                twice += [("customers", ways[0], "customers", whole)]
                twice += [("reached", ways[-1], "reached", whole)]
            for side in ("", "previous_"):
                same += [
                    Equation(((side + left, a),), ((side + right, b),))
                    for left, a, right, b in twice
                ]
        lost = (Rest(f"{side}reached", f"{side}customers") for side in ("", "previous_"))
        return (*lost, *same)

    @property
    def formats(self) -> dict[str, Any]:
        """How the table's columns are written where their names do not say it."""
        steps = dict.fromkeys(("from_step", "to_step"), self.rules.name_step)
        return {**steps, "difference": "rate"}

    def heads(self, language: Language) -> dict[str, str]:
        """Return the words above the columns of each side, where two groups are compared."""
        sides = zip(("", "previous_"), self._group_names(language), strict=False)
        return {
            f"{side}{name}": label("of_group", language, what=label(name, language), group=group)
            for side, group in sides
            for name in ("customers", "reached", "rate")
        }

    def _group_names(self, language: Language) -> list[str]:
        """Return what readers call the two groups; nothing where two periods are compared."""
        named = (group.split(".", 1) for group in self.groups or ())
        return [display_name(value, by, language) for by, value in named]

    @property
    def whole(self) -> pd.DataFrame:
        """The rows of the whole way, from the first step to the last: one, or one a group."""
        return self.table.groupby(self.by, sort=False).tail(1) if self.by else self.table.tail(1)

    def finding(self, language: Language) -> str:
        """Say how the rate of the whole way changed, and whether that is more than chance."""
        rows = rows_of(self.whole.dropna(subset="difference"))
        if not rows:
            return label("nothing_to_compare", language)
        row = max(rows, key=lambda found: abs(float(found["difference"])))
        is_clear = row["difference_low"] > 0 or row["difference_high"] < 0
        words = label(
            "difference_finding",
            language,
            first=self.rules.name_step(row["from_step"], language),
            last=self.rules.name_step(row["to_step"], language),
            before=format_percent(row["previous_rate"], language),
            now=format_percent(row["rate"], language),
            difference=format_points(row["difference"], language),
            low=format_points(row["difference_low"], language),
            high=format_points(row["difference_high"], language),
            judgement=label("change_is_clear" if is_clear else "change_may_be_chance", language),
        )
        if self.groups is not None:
            one, other = self._group_names(language)
            return label("groups_finding", language, one=one, other=other, words=words)
        return f"{display_name(row[self.by], self.by, language)}: {words}" if self.by else words

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each difference with its interval; what lies off the line of zero is clear."""
        rows = rows_of(self.whole if self.by else self.table)
        ax = draw_rates(
            [
                display_name(row[self.by], self.by, language)
                if self.by
                else " → ".join(
                    self.rules.name_step(row[end], language) for end in ("from_step", "to_step")
                )
                for row in rows
            ],
            [row["difference"] for row in rows],
            [row["difference_low"] for row in rows],
            [row["difference_high"] for row in rows],
            [
                f"{format_percent(row['previous_rate'], language)} → "
                f"{format_percent(row['rate'], language)}"
                for row in rows
            ],
            zero=True,
            ax=ax,
        )
        ax.set_xlabel(label("difference", language))
        return ax


def compare_funnels(now: Funnel, before: Funnel) -> FunnelDifference:
    """Compare two funnels of the same steps: two periods, two groups, two companies.

    Two groups of one funnel are `funnel.of("iphone")` and `funnel.of("android")`. Optional steps
    are passed over.

    The intervals take the customers of both as independent; where the same people are in both,
    they are a little too wide.

    Parameters
    ----------
    now, before : Funnel
        Measured with the same steps, window, ties and `by`. For two periods, measure each with
        its `period`, so that chains are cut at the end of both alike.

    Returns
    -------
    FunnelDifference
        Groups that only one of the two has are left out.

    Raises
    ------
    CjkitError
        When the two were measured differently.

    Examples
    --------
    >>> from cjkit.funnel import measure_funnel
    >>> funnel = measure_funnel(events, ["view", "cart"])
    >>> compare_funnels(funnel, funnel).table["difference"].tolist()
    [0.0]
    """
    need_alike(now, before)
    groups = (now.group, before.group) if now.group and before.group else None
    previous = {way[:-2]: way[-2:] for way in _ways(before)}
    rows = [(*way, *previous[way[:-2]]) for way in _ways(now) if way[:-2] in previous]
    columns = ["group", "from_step", "to_step", "way", *_FIGURES]
    table = pd.DataFrame(rows, columns=columns).drop(columns="way")
    figures = [table[name].astype(int) for name in _FIGURES]
    customers, reached, previous_customers, previous_reached = figures
    table.insert(5, "rate", _rate(reached, customers))
    table["previous_rate"] = _rate(previous_reached, previous_customers)
    table["difference"] = table["rate"] - table["previous_rate"]
    sides = (reached, customers, previous_reached, previous_customers)
    table["difference_low"], table["difference_high"] = newcombe_interval(*sides)
    table["p_value"] = benjamini_hochberg(difference_p_value(*sides))
    table = table.rename(columns={"group": now.by}) if now.by else table.drop(columns="group")
    return FunnelDifference(table, now.rules, now.by, groups, now.sql + before.sql)


def need_alike(now: Funnel, before: Funnel) -> None:
    """Raise CjkitError unless two funnels count customers by the same rules and groups."""
    if now.rules.count != "customers":
        raise CjkitError(
            f"count={now.rules.count!r}: what one person does several times is not independent, as "
            "a comparison must be. Measure both with count='customers'."
        )
    if now.rules.names != before.rules.names:
        raise CjkitError("The two funnels have different steps. Measure both with the same.")
    pairs = {name: (getattr(now, name), getattr(before, name)) for name in ("by", "by_at")}
    for name in (field.name for field in fields(now.rules)):
        pairs[name] = (getattr(now.rules, name), getattr(before.rules, name))
    for name, (one, other) in pairs.items():
        if one != other:
            raise CjkitError(
                f"The two funnels differ in {name}: {one!r} and {other!r}. Measure both alike."
            )


_FIGURES = ("customers", "reached", "previous_customers", "previous_reached")


def _ways(funnel: Funnel) -> list[tuple[Any, ...]]:
    """Return each step after the first and then the whole way, with the counts at both ends.

    As tuples of group, both steps' names, the place in the group, and the two counts.
    """
    found: list[tuple[Any, ...]] = []
    names, steps = funnel.rules.names, [k + 1 for k in funnel.rules.required]
    ends = [*pairwise(steps), *([(steps[0], steps[-1])] if len(steps) > 2 else [])]
    groups = funnel.table.groupby(funnel.by, sort=False) if funnel.by else [("", funnel.table)]
    for group, own in groups:
        counts = dict(zip(own["step_number"], own["customers"], strict=True))
        found += [
            (group, names[a - 1], names[b - 1], place, counts[a], counts[b])
            for place, (a, b) in enumerate(ends)
            if counts
        ]
    return found


def _rate(reached: pd.Series[Any], customers: pd.Series[Any]) -> pd.Series[Any]:
    return reached / customers.where(customers > 0)
