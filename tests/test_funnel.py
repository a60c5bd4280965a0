import itertools

import numpy as np
import pandas as pd
import pytest
from conftest import START_US, prepare_events

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.funnel import measure_funnel

STEPS = ["view", "cart", "buy"]
HOUR = 3_600_000_000


def counts(events, steps=STEPS, **options):
    return measure_funnel(events, steps, **options).table["customers"].tolist()


def test_counts_customers_who_take_the_steps_in_order(event_log):
    events = event_log("""
        ann: view 0h, cart 1h, buy 2h
        bob: view 0h, cart 1h
        cas: cart 0h, view 1h, buy 2h
        dee: buy 0h
    """)
    assert counts(events) == [3, 2, 1]
