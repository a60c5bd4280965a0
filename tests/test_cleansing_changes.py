"""What cleansing changed, against counting by hand."""

import numpy as np
import pandas as pd
import pytest
from companies import make_company

from cjkit import cleansing
from cjkit.statistics import wilson_interval

HITS = "id, at, login, event, channel, direction, ref"
SHOP = "order_id, at, login, amount, kind"
GAP = pd.Timedelta("30min")


def draw(rng, size):
    """Draw a company: hits of several channels, orders, and people who deny."""
    hits = [
        (
            str(rng.integers(0, size)),
            rng.choice(["", "soon", f"2026-01-0{rng.integers(1, 9)} {rng.integers(0, 24):02}:00:00",
                        f"2026-01-01 10:{rng.integers(0, 60):02}:00"], p=[0.05, 0.05, 0.4, 0.5]),
            rng.choice(["ann", "bob", "cas", "dee", ""]),
            rng.choice(["view", "cart", "purchase", "view"]),
            rng.choice(["search", "email", "mail", ""]),
        )
        for _ in range(size)
    ]  # fmt: skip
    orders = [
        (
            f"o{rng.integers(0, size)}",
            f"2026-01-0{rng.integers(1, 9)} 12:00:00",
            rng.choice(["ann", "bob", "cas", "eve", ""]),
            str(rng.integers(-2, 9)),
            rng.choice(["", "", "return"]),
        )
        for _ in range(size // 3)
    ]
    return hits, orders


def count_by_hand(events, orders):
    """Count people, sessions, events and sales one by one."""
    sessions = 0
    for person in {event["person"] for event in events} - {None}:
        times = sorted(
            event["at"]
            for event in events
            if event["person"] == person
            and event["at"] is not None
            and event["event"] not in ("purchase", "return")
        )
        sessions += sum(1 for k, at in enumerate(times) if k == 0 or at - times[k - 1] > GAP)
    other = [event for event in events if event["event"] not in ("purchase", "return")]
    people = {row["person"] for row in [*events, *orders]} - {None}
    buyers = {row["person"] for row in orders} - {None}
    figures = {
        "customers": len(people),
        "buyers": len(buyers),
        "sessions": sessions,
        "events": len(other),
        "orders": len({row["order"] for row in orders}),
        "revenue": sum(row["revenue"] for row in orders),
    }
    channels = {}
    for event in other:
        count, who = channels.setdefault(event["channel"] or "(missing)", [0, set()])
        channels[event["channel"] or "(missing)"] = [count + 1, who | {event["person"]}]
    return figures, {name: (count, len(who - {None})) for name, (count, who) in channels.items()}


def present(value):
    return None if value is None or pd.isna(value) or value == "" else value


def as_they_came(hits, orders, denied):
    events = [
        {
            "person": present(login),
            "at": pd.Timestamp(at) if at.startswith("2") else None,
            "event": event,
            "channel": present(channel) or ("site" if event == "cart" else None),
        }
        for _, at, login, event, channel in hits
        if login not in denied
    ]
    sold = [
        {"person": present(login), "order": order, "revenue": float(amount)}
        for order, _, login, amount, _ in orders
        if login not in denied
    ]
    return events, sold


def in_the_log(log):
    events = [
        {
            "person": row["customer_id"],
            "at": row["occurred_at"],
            "event": row["event"],
            "channel": present(row["channel"]),
        }
        for row in log.engine.query("from events").to_dict("records")
    ]
    sold = [
        {
            "person": present(row["customer_id"]),
            "order": row["order_id"],
            "revenue": row["revenue"],
        }
        for row in log.engine.query("from orders").to_dict("records")
    ]
    return events, sold


@pytest.mark.parametrize("seed", range(3))
def test_both_sides_agree_with_counting_by_hand(tmp_path, seed):
    rng = np.random.default_rng(seed)
    hits, orders = draw(rng, 60)
    files = {
        "hits.csv": "\n".join([HITS, *(",".join([*row, "", ""]) for row in hits)]),
        "shop.csv": "\n".join([SHOP, *map(",".join, orders)]),
        "consent.csv": "login, cookie, purpose, answer, at\ndee, , analytics, no, 2026-01-01",
    }
    more = '[events.cart]\nchannel = "site"\n'
    log = cleansing.open(make_company(tmp_path, files, more=more), as_of="2026-02-01")
    changes = log.quality.changes.table.set_index("moment")
    channels = log.quality.channels.table.set_index("channel")
    for moment, rows in (
        ("before", as_they_came(hits, orders, {"dee"})),
        ("after", in_the_log(log)),
    ):
        figures, by_channel = count_by_hand(*rows)
        assert changes.loc[moment, list(figures)].to_dict() == figures
        rate = figures["buyers"] / figures["customers"]
        limits = wilson_interval(figures["buyers"], figures["customers"])
        found = changes.loc[
            moment, ["conversion_rate", "conversion_rate_low", "conversion_rate_high"]
        ]
        assert found.tolist() == pytest.approx([rate, *map(float, limits)])
        total = sum(count for count, _ in by_channel.values())
        for channel in channels.index:
            count, people = by_channel.get(channel, (0, 0))
            assert channels.loc[channel, f"events_{moment}"] == count
            assert channels.loc[channel, f"customers_{moment}"] == people
            assert channels.loc[channel, f"share_{moment}"] == pytest.approx(count / total)
        assert set(by_channel) <= set(channels.index)


def test_what_is_later_than_the_log_is_not_what_cleansing_took_away(tmp_path):
    hits = ["1, 2026-01-01, ann, view, email, ,", "2, 2026-03-01, ann, view, search, ,"]
    path = make_company(tmp_path, {"hits.csv": "\n".join([HITS, *hits])})
    log = cleansing.open(path, as_of="2026-02-01")
    assert log.quality.changes.table["events"].tolist() == [1, 1]
    assert log.quality.channels.table["channel"].tolist() == ["email"]
    for language in ("en", "ja"):
        assert "{" not in log.quality.channels.finding(language)


def test_figures_stand_side_by_side_in_both_languages(tmp_path):
    hits = [f"{k}, 2026-01-0{k}, p{k % 3}, view, email, ," for k in range(1, 9)]
    hits += [f"{k + 9}, soon, p{k}, view, search, ," for k in range(4)]
    log = cleansing.open(make_company(tmp_path, {"hits.csv": "\n".join([HITS, *hits])}))
    for language, said in (("en", "share of E-mail"), ("ja", "メール")):
        assert said in log.quality.channels.finding(language)
        words = [text.get_text() for text in log.quality.changes.plot(language=language).texts]
        assert words == ["4 → 3", "7 → 7", "11 → 7"]
        words = [text.get_text() for text in log.quality.channels.plot(language=language).texts]
        assert sorted(words) == ["0.0%", "100.0%", "36.4%", "63.6%"]
