"""A definition of segments that stays as it is: how features are scaled, and the centres.

It is learnt on a sample and applied on the engine to all customers, now or at another time, so that
a customer moves between segments only when the customer changed, not when the segments did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cjkit.checks import unknown_name
from cjkit.engine import Table, column, text
from cjkit.segmentation.features import CHANNEL, Features, kind_of
from cjkit.statistics import Floats

FARTHEST = 3.0
"""No scaled feature is farther from the mean than this: one extreme makes no segment."""


@dataclass(frozen=True)
class Axis:
    """How one feature is scaled: `(f - mean) / spread` within ±3, times `weight`.

    `is_log` says that f is ln(1 + feature), of negative ones ln(1); a missing feature is at 0.
    """

    feature: str
    is_log: bool
    mean: float
    spread: float
    weight: float


@dataclass(frozen=True)
class Definition:
    """Segments as the nearest of several centres.

    Attributes
    ----------
    axes : tuple of Axis
    centres : tuple of tuple of float
        One for each segment, one number for each axis.
    names : tuple of str
        The segments.
    learnt_us : int
        The moment, in microseconds since 1970, of the features that it was learnt from.
    """

    axes: tuple[Axis, ...]
    centres: tuple[tuple[float, ...], ...]
    names: tuple[str, ...]
    learnt_us: int

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Definition:
        """Return the definition that `facts` wrote, such as that of an earlier run."""
        return cls(
            tuple(Axis(**axis) for axis in facts["axes"]),
            tuple(tuple(centre) for centre in facts["centres"]),
            tuple(facts["names"]),
            facts["learnt_us"],
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The definition in dicts, lists, text and numbers, to be kept for later runs."""
        return asdict(self)

    @property
    def channels(self) -> list[str] | None:
        """The channels whose shares it looks at: what `read_features` must read; None for none."""
        named = [axis.feature for axis in self.axes if axis.feature.startswith(CHANNEL)]
        return [name.removeprefix(CHANNEL) for name in named] or None

    def assign(self, features: Features, name: str) -> tuple[Table, str]:
        """Give each customer the segment whose centre is nearest, in one statement on the engine.

        Parameters
        ----------
        features : Features
            Has all features of the definition.
        name : str
            What the table is called: the columns of `features.customers` and `segment`.

        Raises
        ------
        CjkitError
            When a feature is not there.
        """
        for axis in self.axes:
            if axis.feature not in features.names:
                raise unknown_name("feature", axis.feature, features.names, where="the features")
        sql = self.sql(features.customers)
        return features.customers.engine.materialize(name, sql), sql

    def nearest(self, points: Floats) -> NDArray[np.intp]:
        """Return the place of the segment of each scaled point, as the statement gives it."""
        centres = np.array(self.centres)
        nearness: Floats = 2 * points @ centres.T - (centres**2).sum(axis=1)
        return np.asarray(nearness.argmax(axis=1))

    def sql(self, customers: Table) -> str:
        """Write the SQL of the rows of `customers` with their `segment`.

        Of two distances the smaller is that of the larger 2 z c - |c|^2, which needs no squares of
        z; of equal ones the first segment counts.
        """
        scaled = ", ".join(f"{_scaled(axis)} as z_{place}" for place, axis in enumerate(self.axes))
        nearness = ", ".join(
            " + ".join(
                [repr(-sum(part * part for part in centre))]
                + [f"({2 * part!r}) * z_{place}" for place, part in enumerate(centre) if part]
            )
            + f" as near_{number}"
            for number, centre in enumerate(self.centres)
        )
        nearest = ", ".join(f"near_{number}" for number in range(len(self.centres)))
        cases = " ".join(
            f"when near_{number} = greatest({nearest}) then {text(segment)}"
            for number, segment in enumerate(self.names)
        )
        chosen = f"case {cases} end" if len(self.names) > 1 else text(self.names[0])
        return f"""
            select {", ".join(map(column, customers.columns))}, {chosen} as segment from (
                select *, {nearness} from (
                    select *, {scaled} from {customers} as features) as scaled) as near"""


def draw_customers(
    features: Features, names: Sequence[str], sample: int, seed: int
) -> tuple[pd.DataFrame, str]:
    """Return these features of at most `sample` customers, drawn by a hash of their ids."""
    sql = f"""
        select {", ".join(map(column, names))} from {features.customers} as features
        order by md5(customer_id || {text(f" {seed}")}), customer_id limit {int(sample)}"""
    return features.customers.engine.query(sql), sql


def _scaled(axis: Axis) -> str:
    value = column(axis.feature)
    if axis.is_log:
        value = f"ln(1.0 + greatest({value}, 0))"
    bounded = f"({value} - ({axis.mean!r})) / {axis.spread!r}"
    kept = f"greatest({-FARTHEST!r}, least({FARTHEST!r}, {bounded}))"
    # greatest and least pass missing values over on some engines: they are seen to outside.
    return f"case when {column(axis.feature)} is null then 0.0 else {kept} * {axis.weight!r} end"


def learn_axes(sample: pd.DataFrame) -> tuple[Axis, ...]:
    """Learn how to scale the features that vary; kinds of features weigh the same.

    A column that is no feature is a kind of its own.

    Features that only have few large values (skewness above 1, none far below 0) are taken on the
    log scale.
    """
    learnt: list[tuple[str, bool, float, float]] = []
    for name in sample:
        values = sample[name].to_numpy(float, na_value=np.nan)
        known = values[np.isfinite(values)]
        if len(known) < 2 or np.ptp(known) == 0:
            continue
        is_log = bool(_skewness(known) > 1 and np.mean(known < 0) < 0.05)
        if is_log:
            known = np.log1p(np.maximum(known, 0))
        if (spread := float(known.std())) > 0:
            learnt.append((str(name), is_log, float(known.mean()), spread))
    sizes = pd.Series([kind_of(name) for name, *_ in learnt]).value_counts()
    return tuple(
        Axis(name, is_log, mean, spread, float(1 / np.sqrt(sizes[kind_of(name)])))
        for name, is_log, mean, spread in learnt
    )


def scale(sample: pd.DataFrame, axes: tuple[Axis, ...]) -> Floats:
    """Return the features of a sample as the statement of a definition scales them."""
    columns = []
    for axis in axes:
        values = sample[axis.feature].to_numpy(float, na_value=np.nan)
        if axis.is_log:
            values = np.log1p(np.maximum(values, 0))
        bounded = np.clip((values - axis.mean) / axis.spread, -FARTHEST, FARTHEST)
        columns.append(np.nan_to_num(bounded) * axis.weight)
    return np.column_stack(columns)


def _skewness(values: Floats) -> float:
    centred = values - values.mean()
    return float(np.mean(centred**3) / max(np.mean(centred**2) ** 1.5, 1e-300))
