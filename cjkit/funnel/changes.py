"""Why a conversion changed: other people enter, or the same people fare otherwise, and where."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import comb
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cjkit.checks import CjkitError
from cjkit.funnel.differences import need_alike
from cjkit.funnel.result import Funnel, rows_of
from cjkit.funnel.rules import FunnelRules
from cjkit.labels import Language, format_percent, format_points, label
from cjkit.plots.rates import draw_rates

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FunnelChange:
    """What `explain_change` found.

    Attributes
    ----------
    table : DataFrame, one row for each cause and, of each cause, for each group
        `cause` ('mix': who enters; 'rate': how they fare at a step), `from_step`, `to_step` (of a
        rate), the group in a column named like `by` (missing: all groups together), `customers`
        and `previous_customers` of the group that could take the step (of the mix: that entered),
        and `contribution` to the change of the rate of the whole way, with its 95% interval. The
        rows of all groups together add up to `rate - previous_rate`, and those of the groups to
        them.
    rate, previous_rate : float
        The rates of the whole way, now and before.
    rules : FunnelRules
    by : str
    sql : tuple of str
        The statements of both funnels.
    """

    table: pd.DataFrame
    rate: float
    previous_rate: float
    rules: FunnelRules
    by: str
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = dict.fromkeys(
        ("customers", "previous_customers"),
        ("contribution", "contribution_low", "contribution_high"),
    )

    @property
    def formats(self) -> dict[str, Any]:
        """How the table's columns are written where their names do not say it."""
        steps = dict.fromkeys(("from_step", "to_step"), self.rules.name_step)
        return {**steps, "contribution": "rate", "cause": "cause"}

    @property
    def causes(self) -> pd.DataFrame:
        """The rows of all groups together: the mix, and the rate of each step."""
        return self.table[self.table[self.by].isna()]

    def finding(self, language: Language) -> str:
        """Say how much of the change is the mix and how much the rates, and the largest cause."""
        rows = rows_of(self.causes.dropna(subset="contribution"))
        if not rows or self.causes["contribution"].isna().any():
            return label("nothing_to_compare", language)
        largest = max(rows, key=lambda row: abs(float(row["contribution"])))
        mix = sum(float(row["contribution"]) for row in rows if row["cause"] == "mix")
        return label(
            "change_finding",
            language,
            before=format_percent(self.previous_rate, language),
            now=format_percent(self.rate, language),
            difference=format_points(self.rate - self.previous_rate, language),
            mix=format_points(mix, language),
            rates=format_points(self.rate - self.previous_rate - mix, language),
            cause=self._name(largest, language),
            largest=format_points(largest["contribution"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw what each cause adds to the change, with its interval."""
        rows = rows_of(self.causes)
        ax = draw_rates(
            [self._name(row, language) for row in rows],
            [row["contribution"] for row in rows],
            [row["contribution_low"] for row in rows],
            [row["contribution_high"] for row in rows],
            [format_points(row["contribution"], language) for row in rows],
            zero=True,
            ax=ax,
        )
        ax.set_xlabel(label("contribution", language))
        return ax

    def _name(self, row: dict[str, Any], language: Language) -> str:
        if row["cause"] == "mix":
            return label("cause_mix", language, by=label(self.by, language))
        ends = (self.rules.name_step(row[end], language) for end in ("from_step", "to_step"))
        return " → ".join(ends)


def explain_change(
    now: Funnel, before: Funnel, *, draws: int = 1000, seed: int = 1
) -> FunnelChange:
    """Divide the change of a conversion into the mix of groups and the rates of each step.

    The rate of the whole way is the sum over the groups of their share of those who enter times
    their rates at each step. Each of these factors contributes what it changes on average over all
    orders in which the factors could go from before to now (Shapley), so that the contributions
    add up exactly. A group that grows counts for the mix with what it converts above the average.

    Parameters
    ----------
    now, before : Funnel
        Measured with the same options, counted by customers and split by the same `by`; for two
        periods, each with its `period`. Optional steps are passed over.
    draws : int, default 1000
        How often the counts are drawn anew for the intervals: groups as a multinomial sample, and
        at each step a binomial one.
    seed : int, default 1

    Returns
    -------
    FunnelChange
        Where nobody of a group could take a step in one period, its rate counts as unchanged.

    Raises
    ------
    CjkitError
        When the two were measured differently, without `by`, or count no customers.

    Notes
    -----
    Shapley (1953); for products of factors as in Sun (1998), Energy Economics 20, 85-100.

    Examples
    --------
    >>> from cjkit.funnel import measure_funnel
    >>> funnel = measure_funnel(events, ["view", "cart", "buy"], by="device")
    >>> explain_change(funnel, funnel).causes["contribution"].tolist()
    [0.0, 0.0, 0.0]
    """
    need_alike(now, before)
    if now.by is None:
        raise CjkitError("The funnels are not split: measure both with `by`, whose groups explain.")
    steps = now.rules.required
    groups = list(dict.fromkeys([*now.table[now.by], *before.table[now.by]]))
    counts = [_count(funnel, groups, steps) for funnel in (now, before)]
    exact = _contributions(*counts)
    rng = np.random.default_rng(seed)
    drawn = [_draw(count, draws, rng) for count in counts]
    with np.errstate(invalid="ignore"):
        totals = np.concatenate([exact.sum(axis=0, keepdims=True), exact])
        samples = _contributions(*drawn)
        samples = np.concatenate([samples.sum(axis=-2, keepdims=True), samples], axis=-2)
        low, high = np.quantile(samples, [0.025, 0.975], axis=0)
    rate, previous_rate = (_overall(count) for count in counts)
    names = [now.rules.names[k] for k in steps]
    rows = []
    for factor, (start, end) in enumerate([(None, None), *pairwise(names)]):
        for place, group in enumerate([None, *groups]):
            base = [c[:, max(factor - 1, 0)] for c in counts]
            people = [int(b.sum() if group is None else b[place - 1]) for b in base]
            found = (totals[place, factor], low[place, factor], high[place, factor])
            rows.append(("rate" if factor else "mix", start, end, group, *people, *found))
    columns = ["cause", "from_step", "to_step", now.by, "customers", "previous_customers"]
    columns += ["contribution", "contribution_low", "contribution_high"]
    table = pd.DataFrame(rows, columns=columns)
    statements = now.sql + before.sql
    return FunnelChange(table, rate, previous_rate, now.rules, now.by, statements)


def _count(funnel: Funnel, groups: list[str], steps: list[int]) -> Floats:
    """Return the customers of each group (rows) at each required step (columns)."""
    wide = funnel.table.pivot(index=funnel.by, columns="step_number", values="customers")
    wide = wide.reindex(index=groups, columns=[k + 1 for k in steps])
    return wide.fillna(0).to_numpy(dtype=float)


def _overall(counts: Floats) -> float:
    entered, ended = counts[:, 0].sum(), counts[:, -1].sum()
    return float(ended / entered) if entered > 0 else float("nan")


def _draw(counts: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Draw the counts anew: `draws` times groups times steps."""
    entered = int(counts[:, 0].sum())
    if not entered:
        return np.repeat(counts[None], draws, axis=0)
    drawn = [rng.multinomial(entered, counts[:, 0] / entered, size=draws)]
    for base, reached in pairwise(counts.T):
        rate = np.divide(reached, base, out=np.zeros_like(base), where=base > 0)
        drawn.append(rng.binomial(drawn[-1], rate))
    return np.stack(drawn, axis=-1).astype(float)


def _contributions(now: Floats, before: Floats) -> Floats:
    """Return what each factor of each group adds to the change: ... times groups times factors."""
    factors = []
    for counts in (now, before):
        with np.errstate(invalid="ignore", divide="ignore"):
            share = counts[..., :1] / counts[..., :1].sum(axis=-2, keepdims=True)
            factors.append(np.concatenate([share, counts[..., 1:] / counts[..., :-1]], axis=-1))
    new, old = (
        np.where(np.isnan(one), np.where(np.isnan(other), 0, other), one)
        for one, other in (factors, factors[::-1])
    )
    is_empty = np.isnan(factors[0][..., :1]).any(-2) | np.isnan(factors[1][..., :1]).any(-2)
    found = _shapley(new, old)
    # Shares sum to 1, so that taking the average rate from each changes no sum.
    middle = (new.prod(axis=-1).sum(axis=-1) + old.prod(axis=-1).sum(axis=-1)) / 2
    found[..., 0] -= (new[..., 0] - old[..., 0]) * middle[..., None]
    return np.where(is_empty[..., None, :], np.nan, found)


def _shapley(new: Floats, old: Floats) -> Floats:
    """Return what each factor contributes to the change of the product along the last axis.

    Over all orders, as many of the other factors are new as not: `ways[s]` is the sum of the
    products in which s of them are new, and each size weighs the same.
    """
    factors = new.shape[-1]
    found = np.empty_like(new)
    for own in range(factors):
        ways = [np.ones(new.shape[:-1])]
        for other in (k for k in range(factors) if k != own):
            longer = [np.zeros(new.shape[:-1]) for _ in range(len(ways) + 1)]
            for size, product in enumerate(ways):
                longer[size] = longer[size] + product * old[..., other]
                longer[size + 1] = longer[size + 1] + product * new[..., other]
            ways = longer
        weights = [1 / comb(factors - 1, size) / factors for size in range(factors)]
        mean = sum(weight * way for weight, way in zip(weights, ways, strict=True))
        found[..., own] = (new[..., own] - old[..., own]) * mean
    return found
