"""Masking against a reader who adds and takes away: no hidden count follows from what is shown."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from cjkit.cleansing.findings import make_row_ledger
from cjkit.privacy import Equation, Rest, Steps, Totals, mask


@dataclass(frozen=True)
class Counted:
    table: pd.DataFrame
    counts: dict
    adds_up: tuple = ()


def shown(table, counts, adds_up=(), smallest=5):
    """Return the masked table; counts without anything that rests on them are given by name."""
    if not isinstance(counts, dict):
        counts = dict.fromkeys(counts, ())
    return mask(Counted(table, counts, tuple(adds_up)), smallest).table


def customers(*values, is_added=True):
    sums = [Totals("customers")] if is_added else []
    table = shown(pd.DataFrame({"customers": values}), ["customers"], sums)
    return [None if pd.isna(value) else value for value in table["customers"]]


def test_one_hidden_count_takes_the_next_smallest_with_it():
    assert customers(120, 3, 40, 9) == [120, None, 40, None]


def test_two_hidden_counts_hide_each_other():
    assert customers(120, 3, 4, 9) == [120, None, None, 9]


def test_hidden_counts_that_are_few_together_take_another_with_them():
    assert customers(120, 1, 2, 9) == [120, None, None, None]


def test_nothing_is_hidden_without_a_small_count_and_0_stays():
    assert customers(120, 5, 40) == [120, 5, 40]
    assert customers(120, 3, 0, 40) == [120, None, 0, None]


def test_without_a_total_only_small_counts_go():
    assert customers(120, 3, 40, is_added=False) == [120, None, 40]


def test_a_rate_and_its_n_do_not_tell_the_few_who_are_left():
    table = pd.DataFrame({"people": [300, 300, 300], "bought": [298, 2, 100], "rate": 0.5})
    found = shown(table, {"people": (), "bought": ("rate",)}, [Rest("bought", "people")])
    assert found["bought"].isna().tolist() == [True, True, False]
    assert found["rate"].isna().tolist() == [True, True, False]
    assert found["people"].tolist() == [300, 300, 300]


def test_steps_do_not_tell_the_few_who_were_lost():
    table = pd.DataFrame({"customers": [300, 120, 117, 60], "lost": [np.nan, 180, 3, 57]})
    found = shown(table, ["customers", "lost"], [Steps("customers", rest="lost")])
    assert found["customers"].isna().tolist() == [False, False, True, False]
    assert found["lost"].isna().tolist() == [True, False, True, True]


def test_steps_of_different_groups_do_not_follow_each_other():
    table = pd.DataFrame({"by": list("aabb"), "customers": [100, 50, 48, 20]})
    assert shown(table, ["customers"], [Steps("customers", ("by",))])["customers"].notna().all()
    assert shown(table, ["customers"], [Steps("customers")])["customers"].isna().any()


def test_a_total_that_is_hidden_elsewhere_is_hidden_here():
    """Segment b is hidden beside a; its one cell must not give it away."""
    segments = pd.DataFrame({"segment": list("abc"), "customers": [3, 10, 20]})
    above = shown(segments, ["customers"], [Totals("customers")])
    assert above["customers"].isna().tolist() == [True, True, False]
    cells = pd.DataFrame({"segment": list("abccc"), "customers": [3, 10, 5, 7, 8]})
    below = shown(cells, ["customers"], [Totals("customers"), Totals("customers", ("segment",))])
    assert below["customers"].isna().tolist() == [True, True, False, False, False]


@dataclass(frozen=True)
class Exits:
    """Sessions and exits of few and of many people."""

    table: pd.DataFrame
    whose: pd.DataFrame
    counts: ClassVar = {"sessions": ("exits", "rate"), "exits": ("rate",)}
    adds_up: ClassVar = (Rest("exits", "sessions", "onward"),)


def test_what_few_people_did_often_is_hidden():
    table = pd.DataFrame({"sessions": [90, 80, 70, 60], "exits": [30, 40, 60, 0], "rate": 0.5})
    people = {"sessions": [50, 40, 3, 9], "exits": [20, 4, 3, 0], "onward": [4, 40, 3, 9]}
    found = mask(Exits(table, pd.DataFrame(people)), 5).table
    assert found["sessions"].isna().tolist() == [False, False, True, False]
    # Of the first place the exits of many tell how few went on.
    assert found["exits"].isna().tolist() == [True, True, True, False]
    assert found["rate"].isna().tolist() == [True, True, True, False]


def test_counts_that_are_the_same_are_hidden_alike():
    table = pd.DataFrame({"customers": [100, 40], "reached": [40, 38]})
    same = Equation((("reached", 0),), (("customers", 1),))
    found = shown(table, ["customers", "reached"], [Rest("reached", "customers"), same])
    assert found["reached"].isna().tolist() == [False, True]
    assert found["customers"].notna().all()


def test_a_ledger_hides_how_few_rows_are_withheld_and_still_adds_up():
    """What people chose is hidden, with as much beside it as it takes."""
    parts = ["clean", "quarantined", "merged", "withheld", "retracted", "erased"]
    rows = [[90, 3, 0, 2, 0, 0], [70, 0, 4, 0, 0, 0], [50, 1, 0, 9, 0, 0], [40, 0, 0, 30, 0, 0]]
    table = pd.DataFrame(rows, columns=parts)
    table.insert(0, "made", table.sum(axis=1))
    table.insert(0, "source", ["web", "shop", "mail", "crm"])
    people = {"withheld_people": [1, 0, 7, 9], "retracted_people": 0}
    found = mask(make_row_ledger(table.assign(later=0, **people)), 5)
    assert found.given["withheld"] == 41
    gone = found.table[["made", *parts]].isna()
    assert gone.loc[0, "withheld"]
    assert gone.to_numpy().sum() < gone.size / 2
    exact = table[["made", *parts]].to_numpy(float)
    hidden = gone.to_numpy().ravel()
    system = []
    for row in range(len(table)):  # made is the sum of the outcomes
        own = np.zeros(exact.shape)
        own[row] = [1, -1, -1, -1, -1, -1, -1]
        system.append(own.ravel())
    for column in range(exact.shape[1]):  # the sums of all sources are told
        own = np.zeros(exact.shape)
        own[:, column] = 1
        system.append(own.ravel())
    assert follows(np.array(system), hidden) == []


def follows(equations, hidden):
    """Say which unknowns a reader can solve for: by rank, of a dense system."""
    system = equations[:, hidden]
    rank = np.linalg.matrix_rank(system) if system.size else 0
    return [
        place
        for number, place in enumerate(np.flatnonzero(hidden))
        if np.linalg.matrix_rank(np.delete(system, number, axis=1)) < rank
    ]


def check_two_way(rng, rows, columns, share_small):
    """Mask a two-way table whose margins and total are seen, and try to solve for what is gone."""
    values = rng.integers(5, 60, (rows, columns))
    small = rng.random((rows, columns)) < share_small
    values[small] = rng.integers(0, 5, small.sum())
    table = pd.DataFrame(
        [(a, b, values[a, b]) for a in range(rows) for b in range(columns)],
        columns=["a", "b", "customers"],
    )
    sums = [Totals("customers", each) for each in ((), ("a",), ("b",))]
    found = shown(table, ["customers"], sums)
    hidden = found["customers"].isna().to_numpy()
    exact = table["customers"].to_numpy()
    assert hidden[(exact > 0) & (exact < 5)].all()
    assert not hidden[exact == 0].any()

    # A reader sees each margin that a table of margins alone would show.
    equations, unknown = [], list(hidden)
    for name in ("a", "b"):
        margin = table.groupby(name, as_index=False)["customers"].sum()
        gone = shown(margin, ["customers"], [Totals("customers")])["customers"].isna()
        for value, is_gone in zip(margin[name], gone, strict=True):
            row = (table[name] == value).to_numpy(float)
            equations.append((row, len(unknown) if is_gone else None))
            if is_gone:
                unknown.append(True)
    equations.append((np.ones(len(table)), None))
    system = np.zeros((len(equations), len(unknown)))
    for number, (row, margin_place) in enumerate(equations):
        system[number, : len(table)] = row
        if margin_place is not None:
            system[number, margin_place] = -1
    unknown = np.array(unknown)
    solved = follows(system, unknown)
    unknown[: len(table)] |= exact > 0
    assert set(solved) <= set(follows(system, unknown)), (values, hidden.reshape(values.shape))
    return int(hidden.sum()), int(((exact > 0) & (exact < 5)).sum())


@pytest.mark.parametrize("tables", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_no_hidden_cell_of_a_two_way_table_can_be_solved_for(rng, tables):
    gone = needed = 0
    for _ in range(tables):
        size = rng.integers(2, 8, 2)
        hidden, small = check_two_way(rng, *size, rng.choice([0.05, 0.2, 0.6]))
        gone, needed = gone + hidden, needed + small
    assert needed > 5 * tables / 2
    assert gone < 2.2 * needed  # few are hidden besides


@pytest.mark.parametrize("tables", [60, pytest.param(1000, marks=pytest.mark.long)])
def test_no_hidden_step_of_a_split_funnel_can_be_solved_for(rng, tables):
    """Groups and everybody, steps and what is lost between them: all that a reader of both sees."""
    for _ in range(tables):
        groups, steps = int(rng.integers(2, 6)), int(rng.integers(2, 6))
        kept = rng.choice([0.98, 0.6, 0.3], (groups, steps - 1))
        sizes = [rng.integers(2, 200, groups)]
        for step in range(steps - 1):
            sizes.append(rng.binomial(sizes[-1], kept[:, step]))
        table = pd.DataFrame(
            [(g, k, sizes[k][g]) for g in range(groups) for k in range(steps)],
            columns=["by", "step", "customers"],
        )
        table["lost"] = -table.groupby("by")["customers"].diff()
        relations = [Steps("customers", ("by",), rest="lost"), Totals("customers", ("step",))]
        found = shown(table, ["customers", "lost"], relations)
        whole = table.groupby("step", as_index=False)["customers"].sum()
        whole["lost"] = -whole["customers"].diff()
        above = shown(whole, ["customers", "lost"], [Steps("customers", rest="lost")])

        # The unknowns: every count and every loss, of each group and of everybody.
        names, exact, seen = [], [], []
        for group, exact_rows, masked in (
            *((g, table[table["by"] == g], found[table["by"] == g]) for g in range(groups)),
            ("all", whole, above),
        ):
            for kind in ("customers", "lost"):
                for k in range(1 if kind == "lost" else 0, steps):
                    names.append((group, kind, k))
                    exact.append(exact_rows[kind].iloc[k])
                    seen.append(pd.notna(masked[kind].iloc[k]))
        at = {name: place for place, name in enumerate(names)}
        system = []

        def add(*terms, at=at, names=names, system=system):
            row = np.zeros(len(names))
            for name, sign in terms:
                row[at[name]] = sign
            system.append(row)

        for group in (*range(groups), "all"):
            for k in range(1, steps):
                add(
                    ((group, "customers", k - 1), 1),
                    ((group, "customers", k), -1),
                    ((group, "lost", k), -1),
                )
        for k in range(steps):
            add((("all", "customers", k), 1), *(((g, "customers", k), -1) for g in range(groups)))
        exact, hidden, system = np.array(exact), ~np.array(seen), np.array(system)
        assert np.abs(system @ exact).max() == 0
        assert hidden[(exact > 0) & (exact < 5)].all()
        solved = [place for place in follows(system, hidden) if exact[place] > 0]
        assert not solved, [names[place] for place in solved]
