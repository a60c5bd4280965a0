"""Giving each journey its type, where the journeys are: in batches of ways, never of people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from cjkit.engine import Engine, column
from cjkit.paths.codes import ELLIPSIS, WHOSE, Code
from cjkit.paths.moves import Level
from cjkit.paths.traits import JourneyTraits, tell_apart
from cjkit.paths.variants import Grouping, Whole, held_places, learn_grouping, read_places
from cjkit.privacy import min_cell
from cjkit.statistics import Floats, wilson_interval

SHARES = ("share", "share_low", "share_high")
RATES = ("conversion_rate", "conversion_rate_low", "conversion_rate_high")
_COUNTS = ("journeys", "customers", "all_customers")
_COLUMNS = ("type", "path", *_COUNTS, *SHARES, "steps", "converted", *RATES)
_MOST_FITTED = 5_000
_FREQUENT = 20
_JOURNEYS, _WAYS, _TYPED = "coded journeys", "coded ways", "typed ways"


@dataclass(frozen=True)
class CodedJourneys:
    """The coded journeys, kept on the engine while their types are found.

    Attributes
    ----------
    engine : Engine
    code : Code
    keys : tuple of str
        The column that divides the journeys, or none.
    """

    engine: Engine
    code: Code
    keys: tuple[str, ...]

    @property
    def way(self) -> list[str]:
        """The columns that say which way a journey took."""
        return [*self.code.words, "is_cut"]

    def keep(self, sql: str) -> None:
        """Keep the journeys of `sql` that have a place, and their different ways with counts."""
        way = ", ".join(self.way)
        self.engine.materialize(_JOURNEYS, f"select * from ({sql}) as coded where word_1 > 0")
        self.engine.materialize(
            _WAYS,
            f"select {way}, count(*) as journeys, count(distinct customer_id) as customers "
            f"from {column(_JOURNEYS)} group by {way}",
        )

    def learn(self, types: int | None, seed: int) -> Grouping | None:
        """Learn types from the most frequent ways; None where there is no journey."""
        ways = self.engine.query(
            f"select * from {column(_WAYS)} order by journeys desc, {', '.join(self.way)} "
            f"limit {_MOST_FITTED}"
        )
        if ways.empty:
            return None
        journeys = ways["journeys"].to_numpy(np.int64)
        return learn_grouping(read_places(ways, self.code), journeys, self.code, types, seed)

    def count(
        self, grouping: Grouping | None, named: pd.DataFrame | None, level: Level
    ) -> tuple[pd.DataFrame, pd.DataFrame, JourneyTraits, int]:
        """Give each journey its type, and count them and whose they are.

        `named` says how types are shown already.
        """
        types = 0 if grouping is None else len(grouping.centres)
        seen = Seen.nothing(self.code, types)
        batches = self._typed(grouping, seen) if grouping else iter(())
        if (first := next(batches, None)) is None:
            nothing = np.zeros(0)
            traits = tell_apart(seen.held, nothing, nothing, nothing, self.code.names, level)
            empty = pd.DataFrame(columns=[*self.keys, *_COLUMNS])
            return empty, pd.DataFrame(columns=list(WHOSE)), traits, 0
        self.engine.write_table(_TYPED, chain([first], batches))
        table = self._table(types)
        paths = (
            seen.paths if named is None else dict(zip(named["type"], named["path"], strict=True))
        )
        shown = [paths.get(number, (ELLIPSIS,)) for number in table["type"]]
        table.insert(len(self.keys) + 1, "path", pd.Series(shown, table.index, dtype=object))
        whole = self.engine.query(self._people(types)).iloc[0]
        journeys, people, others = (
            np.array([float(whole[f"{name}_{number}"]) for number in range(1, types + 1)])
            for name in ("journeys", "people", "others")
        )
        traits = tell_apart(seen.held, journeys, people, others, self.code.names, level)
        whose = table[list(WHOSE.values())].set_axis(list(WHOSE), axis=1)
        return table[[*self.keys, *_COLUMNS]], whose, traits, int(whole["people"])

    def _typed(self, grouping: Grouping, seen: Seen) -> Iterator[pd.DataFrame]:
        """Give each way its type, batch by batch, and note what is seen on the way."""
        for ways in self.engine.batches(f"select * from {column(_WAYS)}"):
            places = read_places(ways, self.code)
            types, distances = grouping.assign(places)
            seen.note(ways, places, types, distances)
            steps = np.count_nonzero(places, axis=1)
            yield ways[self.way].assign(type=types + 1, steps=steps)

    def _typed_journeys(self) -> str:
        same = " and ".join(f"coded.{name} = typed.{name}" for name in self.way)
        keys = "".join(f"{key}, " for key in self.keys)
        return f"""
            select {keys}customer_id, converted, type, steps from {column(_JOURNEYS)} as coded
            join {column(_TYPED)} as typed on {same}"""

    def _table(self, types: int) -> pd.DataFrame:
        """Count the journeys of each type (of each group), with their shares and rates."""
        keys = "".join(f"{key}, " for key in self.keys)
        group = f"group by {', '.join(self.keys)}" if self.keys else ""
        journeys = self._typed_journeys()
        found = self.engine.query(f"""
            select {keys}type, count(*) as journeys, count(distinct customer_id) as customers,
                sum(steps) as steps, sum(converted) as converted,
                count(distinct case when converted = 1 then customer_id end) as converted_customers,
                count(distinct case when converted = 0 then customer_id end)
                    as unconverted_customers
            from ({journeys}) as journeys group by {keys}type""")
        totals = self.engine.query(f"""
            select {keys}count(*) as all_journeys, count(distinct customer_id) as all_customers
            from ({journeys}) as journeys {group}""")
        every = totals.merge(pd.DataFrame({"type": range(1, types + 1)}), how="cross")
        table = every.merge(found, "left", [*self.keys, "type"])
        counts = ["journeys", "converted", *WHOSE.values()]
        table[counts] = table[counts].fillna(0).astype("int64")
        table["share"] = table["journeys"] / table["all_journeys"]
        sample = table["all_customers"]
        table["share_low"], table["share_high"] = wilson_interval(table["share"] * sample, sample)
        table["steps"] = table["steps"] / table["journeys"]
        table["conversion_rate"] = table["converted"] / table["journeys"]
        table["conversion_rate_low"], table["conversion_rate_high"] = wilson_interval(
            table["conversion_rate"] * table["customers"], table["customers"]
        )
        return table.sort_values([*self.keys, "type"], ignore_index=True)

    def _people(self, types: int) -> str:
        """Write the SQL of the people and journeys of each type, and the people of all others."""
        counts = "".join(
            f", sum(case when type = {number} then 1 else 0 end) as journeys_{number}"
            f", count(distinct case when type = {number} then customer_id end) as people_{number}"
            f", count(distinct case when type <> {number} then customer_id end) as others_{number}"
            for number in range(1, types + 1)
        )
        journeys = self._typed_journeys()
        return f"""
            select count(distinct customer_id) as people{counts} from ({journeys}) as journeys"""


@dataclass(frozen=True, eq=False)
class Seen:
    """What is noted of the ways while they are given their types.

    Attributes
    ----------
    code : Code
    held : array, one row for each type
        How many journeys hold each place.
    frequent : list, one entry for each type
        Its most frequent ways that enough people took: (-journeys, distance to the middle, path).
    """

    code: Code
    held: Floats
    frequent: list[list[tuple[float, float, tuple[str, ...]]]]

    @classmethod
    def nothing(cls, code: Code, types: int) -> Seen:
        """Return what is seen at first."""
        return cls(code, np.zeros((types, len(code.names))), [[] for _ in range(types)])

    @property
    def paths(self) -> dict[int, tuple[str, ...]]:
        """For each type (from 1) that of its frequent ways which is nearest to its middle."""
        return {
            number: min(ways, key=lambda way: way[1])[2]
            for number, ways in enumerate(self.frequent, 1)
            if ways
        }

    def note(self, ways: pd.DataFrame, places: Whole, types: Whole, distances: Floats) -> None:
        """Note a batch of ways."""
        journeys = ways["journeys"].to_numpy(float)
        held = held_places(places, len(self.code.names))
        is_shown = ways["customers"].to_numpy() >= max(min_cell(), 1)
        for number, frequent in enumerate(self.frequent):
            own = types == number
            self.held[number] += journeys[own] @ held[own]
            shown = np.flatnonzero(own & is_shown)
            for row in shown[np.argsort(-journeys[shown], kind="stable")[:_FREQUENT]]:
                way = self.code.read(ways[list(self.code.words)].iloc[row].to_dict())
                cut = (ELLIPSIS,) if ways["is_cut"].iloc[row] else ()
                frequent.append((-journeys[row], float(distances[row]), (*way, *cut)))
            frequent.sort()
            del frequent[_FREQUENT:]
