"""Designed against actual: the journey that the company intended, and how people leave it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, microseconds, parse_duration
from cjkit.engine import Table
from cjkit.events import Period
from cjkit.labels import Language, display_name, format_number, format_percent, label
from cjkit.paths.compared import Compared
from cjkit.paths.moves import Moves, during, find_moves, refuse_split
from cjkit.plots.heat import draw_heat
from cjkit.privacy import Equation, Relation, Rest
from cjkit.project import Step
from cjkit.project.choosing import AnyStep, check_steps, condition_sql, name_step, read_step
from cjkit.statistics import wilson_interval

WHOLE = "(whole)"
"""The step of the rows that speak of the whole journey."""

_MOST_STEPS = 20
_AT_STEPS = ("skipped", "late", "repeated", "overdue", "detour")
_RATES = ("affected_rate", "affected_rate_low", "affected_rate_high")


@dataclass(frozen=True)
class Conformity:
    """What `measure_conformity` found: at which steps people leave the intended journey, and how.

    Attributes
    ----------
    table : DataFrame, one row for each step and deviation (and each value of `by`)
        `step_number` from 1, `step`, `deviation`, `customers` (people of whom it could be),
        `affected` (those of whom it is), `affected_rate` (0 to 1) with `affected_rate_low` and
        `affected_rate_high` (Wilson). `measure_conformity` says what the deviations are. Two rows
        of step 0, `(whole)`, come first: `deviating` (who left the intended journey in any way but
        a detour) and `unfinished` (who did not take all steps that are not optional).
    steps : tuple of Step
        The intended journey.
    gap : Timedelta
        The longest silence inside a journey.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statement that made the counts.
    """

    table: pd.DataFrame
    steps: tuple[Step, ...]
    gap: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": _RATES, "affected": _RATES}
    compared: ClassVar[Compared] = Compared("affected_rate", "customers", within=None)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say what a row is about, `by` apart."""
        return ("step_number", "step", "deviation")

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """Who took a step stands beside each deviation that can be of them."""
        found: list[Relation] = [Rest("affected", "customers")]
        rows = self.table.reset_index(drop=True)
        group = rows.columns[:1].tolist() if self.by else []
        for own in rows.groupby([*group, "step_number"], sort=False).indices.values():
            at = {str(rows["deviation"].iloc[row]): int(row) for row in own}
            if "late" in at:
                took = (("customers", at["late"]),)
                found.append(Equation((("customers", at["repeated"]),), took))
            if "skipped" in at:
                taken = (("affected", at["skipped"]), ("customers", at["repeated"]))
                found.append(Equation((("customers", at["skipped"]),), taken))
            if "deviating" in at:
                both = (("customers", at["deviating"]),), (("customers", at["unfinished"]),)
                found.append(Equation(*both))
        return tuple(found)

    def name_row(self, row: pd.Series[Any], language: Language) -> str:
        """Return how readers call what a row is about."""
        step = self._step_name(row["step"], language)
        return f"{step}: {display_name(row['deviation'], 'deviation', language)}"

    @property
    def formats(self) -> dict[str, Any]:
        """What the columns hold whose names do not say it."""
        return {"step": self._step_name, "deviation": "deviation", "step_number": "number"}

    @property
    def whole(self) -> pd.DataFrame:
        """The rows of those who left the intended journey in any way: one, or one a group."""
        return self.table[self.table["deviation"] == "deviating"]

    @property
    def largest(self) -> pd.Series[Any] | None:
        """The row of the step and deviation that most people make; None where nobody does."""
        rows = self.table[self.table["deviation"].isin(_AT_STEPS[:-1])].dropna(subset=_RATES[0])
        rows = rows[rows["affected"] > 0]
        return None if rows.empty else rows.sort_values("affected").iloc[-1]

    def finding(self, language: Language) -> str:
        """Say how many keep to the intended journey, and where most leave it, and how."""
        rows = self.whole.dropna(subset=_RATES[0])
        if rows.empty:
            return label("no_conformity", language)
        row = rows.sort_values("customers").iloc[-1]
        words = label(
            "conformity_finding",
            language,
            customers=format_number(row["customers"], language),
            kept=format_percent(1 - row["affected_rate"], language),
            low=format_percent(1 - row["affected_rate_high"], language),
            high=format_percent(1 - row["affected_rate_low"], language),
        )
        if self.by is not None:
            return f"{display_name(row[self.table.columns[0]], self.by, language)}: {words}"
        if (worst := self.largest) is not None:
            words += label(
                "conformity_worst",
                language,
                step=self._step_name(worst["step"], language),
                deviation=display_name(worst["deviation"], "deviation", language),
                affected=format_number(worst["affected"], language),
                rate=format_percent(worst["affected_rate"], language),
            )
        return words

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the rates as a heat map: a row for each step, a column for each deviation."""
        refuse_split(self.by)
        names = [step.called for step in self.steps]
        rows = self.table[self.table["deviation"].isin(_AT_STEPS)]
        wide = rows.pivot(index="step", columns="deviation", values="affected_rate")
        shown = [name for name in _AT_STEPS if name in wide]
        ax = draw_heat(
            wide.reindex(index=names, columns=shown).to_numpy(dtype=float),
            rows=[
                f"{number}. {self._step_name(name, language)}"
                for number, name in enumerate(names, 1)
            ],
            columns=[display_name(name, "deviation", language) for name in shown],
            write=lambda rate: format_percent(rate, language, digits=0),
            ax=ax,
        )
        people = self.table.loc[self.table["step_number"] == 0, "customers"].max()
        ax.set_title(label("conformity_title", language, customers=format_number(people, language)))
        return ax

    def _step_name(self, name: Any, language: Language) -> str:
        if name == WHOLE:
            return label("whole_journey", language)
        return name_step(self.steps, name, language)


def measure_conformity(
    events: Table,
    intended: Sequence[AnyStep],
    *,
    gap: str | pd.Timedelta = "30D",
    without: Collection[str] = (),
    by: str | None = None,
    period: Period | None = None,
) -> Conformity:
    """Hold the journeys that people make against the one that the company intended.

    Each customer counts once: by the first journey that ended and holds an event of `intended`. An
    event belongs to the first step that it is; events of no step may come between. The deviations
    at a step, each of the people of whom it could be:

    - `skipped`: of those who took the step or a later one, who took a later one and never this;
      not for steps that are optional.
    - `late`: of those who took it, who had taken a later step before their first time there.
    - `repeated`: of those who took it, who came back to it from another step: a loop.
    - `overdue`: of those who first came to it from an earlier step, who took longer than the step's
      `within` since the last event of that one; only for steps that have a `within`.
    - `detour`: of those who first came to it from another step, who were elsewhere in between. A
      detour alone is no deviation of the whole journey.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    intended : sequence of steps
        2 to 20 steps in order: touchpoints, lists of alternative touchpoints, or tables such as
        `{"stage": "purchase"}` and `{"event": "decide", "within": "5D"}`, as in `[journey]` of the
        project file (`log.project.journey.intended`).
    gap : str or Timedelta, default '30D'
        The longest silence inside a journey, with its unit. Journeys count that ended at least
        `gap` before the log's last event, since later on they may go on.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the first event of `intended`).
    period : Period, optional
        The first event of `intended` in the journey lies in it.

    Returns
    -------
    Conformity

    Raises
    ------
    CjkitError
        When there are fewer than two steps or more than 20, one stands twice, is unknown, or the
        first has a `within`.

    Examples
    --------
    >>> steps = [{"event": "view"}, {"event": "cart"}, {"event": "buy"}]
    >>> found = measure_conformity(events, steps, gap="30m")
    >>> found.table[["step", "deviation", "customers", "affected"]].head(2)
          step   deviation  customers  affected
    0  (whole)   deviating          3         0
    1  (whole)  unfinished          3         3
    """
    steps = _read_steps(events, intended)
    cases = " ".join(f"when {condition_sql(step)} then {k}" for k, step in enumerate(steps, 1))
    moves = find_moves(events, "event", gap, by, without, mark=f"case {cases} end")
    sql = _counted(moves, steps, period)
    table = moves.named(_tidy(events.engine.query(sql), steps, list(moves.keys)))
    return Conformity(table, steps, parse_duration(gap, name="gap"), by, (sql,))


def _read_steps(events: Table, intended: Sequence[AnyStep]) -> tuple[Step, ...]:
    """Check what was asked for, and return it as steps."""
    if isinstance(intended, str) or not 2 <= len(intended) <= _MOST_STEPS:
        raise CjkitError(
            f"intended={intended!r} is no journey: name 2 to {_MOST_STEPS} steps, in order. "
            "The project file says them as `[journey] intended`."
        )
    steps = tuple(
        read_step(step, f"intended[{place}]", plain="touchpoint")
        for place, step in enumerate(intended)
    )
    called = [step.called for step in steps]
    if twice := {name for name in called if called.count(name) > 1}:
        raise CjkitError(f"intended names {sorted(twice)[0]!r} twice: name each step once.")
    if steps[0].within:
        raise CjkitError("The first step has no step before it: leave out its `within`.")
    if all(step.optional for step in steps):
        raise CjkitError("All steps of intended are optional: leave one that is not.")
    check_steps(events, steps, "intended")
    return steps


def _counted(moves: Moves, steps: Sequence[Step], period: Period | None) -> str:
    """Write the SQL that counts, for each step, of how many people each deviation is.

    What holds of a person at a step is a bit of a whole number, so that one row a person holds it
    all. Only events of the intended steps are looked at behind the first window.
    """
    keys = "".join(f"{key}, " for key in moves.keys)
    group = f"group by {', '.join(moves.keys)}" if moves.keys else ""
    bits = {number: 1 << (number - 1) for number in range(1, len(steps) + 1)}
    needed = sum(bits[k] for k, step in enumerate(steps, 1) if not step.optional)
    due = " ".join(f"when {k} then {needed & (bits[k] - 1)}" for k in bits)
    counts = [
        "count(*) as customers",
        "sum(case when (due - (due & taken)) + late + repeated + overdue > 0 then 1 else 0 end)"
        " as deviating",
        f"sum(case when (taken & {needed}) < {needed} then 1 else 0 end) as unfinished",
    ]
    for k, bit in bits.items():
        counts.append(f"sum(case when reached >= {k} then 1 else 0 end) as passed_{k}")
        counts += [
            f"sum(case when ({name} & {bit}) > 0 then 1 else 0 end) as {name}_{k}"
            for name in ("taken", "late", "repeated", "overdue", "advanced", "detour", "arrived")
        ]
    return f"""
        select {keys}{", ".join(counts)}
        from (select *, case reached {due} end as due from ({_people(moves, steps, period)})
            as people) as held {group}"""


def _people(moves: Moves, steps: Sequence[Step], period: Period | None) -> str:
    """Write the SQL of one row a person: which steps were taken, and what holds at each."""
    keys = "".join(f"{key}, " for key in moves.keys)
    by_value = "".join(
        f"max(case when before is null then {key} end) as {key}, " for key in moves.keys
    )
    journey = "partition by customer_id, ended_us"
    order = f"over ({journey} order by step_no)"
    windows = " ".join(
        f"when {k} then {microseconds(step.within, name='within')}"
        for k, step in enumerate(steps, 1)
        if step.within
    )
    allowed = f"case number {windows} end" if windows else "cast(null as bigint)"
    bit = " ".join(f"when {k} then {1 << (k - 1)}" for k in range(1, len(steps) + 1))
    visits = f"""
        select *, case number {bit} end as bit, {allowed} as allowed_us,
            row_number() over (partition by customer_id, number order by step_no) as visit
        from (
            select *, min(ended_us) over (partition by customer_id) as first_us from (
                select {keys}customer_id, ended_us, step_no, occurred_us, mark as number,
                    lag(mark) {order} as before, lag(step_no) {order} as before_no,
                    lag(occurred_us) {order} as before_us,
                    max(mark) over ({journey} order by step_no
                        rows between unbounded preceding and 1 preceding) as furthest,
                    min(occurred_us) over ({journey}) as began_us
                from {moves.in_journeys} as moves
                where mark is not null and ended_us <= {moves.known_until_us}) as intended
            where {during(period, "began_us")}) as chosen
        where ended_us = first_us"""

    def bits(name: str, condition: str) -> str:
        return f"sum(case when {condition} then bit else 0 end) as {name}"

    at_steps = f"""
        select {by_value}customer_id, number, max(bit) as bit, max(number) as reached,
            max(case when visit = 1 and furthest > number then 1 else 0 end) as is_late,
            max(case when visit > 1 and before <> number then 1 else 0 end) as is_repeated,
            max(case when visit = 1 and before < number then 1 else 0 end) as is_advanced,
            max(case when visit = 1 and before < number and occurred_us - before_us > allowed_us
                then 1 else 0 end) as is_overdue,
            max(case when visit = 1 and before is not null then 1 else 0 end) as is_arrived,
            max(case when visit = 1 and step_no > before_no + 1 then 1 else 0 end) as is_detour
        from ({visits}) as visits group by customer_id, number"""
    flags = ("late", "repeated", "overdue", "advanced", "detour", "arrived")
    group_value = "".join(f"max({key}) as {key}, " for key in moves.keys)
    return f"""
        select {group_value}customer_id, max(reached) as reached, sum(bit) as taken,
            {", ".join(bits(name, f"is_{name} = 1") for name in flags)}
        from ({at_steps}) as at_steps group by customer_id"""


def _tidy(found: pd.DataFrame, steps: Sequence[Step], keys: list[str]) -> pd.DataFrame:
    """Give each step one row for each deviation that can be there, with its rate."""
    rows = []
    for counted in found.fillna(0).to_dict("records"):
        group = [counted[key] for key in keys]
        whole = counted["customers"]
        for name in ("deviating", "unfinished"):
            rows.append((*group, 0, WHOLE, name, whole, counted[name]))
        for k, step in enumerate(steps, 1):
            passed, taken = counted[f"passed_{k}"], counted[f"taken_{k}"]
            here = {
                "skipped": (passed, passed - taken),
                "late": (taken, counted[f"late_{k}"]),
                "repeated": (taken, counted[f"repeated_{k}"]),
                "overdue": (counted[f"advanced_{k}"], counted[f"overdue_{k}"]),
                "detour": (counted[f"arrived_{k}"], counted[f"detour_{k}"]),
            }
            impossible = {
                "skipped": step.optional or k == len(steps),
                "late": k == len(steps),
                "overdue": not step.within,
                "detour": not counted[f"arrived_{k}"],
            }
            rows += [
                (*group, k, step.called, name, *here[name])
                for name in _AT_STEPS
                if not impossible.get(name, False)
            ]
    columns = [*keys, "step_number", "step", "deviation", "customers", "affected"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype(dict.fromkeys(("step_number", "customers", "affected"), "int64"))
    table = table[table.groupby(keys)["customers"].transform("max") > 0] if keys else table
    table["affected_rate"] = table["affected"] / table["customers"]
    table["affected_rate_low"], table["affected_rate_high"] = wilson_interval(
        table["affected"], table["customers"]
    )
    return table.sort_values(keys, kind="stable", ignore_index=True) if keys else table
