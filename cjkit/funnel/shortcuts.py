"""Who comes through without a step: offers completed unseen, purchases without advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table
from cjkit.funnel.counts import measure_funnel
from cjkit.funnel.result import rows_of, write_count
from cjkit.funnel.rules import Count, FunnelOptions, FunnelRules
from cjkit.labels import Language, format_percent, label
from cjkit.plots.rates import draw_rates
from cjkit.privacy import Relation, Rest
from cjkit.project.choosing import AnyStep
from cjkit.statistics import wilson_interval

_RATE = ("without_rate", "without_rate_low", "without_rate_high")


@dataclass(frozen=True)
class FunnelShortcuts:
    """What `measure_shortcuts` found.

    Attributes
    ----------
    table : DataFrame, one row for each step between the first and the last
        `step`, `completed` (how many reach the last step when this one is not asked for),
        `with_step` (how many do so with it), `without_step` (the others) and their share
        `without_rate`, with its 95% Wilson interval.
    rules : FunnelRules
        Those of the whole funnel, with what was counted.
    sql : tuple of str
    """

    table: pd.DataFrame
    rules: FunnelRules
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "completed": ("without_step", *_RATE),
        "with_step": ("without_step", *_RATE),
        "without_step": _RATE,
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Rest("with_step", "completed"),)

    @property
    def formats(self) -> dict[str, Any]:
        """How the table's columns are written where their names do not say it."""
        return {"step": self.rules.name_step}

    def finding(self, language: Language) -> str:
        """Say which step is left out most often by those who come through."""
        rows = rows_of(self.table.dropna(subset="without_rate"))
        if not rows:
            return label("no_shortcuts", language)
        row = max(rows, key=lambda found: float(found["without_rate"]))
        return label(
            "shortcuts_finding",
            language,
            completed=write_count(row["completed"], self.rules.count, language),
            last=self.rules.name_step(self.rules.names[-1], language),
            step=self.rules.name_step(row["step"], language),
            without=write_count(row["without_step"], self.rules.count, language),
            rate=format_percent(row["without_rate"], language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the share of those who come through without each step, with its interval."""
        rows = rows_of(self.table)
        ax = draw_rates(
            [self.rules.name_step(row["step"], language) for row in rows],
            [row["without_rate"] for row in rows],
            [row["without_rate_low"] for row in rows],
            [row["without_rate_high"] for row in rows],
            [write_count(row["without_step"], self.rules.count, language) for row in rows],
            ax=ax,
        )
        ax.set_xlabel(label("without_rate", language))
        return ax


def measure_shortcuts(
    events: Table,
    steps: Sequence[AnyStep],
    *,
    count: Count = "customers",
    **options: Unpack[FunnelOptions],
) -> FunnelShortcuts:
    """Count who comes through with and without each step between the first and the last.

    Who has a chain of all steps counts as with the step, whatever other chains they have; who has
    one only when the step is not asked for counts as without it. Steps that are optional are not
    asked for in either.

    Parameters
    ----------
    events, steps, count, **options
        As in `measure_funnel`; at least three steps.

    Returns
    -------
    FunnelShortcuts

    Raises
    ------
    CjkitError
        As `measure_funnel`, or when there is no step between the first and the last.

    Examples
    --------
    >>> measure_shortcuts(events, ["view", "cart", "buy"]).table.iloc[:, :4]
       step  completed  with_step  without_step
    0  cart          2          1             1
    """
    whole = measure_funnel(events, steps, count=count, **options)
    inner = whole.rules.required[1:-1]
    if not inner:
        raise CjkitError("There is no step between the first and the last: name three or more.")
    without = [
        measure_funnel(events, [*steps[:k], *steps[k + 1 :]], count=count, **options) for k in inner
    ]
    through = int(whole.ends[count].sum())
    table = pd.DataFrame(
        {
            "step": [whole.rules.names[k] for k in inner],
            "completed": [int(found.ends[count].sum()) for found in without],
            "with_step": through,
        }
    )
    table["without_step"] = table["completed"] - through
    table["without_rate"] = table["without_step"] / table["completed"].where(table["completed"] > 0)
    limits = wilson_interval(table["without_step"], table["completed"])
    table["without_rate_low"], table["without_rate_high"] = limits
    statements = (*whole.sql, *(sql for found in without for sql in found.sql))
    return FunnelShortcuts(table, whole.rules, statements)
