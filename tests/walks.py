"""Random logs, and their journeys as lists that slow and obvious code can walk."""

import pandas as pd

from cjkit.labels import MISSING
from conftest import HOUR_US, START_US


def random_log(rng, size=150):
    return pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in rng.integers(0, 12, size)],
            "event": rng.choice(["a", "b", "c", "buy"], size),
            "touchpoint": rng.choice(["x", "y", "z", None], size),
            "channel": rng.choice(["k", "l", None], size),
            "event_order": rng.choice([1, 2, None], size),
            "occurred_us": START_US + rng.integers(0, 90, size) * HOUR_US,  # many ties
        }
    )


def walks(log, level, without=()):
    """Return each customer's events in order as (hour, place, event)."""
    log = log.assign(
        event_id=[f"{number:09d}" for number in range(len(log))],
        order=log["event_order"].fillna(0),
        place=log[level].where(log[level].notna(), MISSING),
    )
    log = log[~log["event"].isin(without)].sort_values(["occurred_us", "order", "event_id"])
    return {
        customer: list(
            zip((own["occurred_us"] - START_US) // HOUR_US, own["place"], own["event"], strict=True)
        )
        for customer, own in log.groupby("customer_id")
    }


def known_until(log, gap):
    """Return the last hour after which a whole `gap` of the log is seen."""
    return (log["occurred_us"].max() - START_US) // HOUR_US - gap


def ended_journeys(log, level, gap, without=()):
    """Return (customer, [(hour, place, event), ...]) of each journey known to have ended."""
    found = []
    for customer, walk in walks(log, level, without).items():
        journey = []
        for number, step in enumerate(walk):
            journey.append(step)
            if number + 1 == len(walk) or walk[number + 1][0] - step[0] > gap:
                if step[0] <= known_until(log, gap):
                    found.append((customer, journey))
                journey = []
    return found
