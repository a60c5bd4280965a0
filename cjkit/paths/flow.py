"""Flow: the steps that customers take from a place on, or on their way to one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError, parse_duration
from cjkit.engine import Table, text
from cjkit.events import Period
from cjkit.labels import OTHER, Language, display_name, format_number, format_percent, label
from cjkit.paths.compared import Compared
from cjkit.paths.matrix import StepMatrix, count_places
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

Direction = Literal["on", "back", "both"]

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
    direction : str
        'on' from the anchor, 'back' from it, or 'both' ways.
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
    direction: Direction
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
        places = self.table.reset_index(drop=True)
        came, gone = (
            cast("dict[tuple[Any, ...], Any]", places.groupby([*group, "step", side]).indices)
            for side in ("target", "origin")
        )
        followed = []
        for (*which, step, place), rows in came.items():
            if place not in _ENDS and (onward := gone.get((*which, step + 1, place))) is not None:
                sides = (tuple(("customers", int(row)) for row in own) for own in (rows, onward))
                followed.append(Equation(*sides))
        sums = (("step",), ("step", "origin"), ("step", "target"))
        return (*(Totals("customers", (*group, *each)) for each in sums), *followed)

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
    def matrix(self) -> StepMatrix:
        """The same people by where they are at each step, wherever they came from."""
        keys = list(self.table.columns[:1]) if self.by else []
        table = count_places(self.table, keys)
        return StepMatrix(table, self._step_name, self.level, self.by, self.sql)

    @property
    def ended(self) -> dict[str, float]:
        """The share of those whose journey ended (or began) at the anchor, with its interval.

        Missing where it is masked.
        """
        side, edge = ("origin", ENTRY) if self.direction == "back" else ("target", EXIT)
        ends = self._near.loc[self._near[side] == edge, "customers"]
        count = float(ends.sum(skipna=False))
        low, high = wilson_interval(count, self.people)
        share = count / self.people if self.people else float("nan")
        return {"share": share, "share_low": float(low), "share_high": float(high)}

    @property
    def _near(self) -> pd.DataFrame:
        """The rows of the step at the anchor."""
        return self.table[self.table["step"] == (-1 if self.direction == "back" else 0)]

    def finding(self, language: Language) -> str:
        """Say where most people are next (or were just before), and how many went no further."""
        side = "origin" if self.direction == "back" else "target"
        shares = self._near.groupby(side)["share"].sum(min_count=1)
        if shares.empty:
            return label("no_moves", language)
        inner = shares.drop([OTHER, *_ENDS], errors="ignore")
        said = {
            "people": format_number(self.people if shares.notna().any() else None, language),
            "anchor": self._anchor_name(language),
            "ended": format_percent(self.ended["share"], language),
        }
        back = "_back" if self.direction == "back" else ""
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
                f"flow_title_{self.direction}",
                language,
                anchor=self._anchor_name(language),
                people=format_number(self.people if len(moves) else None, language),
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
            return label(f"flow_{self.direction}", language)
        key = "flow_step_back" if step < 0 else "flow_step"
        return label(key, language, number=abs(step))


def measure_flow(
    events: Table,
    *,
    start: str | None = None,
    end: str | None = None,
    around: str | None = None,
    level: Level = "touchpoint",
    steps: int = 5,
    gap: str | pd.Timedelta = "30D",
    without: Collection[str] = (),
    top: int = 8,
    by: str | None = None,
    period: Period | None = None,
) -> Flow:
    """Follow each customer once, step by step: on from `start`, back from `end`, or both ways.

    A customer is followed from the first event that is `start` (or `end`, or `around`), or, when
    none is given, from their first event of all. Events one after another at one place are one
    step. A silence longer than `gap` ends the journey: `(exit)` ahead, `(entry)` behind. Nobody is
    followed on from the log's last `gap`, and a step that reaches into it is `(open)`: whether it
    goes on is not known yet. Everybody counts once at each step, so that the steps add up.

    Parameters
    ----------
    events : Table
        The prepared log, or all events of some of its customers.
    start, end, around : str, optional
        A place of `level`, or else an event. At most one of the three: what people do after it,
        before it, or both.
    level : {'touchpoint', 'event', 'channel', 'stage'}
        What a place is. An event without one is at the place `(missing)`.
    steps : int, default 5
        How many steps to follow in one direction, that of the anchor included; 2 to 12.
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
        When two of `start`, `end` and `around` are given, one is unknown, or `steps` is out of
        range.

    Examples
    --------
    >>> flow = measure_flow(events, start="view", level="event", steps=2, gap="30m")
    >>> flow.table[["step", "origin", "target", "customers"]]
       step origin  target  customers
    0     0   view  (exit)          3
    """
    given = {"start": start, "end": end, "around": around}
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) > 1:
        raise CjkitError(f"Give one of {' and '.join(named)}: each customer is followed once.")
    if not 2 <= steps <= 12:
        raise CjkitError(f"steps={steps!r} is out of range: follow 2 to 12 steps.")
    check_top(top)
    moves = find_moves(events, level, gap, by, without)
    direction: Direction = "back" if end is not None else "both" if around is not None else "on"
    name, anchor = next(iter(named.items()), ("start", None))
    anchors = _anchors(moves, anchor, name, period)
    keys = ", ".join((*moves.keys, "place", "here", "beyond"))
    ways = {"on": [_forward], "back": [_backward], "both": [_backward, _forward]}[direction]
    statements = tuple(
        f"""
        select {keys}, count(*) as customers from ({way(moves, anchors)}) as walked
        where broken = 0 and place < {int(steps)} group by {keys}"""
        for way in ways
    )
    found = [
        events.engine.query(sql).assign(is_back=way is _backward)
        for sql, way in zip(statements, ways, strict=True)
    ]
    table = moves.named(_tidy(pd.concat(found, ignore_index=True), list(moves.keys), top))
    return Flow(
        table=table,
        anchor=anchor,
        direction=direction,
        people=int(found[0].loc[found[0]["place"] == 1, "customers"].sum()),
        level=level,
        gap=parse_duration(gap, name="gap"),
        by=by,
        sql=statements,
    )


def _anchors(moves: Moves, anchor: str | None, name: str, period: Period | None) -> str:
    """Write the SQL of the event that each customer is followed from."""
    condition = during(period)
    if name != "end":
        condition += f" and occurred_us <= {moves.known_until_us}"
    if anchor is not None:
        condition += f" and {moves.anchor(anchor, name)}"
    firsts = f"""
        select customer_id, min(step_no) as anchor_no
        from {moves.sql} as moves where {condition} group by customer_id"""
    if not moves.split:
        return firsts
    return f"""
        select firsts.customer_id, anchor_no, by_value from ({firsts}) as firsts
        join {moves.sql} as moves
            on moves.customer_id = firsts.customer_id and step_no = anchor_no"""


def _forward(moves: Moves, anchors: str) -> str:
    """Write the SQL of each event from the anchor on, with its place in the flow.

    Only the last event of a run at one place is a turn that leads on, so the number of turns up to
    it is its place; what lies behind the first end is `broken` off.
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
    """Write the SQL that gives each turn of a walk its place, and says whether an end is behind."""
    along = f"over (partition by customer_id order by {order}"
    keys = "".join(f"{key}, " for key in moves.keys)
    return f"""
        select {keys}here, beyond, row_number() {along}) as place,
            coalesce(max(case when beyond in ({ending}, {text(OPEN)}) then 1 else 0 end)
                {along} rows between unbounded preceding and 1 preceding), 0) as broken
        from ({walked}) as walked where beyond <> here"""


def _anchored(moves: Moves) -> str:
    return "".join(f"anchors.{key}, " for key in moves.keys)


def _tidy(found: pd.DataFrame, keys: list[str], top: int) -> pd.DataFrame:
    """Group the rare places, name the steps, and give each its share of all who were followed."""
    # Who stands at a place came there, or began there; everybody stands at the anchor once.
    is_first = found["place"] == 1
    if not found["is_back"].all():
        is_first &= ~found["is_back"]
    begun = found.loc[is_first, ["here", "customers"]].rename(columns={"here": "beyond"})
    passed = pd.concat([begun, found[["beyond", "customers"]]])
    passed = passed[~passed["beyond"].isin(_ENDS)]
    sizes = passed.groupby("beyond", as_index=False)[["customers"]].sum()
    kept = set(sizes.sort_values(["customers", "beyond"], ascending=[False, True])["beyond"][:top])
    kept |= set(_ENDS)
    here, beyond = (found[name].where(found[name].isin(kept), OTHER) for name in ("here", "beyond"))
    is_back = found["is_back"].astype(bool)
    table = found[keys].assign(
        step=(found["place"] - 1).where(~is_back, -found["place"]).astype("int64"),
        origin=here.where(~is_back, beyond),
        target=beyond.where(~is_back, here),
        customers=found["customers"],
    )
    table = table.groupby([*keys, "step", "origin", "target"], as_index=False)[["customers"]].sum()
    first = table[table["step"] == (-1 if is_back.all() and len(table) else 0)]
    if keys:
        followed = table[keys[0]].map(first.groupby(keys[0])["customers"].sum())
    else:
        followed = pd.Series(first["customers"].sum(), index=table.index)
    table["all_customers"] = followed.astype("int64")
    table["share"] = table["customers"] / followed
    table["share_low"], table["share_high"] = wilson_interval(table["customers"], followed)
    # From the anchor outwards, and within a step the most frequent first.
    table = table.assign(side=table["step"] < 0, order=table["step"].abs()).sort_values(
        [*keys, "side", "order", "customers", "origin", "target"],
        ascending=[*(True for _ in keys), False, True, False, True, True],
        ignore_index=True,
    )
    return table.drop(columns=["side", "order"])
