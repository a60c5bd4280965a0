import numpy as np
import pytest

from cjkit.cleansing.clocks import LEAST_EVENTS, find_shift

HOURS = np.arange(24)


def habit(rng):
    """Draw when people act: one to three peaks of a day, and nearly nothing by night."""
    peaks = rng.integers(8, 22, rng.integers(1, 4))
    widths = rng.uniform(1.0, 3.0, len(peaks))
    around = (HOURS[:, None] - peaks + 12) % 24 - 12
    shares = np.exp(-((around / widths) ** 2) / 2) @ rng.uniform(0.5, 1.5, len(peaks)) + 0.002
    return shares / shares.sum()


def draw(rng, shares, events, *, drift=0.1):
    """Draw the events of a file, whose habit is a little different from that of the others."""
    own = shares * np.exp(rng.normal(0, drift, 24))
    return rng.multinomial(events, own / own.sum()).astype(float)


@pytest.fixture(params=[200, pytest.param(3_000, marks=pytest.mark.long)], ids="{:,}".format)
def cases(request, rng):
    """Yield random companies: a habit, and the files of others."""

    def draw_cases():
        for _ in range(request.param):
            shares = habit(rng)
            others = [draw(rng, shares, rng.integers(500, 5000)) for _ in range(rng.integers(3, 9))]
            yield shares, np.array(others)

    return draw_cases


def test_a_planted_shift_of_three_hours_or_more_is_found_and_by_how_much(cases, rng):
    told, wrong, planted = 0, 0, 0
    for shares, others in cases():
        shift = int(rng.integers(3, 22))
        file = np.roll(draw(rng, shares, rng.integers(1000, 5000)), -shift)
        found = find_shift(file, others)
        planted += 1
        told += found is not None
        wrong += found is not None and found[0] % 24 != shift
    assert wrong <= planted / 1000  # a day of two peaks may look like itself, some hours away
    assert told / planted > 0.97


def test_what_is_right_is_never_suspected(cases, rng):
    assert not [
        found
        for shares, others in cases()
        if (found := find_shift(draw(rng, shares, rng.integers(LEAST_EVENTS, 5000)), others))
    ]


def test_a_few_wrong_clocks_among_the_others_neither_hide_nor_accuse(cases, rng):
    hidden, accused = 0, 0
    for shares, others in cases():
        if len(others) < 5:
            continue
        others[0] = np.roll(others[0], 9)
        accused += find_shift(draw(rng, shares, 2000), others) is not None
        file = np.roll(draw(rng, shares, 2000), -9)
        hidden += find_shift(file, others) is None
    assert (hidden, accused) == (0, 0)


def test_sources_with_other_habits_are_no_wrong_clock(cases, rng):
    for _ in cases():
        others = np.array([draw(rng, habit(rng), 3000) for _ in range(3)])
        assert find_shift(draw(rng, habit(rng), 3000), others, is_one_habit=False) is None


def test_a_source_that_wakes_when_the_others_sleep_has_a_wrong_clock(cases, rng):
    day = np.where((HOURS >= 9) & (HOURS < 22), 1.0, 0.003)
    for shares, others in cases():
        alike = np.array([draw(rng, shares * day, 3000) for _ in others])
        file = np.roll(draw(rng, shares * day, 3000), -9)
        found = find_shift(file, alike, is_one_habit=False)
        assert found[0] == 9 if file[:6].sum() >= file.sum() / 4 else found is None


def test_one_other_clock_cannot_tell_which_is_right_and_a_flat_day_tells_nothing(rng):
    flat = np.full(24, 100.0)
    assert find_shift(flat, np.array([flat, flat, flat])) is None
    shares = habit(rng)
    assert find_shift(draw(rng, shares, 3000), np.array([flat, flat, flat])) is None
    assert find_shift(flat, np.array([np.zeros(24), flat]) + np.eye(2, 24)) is None
