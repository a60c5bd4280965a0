"""The whole sequence on a process that is no shop: enquiry, application, decision, service."""

import numpy as np
import pandas as pd
import pytest

from cjkit.engine import DuckDB
from cjkit.experience import (
    measure_emotion,
    measure_stages,
    measure_touchpoints,
    rank_moments,
    rank_pain_points,
)
from cjkit.funnel import measure_funnel
from cjkit.journey_map import draw_journey_map
from conftest import HOUR_US, START_US, prepare_events

STAGES = ["enquiry", "application", "decision", "service"]
STAGE_OF = {"site": "enquiry", "form": "application", "adviser": "application", "desk": "decision"}
COLUMNS = [
    "customer_id",
    "hour",
    "event",
    "stage",
    "touchpoint",
    "device",
    "outcome",
    "case",
    "due",
]
PEOPLE = 800


@pytest.fixture(scope="module")
def bank():
    """Make a bank: its form fails on tablets, advisers decide, late decisions drive people away."""
    rng = np.random.default_rng(11)
    rows, answers = [], []
    for number in range(PEOPLE):
        who, case = f"c{number}", f"k{number}"
        device = ("tablet", "laptop")[number % 2]
        rows.append((who, 0, "ask_rate", "enquiry", "site", device, None, None, None))
        rows.append((who, 2, "apply", "application", "form", device, None, None, None))
        if rng.random() < (0.6 if device == "tablet" else 0.1):
            continue
        is_good, is_late = rng.random() < 0.5, rng.random() < 0.3
        outcome = "good" if is_good else "bad"
        rows.append((who, 20, "advise", "application", "adviser", None, outcome, None, None))
        decided = 200 if is_late else 120
        rows.append((who, decided, "decide", "decision", "desk", None, None, case, 150))
        answers.append((who, "desk", 2.0 if is_late else 5.0, 210))
        if rng.random() < (0.8 if is_good else 0.4):
            rows.append((who, 240, "sign", "decision", "desk", None, None, case, None))
        if rng.random() < (0.3 if is_late else 0.8):
            rows.append((who, 2000, "log_in", "service", "portal", device, None, None, None))
    rows.append(("zoe", 9999, "ask_rate", "enquiry", "site", "laptop", None, None, None))
    log = pd.DataFrame(rows, columns=COLUMNS).rename(columns={"case": "ref_id"})
    log["occurred_us"] = START_US + log.pop("hour") * HOUR_US
    log["valid_until_us"] = (START_US + log.pop("due") * HOUR_US).astype("Int64")
    events = prepare_events(DuckDB(threads=1), log)
    events.engine.materialize("customers", 'select distinct customer_id from "raw events"')
    said = pd.DataFrame(answers, columns=["customer_id", "touchpoint", "score", "hour"])
    said["given_us"] = START_US + said.pop("hour") * HOUR_US
    said = said.assign(metric="csat", score_max=5.0, emotion=np.nan, feedback_id="f")
    return events, events.engine.add("feedback", said)


def test_a_loan_process_goes_through_the_whole_sequence(bank):
    events, feedback = bank
    steps = [{"stage": "enquiry"}, "apply", {"event": "decide", "within": "10D"}, "sign"]
    funnel = measure_funnel(events, steps, within="60D", by="device", by_at="first")
    ends = funnel.ends.set_index("device")["customers"]
    assert ends["tablet"] < ends["laptop"] / 1.5

    staged = {"stages": STAGES}
    pain = rank_pain_points(
        events,
        feedback,
        stage_of=STAGE_OF,
        conversion="sign",
        across="device",
        **staged,
    )
    found = pain.found.set_index(["touchpoint", "symptom"])
    assert set(found.index) == {("form", "drop_off"), ("desk", "delay")}
    assert found.loc[("form", "drop_off"), "group"] == "tablet"
    assert found.loc[("form", "drop_off"), "excess_rate"] == pytest.approx(0.5, abs=0.1)
    assert found.loc[("desk", "delay"), "excess_rate"] == pytest.approx(0.5, abs=0.15)

    moments = rank_moments(events, feedback, conversion="sign", within="30D")
    assert moments.found["touchpoint"].tolist() == ["adviser"]
    assert moments.found["rate_gap"].iloc[0] == pytest.approx(0.4, abs=0.12)

    drawn = draw_journey_map(
        measure_stages(events, within="30D", **staged),
        touchpoints=measure_touchpoints(events, **staged),
        emotion=measure_emotion(feedback, per="stage", stage_of=STAGE_OF),
        pain_points=pain,
        moments=moments,
        offline=["adviser", "desk"],
        goal={"en": "Decide in time", "ja": "期限内に審査を終える"},
    )
    assert drawn.stages == STAGES
    cost = drawn.table.set_index(["lane", "item", "measure"])["lost_people"]
    excess = found.loc[("form", "drop_off"), "excess_people"]
    assert cost.loc[("pain_points", "form", "drop_off")] == excess
    for language in ("en", "ja"):
        page = drawn.to_html(language)
        assert "cjm-cost" in page and drawn.goal[language] in page
        assert not {"purchase", "cart", "購入", "カート"} & set(page.replace("<", " ").split())
        assert funnel.finding(language) and pain.finding(language) and moments.finding(language)
