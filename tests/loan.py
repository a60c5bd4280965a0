"""A made-up loan process: stages, places and ways of its own, and nothing that a shop has."""

import pandas as pd

from cjkit.engine import DuckDB
from conftest import HOUR_US, START_US, prepare_events

STAGES = ["inquiry", "application", "review", "contract", "repayment"]
PLACES = {
    "ask": ("branch", "inquiry"),
    "calculate": ("loan_calculator", "inquiry"),
    "apply": ("application_form", "application"),
    "send_papers": ("document_upload", "application"),
    "ask_again": ("document_upload", "application"),
    "check": ("credit_check", "review"),
    "decide": ("decision", "review"),
    "sign": ("branch", "contract"),
    "repay": ("account", "repayment"),
}
INTENDED = [
    {"event": "apply"},
    {"event": "send_papers"},
    {"event": "check", "within": "3D"},
    {"event": "decide", "within": "5D"},
    {"event": "sign", "optional": True},
]


def loan_log(rng, applicants=240):
    """Draw applications: of a third papers are asked for again; of some the check is overdue."""
    rows = []
    for number in range(applicants):
        hour = float(rng.integers(0, 500))
        way = ["ask"] if rng.random() < 0.6 else ["calculate", "apply"]
        way += [] if way[-1] == "apply" else ["apply"]
        way += ["send_papers"]
        is_reworked = rng.random() < 0.33
        way += ["check", "ask_again", "send_papers"] if is_reworked else []
        way += ["check", "decide"]
        way += ["sign", "repay", "repay"] if rng.random() < 0.6 else []
        for event in way:
            slow = event == "check" and rng.random() < 0.2
            hour += float(rng.integers(1, 40)) + 72 * slow
            rows.append((f"applicant{number:04d}", event, hour, is_reworked))
    rows.append(("zz", "ask", 5_000.0, False))
    log = pd.DataFrame(rows, columns=["customer_id", "event", "hour", "is_reworked"])
    log["occurred_us"] = START_US + (log.pop("hour") * HOUR_US).astype("int64")
    for place, name in enumerate(("touchpoint", "stage")):
        log[name] = log["event"].map(lambda event, place=place: PLACES[event][place])
    engine = DuckDB(threads=1)
    people = log.groupby("customer_id", as_index=False)["is_reworked"].max()
    people["desk"] = people.pop("is_reworked").map({True: "north", False: "south"})
    events = prepare_events(engine, log.drop(columns="is_reworked"))
    engine.add("customers", people)
    return events
