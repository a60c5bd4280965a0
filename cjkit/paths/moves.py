"""From each event to the next: the one relation that every question about paths asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import pandas as pd

from cjkit.checks import CjkitError, microseconds, one_of, unknown_name
from cjkit.engine import Table, column, text
from cjkit.events import Period, Split, split_by
from cjkit.labels import MISSING, OTHER

Level = Literal["event", "touchpoint", "channel", "stage"]

ENTRY = "(entry)"
EXIT = "(exit)"
OPEN = "(open)"

_IN_ORDER = "partition by customer_id order by step_no"
_STORED = {"event": "next_event", "touchpoint": "next_touchpoint"}


@dataclass(frozen=True)
class Moves:
    """The events of a log, each with the place where it is and the place that comes next.

    Attributes
    ----------
    events : Table
        The prepared log.
    level : str
        What a place is.
    gap_us : int
        The longest silence inside a journey.
    split : Split or None
        How the events are divided.
    without : tuple of str
        Events that are left out, as if they had not been.
    mark : str or None
        What each row carries as `mark`, as SQL over the columns of the events.
    """

    events: Table
    level: Level
    gap_us: int
    split: Split | None
    without: tuple[str, ...] = ()
    mark: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The column that divides the events, or none."""
        return ("by_value",) if self.split else ()

    @property
    def sql(self) -> str:
        """The relation, one row for each event, as SQL in parentheses.

        `customer_id`, `step_no`, `event`, `next_event`, `occurred_us`, `here`, `next_here`,
        `waited_us` (until the next event; 0 where both fall on one day of unknown hours; missing at
        a customer's last), `measured_us` (the same, missing where it is unknown), `target`
        (`next_here`, or EXIT where the next event is too late or there is none), `by_value`,
        `next_by_value` and `mark`.
        """
        source = str(self.split.relation if self.split else self.events)
        by_value = ", by_value, next_by_value" if self.split else ""
        by_value += ", mark" if self.mark else ""
        return f"""(
            select customer_id, step_no, event, next_event, occurred_us, here, next_here, waited_us,
                measured_us{by_value},
                case when waited_us <= {self.gap_us} then next_here else {text(EXIT)} end as target
            from ({self._places(source)}) as places)"""

    @property
    def in_journeys(self) -> str:
        """The same relation with `ended_us`: the moment of the last event of the row's journey.

        No two journeys of a customer end at one moment, so that it names the journey, too.
        """
        return f"""(
            select *, min(case when waited_us <= {self.gap_us} then null else occurred_us end)
                over (partition by customer_id order by step_no desc
                    rows between unbounded preceding and current row) as ended_us
            from {self.sql} as moves)"""

    def _places(self, source: str) -> str:
        """Write the SQL that sets the place and the next one beside each event.

        What the preparation stored is used where it can be, since a window over the whole log
        costs more than all the rest of the question.
        """
        here, split = _place(self.level), self.split
        step_no, measured = "step_no", "microseconds_to_next"
        wait = f"case when next_event is not null then coalesce({measured}, 0) end"
        if self.without:
            step_no = f"row_number() over ({_IN_ORDER})"
            wait = measured = f"{_following('occurred_us')} - occurred_us"
        next_event = _following("event") if self.without else "next_event"
        if self.without or self.level not in _STORED:
            next_here = _following(here)
        else:
            next_here = f"case when next_event is not null then {_place(_STORED[self.level])} end"
        by_value = ""
        if split:
            following = "by_value" if split.kind == "customer" else _following("by_value")
            by_value = f", by_value, {following} as next_by_value"
        if self.mark:
            by_value += f", {self.mark} as mark"
        return f"""
            select customer_id, {step_no} as step_no, occurred_us,
                event, {next_event} as next_event,
                {here} as here, {next_here} as next_here, {wait} as waited_us,
                {measured} as measured_us{by_value}
            from {source} as events{self._kept("where")}"""

    def _kept(self, opening: str) -> str:
        """Write the condition that leaves `without` out, or nothing."""
        if not self.without:
            return ""
        return f" {opening} event not in ({', '.join(map(text, self.without))})"

    @cached_property
    def known_until_us(self) -> int:
        """The last moment after which a whole `gap` of the log is seen, so that an end is known."""
        last = self.events.engine.query(f"select max(occurred_us) as us from {self.events}")["us"]
        return int(last.fillna(0).iloc[0]) - self.gap_us

    @cached_property
    def places(self) -> list[str]:
        """All places, the one with most events first."""
        found = self.events.engine.query(
            f"select {_place(self.level)} as place, count(*) as events from {self.events}"
            f"{self._kept('where')} group by {_place(self.level)} order by events desc, place"
        )
        return [str(place) for place in found["place"]]

    def anchor(self, given: str, name: str) -> str:
        """Write the condition on a row to be at `given`: a place, or else an event."""
        if given in self.places:
            return f"here = {text(given)}"
        known = self.events.values("event")
        if given in known:
            return f"event = {text(given)}"
        raise unknown_name(name, given, known | set(self.places))

    def named(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Call the column of the groups by its own name."""
        return rows.rename(columns={"by_value": self.split.name}) if self.split else rows


def find_moves(
    events: Table,
    level: Level,
    gap: str | pd.Timedelta,
    by: str | None,
    without: Collection[str],
    *,
    mark: str | None = None,
) -> Moves:
    """Check what was asked for, and return the relation of the moves."""
    one_of("level", level, get_args(Level))
    gap_us = microseconds(gap, name="gap")
    if without:
        known = events.values("event")
        for event in without:
            if event not in known:
                raise unknown_name("without: event", event, known)
    split = split_by(events, by) if by is not None else None
    return Moves(events, level, gap_us, split, tuple(without), mark)


def during(period: Period | None, us: str = "occurred_us") -> str:
    """Write the condition that the moment `us` lies in `period`."""
    return f"{us} >= {period.start_us} and {us} < {period.end_us}" if period else "1 = 1"


def shown_place(moves: Moves, place: str, top: int) -> str:
    """Write the SQL of a place as tables show it: beyond the `top` most frequent, `(other)`."""
    if len(moves.places) <= top:
        return place
    kept = one_of_sql(place, [*moves.places[:top], EXIT])
    return f"case when {place} is null or {kept} then {place} else {text(OTHER)} end"


def one_of_sql(place: str, places: Sequence[str]) -> str:
    """Write the condition that a place is one of `places`."""
    return f"{place} in ({', '.join(map(text, places))})"


def check_top(top: int) -> None:
    """Refuse a number of places that leaves none."""
    if top < 1:
        raise CjkitError(f"top={top!r} keeps nothing: write 1 or more.")


def refuse_split(by: str | None) -> None:
    """Refuse to draw several groups as one picture."""
    if by is not None:
        raise CjkitError(
            f"plot() draws one group, and this is split by {by!r}: measure without `by`, "
            "or give the function the events of one group."
        )


def _place(name: str) -> str:
    return f"coalesce({column(name)}, {text(MISSING)})"


def _following(value: str) -> str:
    return f"lead({value}) over ({_IN_ORDER})"
