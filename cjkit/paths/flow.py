"""Flow: the steps that customers take from a place on, or on their way to one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, parse_duration
from cjkit.engine import Table, text
from cjkit.events import Period
from cjkit.labels import OTHER, Language, display_name, format_number, format_percent, label
from cjkit.paths.compared import Compared
from cjkit.paths.moves import (
    ENTRY,
    EXIT,
    OPEN,
    Level,
    Moves,
    check_top,
    during,
    find_moves,
    refuse_split,
)
from cjkit.plots.flow import draw_flow
from cjkit.privacy import Equation, Relation, Totals
from cjkit.statistics import wilson_interval

_ENDS = (ENTRY, EXIT, OPEN)


@dataclass(frozen=True)
class Flow:
    """What `measure_flow` found: how many people take each step, one step after another.

    Attributes
    ----------
    table : DataFrame, one row for each step and pair of places (and each value of `by`)
        `step` of the origin, counted from the start (0, 1, 2, ...) or back from the end (-1, -2,
        ...), `origin`, `target` (`(exit)`: the journey ended there; `(open)`: the log ends before
        that is known; `(entry)` as origin: the journey began), `customers` (count), and `share` of
        `all_customers` who were followed (0 to 1) with `share_low` and `share_high` (Wilson).
    anchor : str or None
        The place or event that everybody was followed from, or to; None: from their first event.
    is_backward : bool
        Whether the steps lead to the anchor.
    people : int
        How many people were followed.
    level : str
        What a place is.
    gap : Timedelta
        The longest silence inside a journey.
    by : str or None
        The column that the counts are split by.
    sql : tuple of str
        The statement that made the counts.
    """

    table: pd.DataFrame
    anchor: str | None
    is_backward: bool
    people: int
    level: Level
    gap: pd.Timedelta
    by: str | None
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": ("share", "share_low", "share_high"),
        "all_customers": ("share", "share_low", "share_high"),
    }
    compared: ClassVar[Compared] = Compared("share", "all_customers", within=())

    @property
    def adds_up(self) -> tuple[Relation, ...]:
        """The people of a step are known, and who came to a place is who goes on from it."""
        group = list(self.table.columns[:1]) if self.by else []
        near, far = ("target", "origin") if self.is_backward else ("origin", "target")
        places = self.table.reset_index(drop=True).assign(step=self.table["step"].abs().to_numpy())
        came, gone = (
            cast("dict[tuple[Any, ...], Any]", places.groupby([*group, "step", side]).indices)
            for side in (far, near)
        )
        followed = []
        for (*which, step, place), rows in came.items():
            if (onward := gone.get((*which, step + 1, place))) is not None:
                sides = (tuple(("customers", int(row)) for row in own) for own in (rows, onward))
                followed.append(Equation(*sides))
        return (Totals("customers", (*group, "step")), *followed)

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say what a row is about, `by` apart."""
        return ("step", "origin", "target")

    def name_row(self, row: pd.Series[Any], language: Language) -> str:
        """Return how readers call what a row is about."""
        ends = (display_name(row[end], self.level, language) for end in ("origin", "target"))
        return f"{self._step_name(int(row['step']), language)}: {' → '.join(ends)}"

    @property
    def formats(self) -> dict[str, str]:
        """What the columns hold whose names do not say it."""
        return {"origin": self.level, "target": self.level, "step": "number"}

    @property
    def ended(self) -> dict[str, float]:
        """The share of those whose journey ended (or began) at the anchor, with its interval.

        Missing where it is masked.
        """
        side, edge = ("origin", ENTRY) if self.is_backward else ("target", EXIT)
        ends = self._near.loc[self._near[side] == edge, "customers"]
        count = float(ends.sum(skipna=False))
        low, high = wilson_interval(count, self.people)
        share = count / self.people if self.people else float("nan")
        return {"share": share, "share_low": float(low), "share_high": float(high)}

    @property
    def _near(self) -> pd.DataFrame:
        """The rows of the step at the anchor."""
        return self.table[self.table["step"] == (-1 if self.is_backward else 0)]

    def finding(self, language: Language) -> str:
        """Say where most people are next (or were just before), and how many went no further."""
        side = "origin" if self.is_backward else "target"
        shares = self._near.groupby(side)["share"].sum(min_count=1)
        if shares.empty:
            return label("no_moves", language)
        inner = shares.drop([OTHER, *_ENDS], errors="ignore")
        said = {
            "people": format_number(self.people if shares.notna().any() else None, language),
            "anchor": self._anchor_name(language),
            "ended": format_percent(self.ended["share"], language),
        }
        back = "_back" if self.is_backward else ""
        if not inner.notna().any():
            return label(f"flow_finding_nowhere{back}", language, **said)
        place = str(inner.idxmax())
        said["place"] = display_name(place, self.level, language)
        said["share"] = format_percent(inner[place], language)
        return label(f"flow_finding{back}", language, **said)

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw the steps as columns of places, joined by ribbons as wide as the people are many."""
        refuse_split(self.by)
        moves = self.table.dropna(subset="customers")
        both = pd.concat([moves["origin"], moves["target"]]).rename("place").to_frame()
        both["customers"] = pd.concat([moves["customers"], moves["customers"]]).to_numpy()
        sizes = both.groupby("place")["customers"].sum().sort_values(ascending=False)
        last = [place for place in (OTHER, *_ENDS) if place in sizes.index]
        order = [place for place in sizes.index if place not in last] + last
        ax = draw_flow(
            [
                (int(step), str(origin), str(target), float(customers))
                for step, origin, target, customers in zip(
                    *(moves[name] for name in ("step", "origin", "target", "customers")),
                    strict=True,
                )
            ],
            order=order,
            faded=last,
            names={place: display_name(place, self.level, language) for place in order},
            name_step=lambda step: self._step_name(step, language),
            write=lambda share: format_percent(share, language, digits=0),
            ax=ax,
        )
        ax.set_title(
            label(
                "flow_title_back" if self.is_backward else "flow_title",
                language,
                anchor=self._anchor_name(language),
            )
        )
        return ax

    def _anchor_name(self, language: Language) -> str:
        if self.anchor is None:
            return label("first_event", language)
        name = display_name(self.anchor, self.level, language)
        return name if name != self.anchor else display_name(self.anchor, "event", language)

    def _step_name(self, step: int, language: Language) -> str:
        if step == 0:
            return label("flow_end" if self.is_backward else "flow_start", language)
        key = "flow_step_back" if self.is_backward else "flow_step"
        return label(key, language, number=abs(step))


def measure_flow(
    events: Table,
    *,
    start: str | None = None,
    end: str | None = None,
    level: Level = "touchpoint",
    steps: int = 5,
    gap: str | pd.Timedelta = "30D",
    without: Collection[str] = (),
    top: int = 8,
    by: str | None = None,
    period: Period | None = None,
) -> Flow:
    """Follow each customer once, step by step: on from `start`, or back from `end`.

    A customer is followed from the first event that is `start` (or `end`), or, when neither is
    given, from their first event of all. Events one after another at one place are one step. A
    silence longer than `gap` ends the journey: `(exit)` ahead, `(entry)` behind. Nobody is followed
    on from the log's last `gap`, and a step that reaches into it is `(open)`: whether it goes on is
    not known yet. Everybody counts once at each step, so that the steps add up.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    start, end : str, optional
        A place of `level`, or else an event. At most one of the two.
    level : {'touchpoint', 'event', 'channel', 'stage'}
        What a place is. An event without one is at the place `(missing)`.
    steps : int, default 5
        How many steps to follow, that of the anchor included; 2 to 12.
    gap : str or Timedelta, default '30D'
        The longest silence inside a journey, with its unit.
    without : collection of str
        Events to leave out as if they had not been, such as mails that the company sends.
    top : int, default 8
        Places beyond the `top` that most people pass become `(other)`.
    by : str, optional
        A column of customers, of a saved table (`segments.segment`), or of events (then the value
        at the anchor).
    period : Period, optional
        The anchor is the customer's first such event in it.

    Returns
    -------
    Flow

    Raises
    ------
    CjkitError
        When both `start` and `end` are given, one of them is unknown, or `steps` is out of range.

    Examples
    --------
    >>> flow = measure_flow(events, start="view", level="event", steps=2, gap="30m")
    >>> flow.table[["step", "origin", "target", "customers"]]
       step origin  target  customers
    0     0   view  (exit)          3
    """
    if start is not None and end is not None:
        raise CjkitError("Give start or end, not both: each customer is followed one way.")
    if not 2 <= steps <= 12:
        raise CjkitError(f"steps={steps!r} is out of range: follow 2 to 12 steps.")
    check_top(top)
    moves = find_moves(events, level, gap, by, without)
    is_backward = end is not None
    anchors = _anchors(moves, start, end, period)
    walked = _backward(moves, anchors) if is_backward else _forward(moves, anchors)
    keys = ", ".join((*moves.keys, "place", "here", "beyond"))
    sql = f"""
        select {keys}, count(*) as customers from ({walked}) as walked
        where is_turn = 1 and broken = 0 and place < {int(steps)} group by {keys}"""
    found = events.engine.query(sql)
    table = moves.named(_tidy(found, list(moves.keys), top, is_backward=is_backward))
    return Flow(
        table=table,
        anchor=end or start,
        is_backward=is_backward,
        people=int(found.loc[found["place"] == 1, "customers"].sum()),
        level=level,
        gap=parse_duration(gap, name="gap"),
        by=by,
        sql=(sql,),
    )


def _anchors(moves: Moves, start: str | None, end: str | None, period: Period | None) -> str:
    """Write the SQL of the event that each customer is followed from."""
    condition = during(period)
    if end is None:
        condition += f" and occurred_us <= {moves.known_until_us}"
    if start is not None:
        condition += f" and {moves.anchor(start, 'start')}"
    if end is not None:
        condition += f" and {moves.anchor(end, 'end')}"
    by_value = ", by_value" if moves.split else ""
    return f"""
        select customer_id, step_no as anchor_no{by_value} from (
            select customer_id, step_no{by_value},
                min(step_no) over (partition by customer_id) as first_no
            from {moves.sql} as moves where {condition}) as occurrences
        where step_no = first_no"""


def _forward(moves: Moves, anchors: str) -> str:
    """Write the SQL of each event from the anchor on, with its place in the flow.

    Only the last event of a run at one place leads on (`is_turn`), so the number of turns before it
    is its place; what lies behind the first end is `broken` off.
    """
    target = f"case when occurred_us > {moves.known_until_us} then {text(OPEN)} else target end"
    walked = f"""
        select moves.customer_id, moves.step_no, {_anchored(moves)}here, {target} as beyond
        from {moves.sql} as moves join ({anchors}) as anchors
            on moves.customer_id = anchors.customer_id and moves.step_no >= anchors.anchor_no"""
    return _placed(moves, walked, "step_no", text(EXIT))


def _backward(moves: Moves, anchors: str) -> str:
    """Write the SQL of each event up to the anchor, from it back, with its place in the flow."""
    order = "partition by customer_id order by step_no"
    preceded = f"""
        select *, case when lag(waited_us) over ({order}) <= {moves.gap_us}
            then lag(here) over ({order}) else {text(ENTRY)} end as beyond
        from {moves.sql} as moves"""
    walked = f"""
        select moves.customer_id, moves.step_no, {_anchored(moves)}here, beyond
        from ({preceded}) as moves join ({anchors}) as anchors
            on moves.customer_id = anchors.customer_id and moves.step_no <= anchors.anchor_no"""
    return _placed(moves, walked, "step_no desc", text(ENTRY))


def _placed(moves: Moves, walked: str, order: str, ending: str) -> str:
    """Write the SQL that counts the turns and the ends before each event of a walk."""
    before = (
        f"over (partition by customer_id order by {order} "
        "rows between unbounded preceding and 1 preceding)"
    )
    keys = "".join(f"{key}, " for key in moves.keys)
    return f"""
        select {keys}here, beyond, is_turn, 1 + coalesce(sum(is_turn) {before}, 0) as place,
            coalesce(sum(is_end) {before}, 0) as broken
        from (select *, case when beyond <> here then 1 else 0 end as is_turn,
                case when beyond in ({ending}, {text(OPEN)}) then 1 else 0 end as is_end
            from ({walked}) as walked) as turns"""


def _anchored(moves: Moves) -> str:
    return "".join(f"anchors.{key}, " for key in moves.keys)


def _tidy(found: pd.DataFrame, keys: list[str], top: int, *, is_backward: bool) -> pd.DataFrame:
    """Group the rare places, name the steps, and give each its share of all who were followed."""
    # Who stands at a place came there, or began there.
    begun = found.loc[found["place"] == 1, ["here", "customers"]].rename(columns={"here": "beyond"})
    passed = pd.concat([begun, found[["beyond", "customers"]]])
    passed = passed[~passed["beyond"].isin(_ENDS)]
    sizes = passed.groupby("beyond", as_index=False)[["customers"]].sum()
    kept = set(sizes.sort_values(["customers", "beyond"], ascending=[False, True])["beyond"][:top])
    kept |= set(_ENDS)
    near, far = ("target", "origin") if is_backward else ("origin", "target")
    table = found.assign(
        step=-found["place"] if is_backward else found["place"] - 1,
        **{
            side: found[name].where(found[name].isin(kept), OTHER)
            for side, name in ((near, "here"), (far, "beyond"))
        },
    )
    table["step"] = table["step"].astype("int64")
    table = table.groupby([*keys, "step", "origin", "target"], as_index=False)[["customers"]].sum()
    first = table[table["step"] == (-1 if is_backward else 0)]
    if keys:
        followed = table[keys[0]].map(first.groupby(keys[0])["customers"].sum())
    else:
        followed = pd.Series(first["customers"].sum(), index=table.index)
    table["all_customers"] = followed.astype("int64")
    table["share"] = table["customers"] / followed
    table["share_low"], table["share_high"] = wilson_interval(table["customers"], followed)
    table = table.assign(order=table["step"].abs()).sort_values(
        [*keys, "order", "customers", "origin", "target"],
        ascending=[*(True for _ in keys), True, False, True, True],
        ignore_index=True,
    )
    return table.drop(columns="order")
