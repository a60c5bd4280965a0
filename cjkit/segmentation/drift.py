"""Drift: whether customers, or the segments themselves, are still those that were defined."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy
from matplotlib.axes import Axes

from cjkit.checks import unknown_name
from cjkit.engine import column, text
from cjkit.labels import Language, format_number, label
from cjkit.plots.ranking import draw_ranking
from cjkit.segmentation.assign import DAY_US
from cjkit.segmentation.choosing import STABLE, draw_partitions, partition
from cjkit.segmentation.definition import Definition, draw_customers, learn_axes, scale
from cjkit.segmentation.features import TENURE, Features, feature_name
from cjkit.statistics import one_thread

WATCH, DRIFTED = 0.1, 0.25
"""The usual reading of a PSI: below the first nothing, above the second another population."""

_DRAWN = 12
_COMPARED, _DRAWS = 4_000, 10
_TENTHS = tuple(place / 10 for place in range(1, 10))


@dataclass(frozen=True)
class Drift:
    """What `measure_drift` found.

    Attributes
    ----------
    table : DataFrame, one row for each feature but `known_days`, the most changed first
        `feature`, `customers` and `previous_customers` (all of both moments), `psi` (population
        stability index over the tenths of before, and those without a value), `psi_by_chance` (what
        95 in 100 pairs of samples of one population stay below), `status` ('steady', 'watch',
        'drifted').
    agreement : float or None
        Adjusted Rand index between the segments of the definition and those that one would find
        anew now, of the same customers; None without a definition.
    agreement_by_chance : float or None
        The least agreement of two of ten fits of now, each to customers drawn with replacement:
        where customers fall into no clear groups, no definition agrees better.
    days : int or None
        The days since the definition was learnt.
    sql : tuple of str
    method : str
    """

    table: pd.DataFrame
    agreement: float | None
    agreement_by_chance: float | None
    days: int | None
    sql: tuple[str, ...]
    method: str = "population stability index; adjusted Rand index of a new fit"

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("psi", "psi_by_chance", "status"),
        "previous_customers": ("psi", "psi_by_chance", "status"),
    }
    formats: ClassVar[dict[str, Any]] = {
        "feature": feature_name,
        "psi": "precise",
        "psi_by_chance": "precise",
        "status": "drift",
    }

    @property
    def is_outdated(self) -> bool:
        """Whether to find segments anew: they would be others, more than by chance.

        The agreement is below .8, and below that of two fits of now.
        """
        if self.agreement is None or self.agreement_by_chance is None:
            return False
        return self.agreement < min(STABLE, self.agreement_by_chance)

    def finding(self, language: Language) -> str:
        """Say which features drifted, and whether the definition still holds."""
        known = self.table.dropna(subset="psi")
        drifted = known[known["status"] == "drifted"]
        if known.empty:
            return label("nothing_to_compare", language)
        said = label(
            "drift_found" if len(drifted) else "no_drift",
            language,
            features=format_number(len(drifted), language),
            feature=feature_name(known.iloc[0]["feature"], language),
            psi=format_number(known.iloc[0]["psi"], language, digits=2),
        )
        if self.agreement is None or (self.days == 0 and not self.is_outdated):
            return said
        return said + label(
            "definition_outdated" if self.is_outdated else "definition_holds",
            language,
            agreement=format_number(self.agreement, language, digits=2),
            chance=format_number(self.agreement_by_chance, language, digits=2),
            days=format_number(self.days, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the index of the features that changed most."""
        rows = self.table.dropna(subset="psi").head(_DRAWN)
        return draw_ranking(
            [feature_name(name, language) for name in rows["feature"]],
            rows["psi"].tolist(),
            [format_number(psi, language, digits=2) for psi in rows["psi"]],
            ax=ax,
        )


def measure_drift(
    now: Features,
    before: Features,
    *,
    definition: Definition | None = None,
    sample: int = 20_000,
    seed: int = 0,
) -> Drift:
    """Compare how features lie at two moments, and ask whether a definition still holds.

    The index of a feature is the sum over its bins of (p - q) ln(p / q), p and q being the shares
    of now and before; bins are the tenths of before (equal ones together) and those without a
    value, and half a customer stands in an empty bin. Below .1 a feature is steady, up to .25 to be
    watched, above it has drifted; but no index that chance alone gives (Yurdakul 2018: chi-square
    of the bins less one, times 1/n + 1/m) is called more than steady.

    Parameters
    ----------
    now, before : Features
        The same features of two moments.
    definition : Definition, optional
        Of found segments: its partition is compared with one learnt anew from `now`, on a sample
        with as many groups. `before` is best the moment that it was learnt (`learnt_us`).
    sample, seed : int
        As in `find_segments`.

    Raises
    ------
    CjkitError
        When a feature of `before` is not in `now`.
    """
    for name in before.names:
        if name not in now.names:
            raise unknown_name("feature", name, now.names, where="the features of now")
    rows, statements = [], []
    for name in (name for name in before.names if name != TENURE):
        counts, sql = _binned(now, before, name)
        statements.append(sql)
        rows.append({"feature": name, **_index(counts)})
    table = pd.DataFrame(rows, columns=["feature", "psi", "psi_by_chance", "status"])
    table.insert(1, "customers", now.everybody)
    table.insert(2, "previous_customers", before.everybody)
    table = table.sort_values(["psi", "feature"], ascending=[False, True], ignore_index=True)
    if definition is None:
        return Drift(table, None, None, None, tuple(statements))
    agreement, by_chance, sql = _agreement(now, definition, sample, seed)
    days = (now.as_of_us - definition.learnt_us) // DAY_US
    return Drift(table, agreement, by_chance, days, (*statements, sql))


def _binned(now: Features, before: Features, name: str) -> tuple[pd.DataFrame, str]:
    """Count the customers of both moments in the tenths of before."""
    engine = before.customers.engine
    found = engine.quantiles(str(before.customers), name, list(_TENTHS)).iloc[0]
    edges = sorted({float(edge) for edge in found.iloc[1:] if pd.notna(edge)})
    passed = " + ".join(f"case when {column(name)} > {edge!r} then 1 else 0 end" for edge in edges)
    place = f"case when {column(name)} is null then -1 else {passed or '0'} end"
    sql = " union all ".join(
        f"select {text(moment)} as moment, {place} as place, count(*) as customers "
        f"from {features.customers} as features group by {place}"
        for moment, features in (("now", now), ("before", before))
    )
    return engine.query(sql).pivot(index="place", columns="moment", values="customers"), sql


def _index(counts: pd.DataFrame) -> dict[str, float | str]:
    counts = counts.reindex(columns=["now", "before"]).fillna(0.0)
    sizes = counts.sum()
    if not (sizes > 0).all():
        return {"psi": np.nan, "psi_by_chance": np.nan, "status": "steady"}
    shares = counts.clip(lower=0.5) / sizes
    psi = float(
        ((shares["now"] - shares["before"]) * np.log(shares["now"] / shares["before"])).sum()
    )
    chance = float(scipy.stats.chi2.ppf(0.95, max(len(counts) - 1, 1)) * (1 / sizes).sum())
    steady = psi < WATCH or psi <= chance
    status = "steady" if steady else "watch" if psi < DRIFTED else "drifted"
    return {"psi": psi, "psi_by_chance": chance, "status": status}


def _agreement(
    now: Features, definition: Definition, sample: int, seed: int
) -> tuple[float, float, str]:
    """Return how far a partition learnt anew agrees with the definition's, and others with it."""
    from sklearn.metrics import adjusted_rand_score

    drawn, sql = draw_customers(now, [axis.feature for axis in definition.axes], sample, seed)
    anew = scale(drawn, learn_axes(drawn))
    number = min(len(definition.centres), len(anew))
    with one_thread():
        new = partition(anew, number, seed).labels_
        rng = np.random.default_rng(seed)
        fits = list(draw_partitions(anew[:_COMPARED], number, seed, rng, _DRAWS))
    old = definition.nearest(scale(drawn, definition.axes))
    by_chance = min(adjusted_rand_score(*pair) for pair in combinations(fits, 2))
    return float(adjusted_rand_score(old, new)), float(by_chance), sql
