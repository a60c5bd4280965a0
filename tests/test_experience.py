import datetime

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.events import Period
from cjkit.experience import (
    measure_drivers,
    measure_emotion,
    measure_stages,
    measure_touchpoints,
    rank_content,
    rank_moments,
    rank_pain_points,
)
from cjkit.labels import MISSING
from cjkit.privacy import mask
from cjkit.statistics import newcombe_interval
from conftest import HOUR_US, START_US, prepare_events

STAGES = ["see", "try", "own"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def journeys(event_log):
    return event_log(
        """
        ann: look 0h, look 1h, taste 3h, buy 5h
        bob: look 0h, taste 9h
        cas: taste 0h, look 2h
        zoe: look 99h
        """,
        stage={"look": "see", "taste": "try", "buy": "own"},
        touchpoint={"look": "site", "taste": "stall", "buy": "till"},
    )


def hours(start, end):
    return Period(None, None, START_US + start * HOUR_US, START_US + end * HOUR_US)


def entered(events, **options):
    table = measure_stages(events, **{"stages": STAGES, "within": "6h", **options}).table
    return {
        row.stage: (row.customers, row.known_customers, row.progressed)
        for row in table.itertuples()
    }


def answers(engine, rows):
    """Make a table of answers from (customer, touchpoint, metric, score, hour)."""
    frame = pd.DataFrame(rows, columns=["customer_id", "touchpoint", "metric", "score", "hour"])
    frame["score"] = frame["score"].astype(float)
    frame["given_us"] = START_US + frame.pop("hour") * HOUR_US
    frame["score_max"] = frame["metric"].map({"nps": 10.0, "csat": 5.0, "ces": 7.0, "review": 5.0})
    frame["emotion"] = np.nan
    frame["feedback_id"] = [f"f{number:05d}" for number in range(len(frame))]
    return engine.add("feedback", frame)


def test_people_enter_stages_and_come_further_in_time(journeys):
    assert entered(journeys) == {"see": (4, 3, 1), "try": (3, 3, 1), "own": (1, 1, 0)}
    assert entered(journeys, within="9h")["see"] == (4, 3, 2)


def test_the_last_stage_has_no_rate_of_progress(journeys):
    table = measure_stages(journeys, stages=STAGES, within="6h").table.set_index("stage")
    assert pd.isna(table.loc["own", "progress_rate"])
    assert table.loc["see", "progress_rate"] == 1 / 3
    assert table.loc["see", "progress_p50_us"] == 3 * HOUR_US
    # A stage of which the data hold nothing is no place that everybody failed to reach.
    wider = measure_stages(journeys, stages=[*STAGES, "tell"], within="6h").table
    pd.testing.assert_frame_equal(wider.set_index("stage").head(3), table)
    assert wider["progress_rate"].isna().tolist() == [False, False, True, True]


def test_only_entries_in_the_period_count(journeys):
    assert entered(journeys, period=hours(1, 4)) == {
        "see": (1, 1, 0),  # cas comes back to it; ann was there already
        "try": (1, 1, 1),
        "own": (0, 0, 0),
    }


def test_a_stage_that_nobody_enters_is_in_the_table(journeys):
    assert entered(journeys, stages=["dream", "see"]) == {"dream": (0, 0, 0), "see": (4, 3, 0)}


def test_stages_of_groups_add_up(journeys):
    plan = pd.DataFrame({"customer_id": ["ann", "zoe"], "plan": ["x", "y"]})
    journeys.engine.add("plans", plan)
    table = measure_stages(journeys, stages=STAGES, within="6h", by="plans.plan").table
    assert set(table["plan"]) == {"x", "y", MISSING}
    sums = table.groupby("stage")[["customers", "known_customers", "progressed"]].sum()
    assert {stage: tuple(row) for stage, row in sums.T.items()} == entered(journeys)


def slow_stages(log, within, known):
    """Follow each person event by event: slow, and obviously right."""
    found = {stage: [0, 0, 0] for stage in STAGES}
    log = log.assign(event_id=range(len(log)))
    for _, own in log.sort_values(["occurred_us", "event_id"]).groupby("customer_id"):
        own = own[own["stage"].isin(STAGES)]
        walk = list(zip(own["stage"], (own["occurred_us"] - START_US) // HOUR_US, strict=True))
        seen = set()
        for number, (stage, hour) in enumerate(walk):
            if stage in seen or (number and walk[number - 1][0] == stage):
                continue
            seen.add(stage)
            later = STAGES[STAGES.index(stage) + 1 :]
            times = [at for later_stage, at in walk[number + 1 :] if later_stage in later]
            found[stage][0] += 1
            if hour <= known - within:
                found[stage][1] += 1
                found[stage][2] += bool(times) and times[0] - hour <= within
    return {stage: tuple(counts) for stage, counts in found.items()}


def random_log(rng, size=150):
    return pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in rng.integers(0, 15, size)],
            "event": rng.choice(["a", "b", "buy"], size),
            "stage": rng.choice([*STAGES, "else", None], size),
            "touchpoint": rng.choice(["x", "y", "z"], size),
            "outcome": rng.choice(["good", "bad", "so so", None], size),
            "revenue": rng.integers(1, 100, size).astype(float),
            "device": rng.choice(["phone", "desk"], size),
            "ref_id": rng.choice(["m1", "m2", None], size, p=[0.6, 0.1, 0.3]),
            "occurred_us": START_US + rng.integers(0, 90, size) * HOUR_US,  # many ties
        }
    )


def test_stages_agree_with_following_every_person(rng):
    for _ in range(15):
        log, within = random_log(rng), int(rng.integers(1, 40))
        events = prepare_events(DuckDB(threads=1), log)
        known = (log["occurred_us"].max() - START_US) // HOUR_US
        assert entered(events, within=f"{within}h") == slow_stages(log, within, known)


def test_touchpoints_reach_a_share_of_the_people_of_their_stage(event_log):
    events = event_log(
        "ann: look 0h, read 1h\nbob: look 0h, look 4h\ncas: buy 0h",
        stage={"look": "see", "read": "see", "buy": "own"},
        touchpoint={"look": "site", "read": "blog"},
    )
    table = measure_touchpoints(events, stages=STAGES).table
    found = {(r.stage, r.touchpoint): (r.customers, r.visits, r.share) for r in table.itertuples()}
    assert found == {
        ("see", "site"): (2, 3, 1.0),
        ("see", "blog"): (1, 1, 0.5),
        ("own", MISSING): (1, 1, 1.0),
    }
    assert table["wait_p50_us"].iloc[0] == 2.5 * HOUR_US


def test_scores_of_every_metric_go_from_worst_to_best(journeys):
    rows = [
        ("ann", "nps 10", "nps", 10, 0),
        ("ann", "nps 5", "nps", 5, 0),
        ("ann", "csat 1", "csat", 1, 0),
        ("ann", "ces 4", "ces", 4, 0),
        ("ann", "review 4", "review", 4, 0),
    ]
    table = measure_emotion(answers(journeys.engine, rows)).table.set_index("touchpoint")
    assert table["emotion"].to_dict() == {
        "nps 10": 1,
        "nps 5": 0,
        "csat 1": -1,
        "ces 4": 0,
        "review 4": 0.5,
    }
    assert table["emotion_low"].isna().all()


def test_an_answer_without_a_score_counts_with_its_emotion(journeys):
    rows = [("ann", "site", "csat", None, 0), ("bob", "site", "csat", None, 0)]
    feedback = journeys.engine.query(f"select * from {answers(journeys.engine, rows)}")
    feedback["emotion"] = [0.5, np.nan]
    found = measure_emotion(journeys.engine.add("feedback", feedback)).table
    assert found[["answers", "emotion"]].to_numpy().tolist() == [[1, 0.5]]


def test_emotion_of_a_stage_is_the_mean_of_all_its_answers(journeys):
    rows = [
        ("ann", "site", "csat", 5, 0),
        ("bob", "site", "csat", 4, 0),
        ("cas", "till", "csat", 1, 0),
    ]
    stage_of = {"site": "see", "till": "see"}
    feedback = answers(journeys.engine, rows)
    table = measure_emotion(feedback, per="stage", stage_of=stage_of).table
    assert table["stage"].tolist() == ["see"]
    assert table["emotion"].item() == pytest.approx((1 + 0.5 - 1) / 3)
    assert table["emotion_low"].item() >= -1
    assert measure_emotion(feedback).table["stage"].unique().tolist() == [MISSING]


def test_events_that_are_left_out_leave_no_trace(journeys):
    assert entered(journeys, without=["look"]) == {
        "see": (0, 0, 0),
        "try": (3, 3, 1),
        "own": (1, 1, 0),
    }
    table = measure_touchpoints(journeys, stages=STAGES, without=["taste"]).table
    ann = table.set_index("touchpoint").loc["site", "wait_p50_us"]
    assert ann == 2.5 * HOUR_US  # 1 hour to her next look, 4 to her purchase


def test_emotion_of_a_period(journeys):
    feedback = answers(
        journeys.engine, [("ann", "site", "csat", 5, 0), ("ann", "site", "csat", 1, 9)]
    )
    assert measure_emotion(feedback, period=hours(0, 5)).table["emotion"].tolist() == [1]


def crowded(event_log, leave, stay, other_leave, other_stay):
    """People at one form on two devices, of whom some leave there and some go on."""
    lines = ["zoe: end 999h"]
    for device, lost, kept in (("phone", leave, stay), ("desk", other_leave, other_stay)):
        lines += [f"{device}{n}: {device} 0h" for n in range(lost)]
        lines += [f"{device}k{n}: {device} 0h, go 1h" for n in range(kept)]
    return event_log(
        "\n".join(lines),
        stage={"phone": "try", "desk": "try", "go": "own", "end": "own"},
        touchpoint={"phone": "form", "desk": "form", "go": "till", "end": "till"},
        device={"phone": "phone", "desk": "desk", "go": "desk", "end": "desk"},
    )


def test_a_touchpoint_that_loses_more_in_one_group_is_a_pain_point(event_log):
    events = crowded(event_log, 30, 20, 10, 40)
    found = rank_pain_points(events, stages=STAGES, silence="50h", conversion=None, across="device")
    row = found.table.iloc[0]
    named = row[["touchpoint", "group", "symptom"]].tolist()
    assert named == ["form", "phone", "drop_off"]
    assert (row["people"], row["affected"]) == (50, 30)
    assert (row["affected_rate"], row["other_rate"]) == (0.6, 0.2)
    low, high = newcombe_interval(30, 50, 10, 50)
    assert (row["excess_rate_low"], row["excess_rate_high"]) == (low, high)
    assert row["excess_people"] == pytest.approx(20)
    assert len(found.found) == 1
    assert "“Form / phone”" in found.finding("en")
    assert "「フォーム / phone」" in found.finding("ja")


def test_without_groups_no_drop_off_is_judged(event_log):
    found = rank_pain_points(crowded(event_log, 30, 20, 10, 40), stages=STAGES, silence="50h")
    assert found.table.empty


def test_silence_after_a_conversion_is_no_loss(event_log):
    events = crowded(event_log, 30, 20, 10, 40)
    found = rank_pain_points(
        events, stages=STAGES, silence="50h", conversion="phone", across="device"
    )
    assert found.table.set_index("group").loc["phone", "affected"].tolist() == 0


def test_a_group_alone_at_its_touchpoint_is_not_judged(event_log):
    events = crowded(event_log, 30, 20, 10, 40)
    table = rank_pain_points(events, stages=STAGES, silence="50h", across="device").table
    alone = table.set_index("touchpoint").loc["till"]
    assert pd.isna(alone["other_rate"])
    assert not alone["is_pain_point"]


def test_too_few_people_are_not_judged(event_log):
    events = crowded(event_log, 9, 1, 1, 9)
    found = rank_pain_points(events, stages=STAGES, silence="50h", across="device")
    assert found.table["p_value"].isna().all()
    assert found.found.empty
    assert found.finding("en").startswith("At no touchpoint")


def test_a_sure_difference_that_is_small_is_no_pain_point(event_log):
    """With 3,000 people half a point of difference or less may be sure, and yet not matter."""
    events = crowded(event_log, 1500, 0, 1450, 50)
    row = rank_pain_points(events, stages=STAGES, silence="50h", across="device").table.iloc[0]
    assert row["p_value"] < 1e-6 and 0 < row["excess_rate_low"] > 0.02
    events = crowded(event_log, 1500, 0, 1480, 20)
    row = rank_pain_points(events, stages=STAGES, silence="50h", across="device").table.iloc[0]
    assert row["p_value"] < 0.01 and 0 < row["excess_rate_low"] < 0.02
    assert not row["is_pain_point"]


def test_low_scores_are_compared_within_their_stage(journeys):
    rows = [(f"a{n}", "till", "csat", 1 if n < 30 else 5, 0) for n in range(40)]
    rows += [(f"b{n}", "gate", "nps", 6 if n < 4 else 9, 0) for n in range(40)]
    found = rank_pain_points(
        journeys,
        answers(journeys.engine, rows),
        stages=STAGES,
        stage_of={"till": "own", "gate": "own"},
        silence="9h",
    )
    row = found.found.iloc[0]
    assert (row["touchpoint"], row["symptom"], row["affected"]) == ("till", "low_score", 30)
    assert row["other_rate"] == 0.1


def test_each_person_has_one_low_score_at_a_touchpoint_and_the_unknown_one_an_answer(journeys):
    rows = [(f"a{n}", "till", "csat", 1, 0) for n in range(30)]
    rows += [("a0", "till", "csat", 1, hour) for hour in range(1, 20)]
    rows += [("late", "till", "csat", 5, 0), ("late", "till", "csat", 1, 1)]
    rows += [(None, "till", "nps", 3, 0), (None, "till", "nps", 9, 0)]
    feedback = answers(journeys.engine, rows)
    found = rank_pain_points(
        journeys, feedback, stages=STAGES, stage_of={"till": "own"}, silence="9h"
    )
    row = found.table.set_index("symptom").loc["low_score"]
    assert (row["people"], row["affected"]) == (33, 31)


PLACE = ("stage", "touchpoint", "device")


def slow_drop_offs(log, silence, without=()):
    """Walk each person's journeys: where they were, where they ended, what the others brought.

    A place is a stage, a touchpoint and the device that was used there.
    """
    known = log["occurred_us"].max() - silence * HOUR_US
    found = {}
    log = log.assign(event_id=range(len(log))).sort_values(["occurred_us", "event_id"])
    log = log[~log["event"].isin(without)]
    for _, own in log.groupby("customer_id"):
        journey, met = [], set()
        for at, later in zip(own.to_dict("records"), [*own["occurred_us"][1:], None], strict=True):
            journey.append(at)
            if later is not None and later - at["occurred_us"] <= silence * HOUR_US:
                continue
            is_converted = any(step["event"] == "buy" for step in journey)
            places = {tuple(step[name] for name in PLACE) for step in journey}
            for place in places if at["occurred_us"] <= known else ():
                if place[0] in STAGES and place not in met:
                    met.add(place)
                    people, lost, brought = found.get(place, (0, 0, 0))
                    is_lost = place == tuple(at[name] for name in PLACE) and not is_converted
                    sold = sum(step["revenue"] for step in journey if step["event"] == "buy")
                    found[place] = people + 1, lost + is_lost, brought + (not is_lost) * sold
            journey = []
    return found


@pytest.mark.parametrize("without", [(), ("a",)])
def test_drop_offs_agree_with_walking_every_journey(rng, without):
    for _ in range(10):
        log, silence = random_log(rng), int(rng.integers(1, 30))
        events = prepare_events(DuckDB(threads=1), log)
        options = {"silence": f"{silence}h", "conversion": "buy", "fewest": 1, "without": without}
        table = rank_pain_points(events, stages=STAGES, across="device", **options).table
        slow = slow_drop_offs(log, silence, without)
        table = table[table["symptom"] == "drop_off"]
        found = {
            (row.stage, row.touchpoint, row.group): (row.people, row.affected)
            for row in table.itertuples()
        }
        assert found == {place: counts[:2] for place, counts in slow.items()}
        for row in table.dropna(subset="lost_revenue").itertuples():
            people, lost, brought = slow[row.stage, row.touchpoint, row.group]
            worth = brought / (people - lost)
            assert row.lost_revenue == pytest.approx(row.excess_rate * people * worth)


def slow_matters(log, again, quiet, without=()):
    """Follow each person's matters: who came again, was served late, never came back, bought."""
    last = log["occurred_us"].max()
    found = {}
    log = log.assign(event_id=range(len(log))).sort_values(["occurred_us", "event_id"])
    begins = set(log.loc[log["direction"] == "outbound", "touchpoint"])
    log = log[~log["event"].isin(without)]
    for _, own in log.groupby("customer_id"):
        asked = own[own["ref_id"].notna() & own["stage"].isin(STAGES)]
        late = own[own["occurred_us"] > own["valid_until_us"]]
        is_sign = own["ref_id"].isna() & ~own["touchpoint"].isin(begins) | own["event"].eq("buy")
        seen = own.loc[is_sign, "occurred_us"].max()
        for place, there in asked.groupby(["stage", "touchpoint"]):
            matters = [
                (rows["occurred_us"].min(), ref_id, event, rows)
                for (ref_id, event), rows in there.groupby(["ref_id", "event"])
            ]
            _, ref_id, _, rows = min(matters, key=lambda matter: matter[:3])
            times = rows["occurred_us"]
            if times.max() > last - quiet * HOUR_US:
                continue
            is_late = bool(late["ref_id"].eq(ref_id).any())
            symptoms = [
                ("late_loop" if is_late else "loop", bool((times.diff() <= again * HOUR_US).any()))
            ]
            due = rows["valid_until_us"].notna()
            if due.any():
                symptoms.append(("delay", bool((times > rows["valid_until_us"])[due].any())))
            is_gone = not seen - times.max() > again * HOUR_US
            later = (own["occurred_us"] - times.max()) / HOUR_US
            is_sale = own["event"].eq("buy") & (later > again) & (later <= quiet)
            sold = own.loc[is_sale, "revenue"].sum()
            assert not (is_gone and sold)
            for symptom in symptoms:
                people, gone, brought = found.get((*place, *symptom), (0, 0, 0))
                found[*place, *symptom] = people + 1, gone + is_gone, brought + sold
    return found


@pytest.mark.parametrize("without", [(), ("a",)])
def test_matters_agree_with_following_each(rng, without):
    judged = dict.fromkeys(["loop", "late_loop", "delay", "revenue"], 0)
    for _ in range(15):
        log, again, quiet = random_log(rng), int(rng.integers(1, 30)), int(rng.integers(0, 30))
        is_begun = log["touchpoint"].eq("z") & (rng.random(len(log)) < 0.1)
        log["direction"] = is_begun.map({True: "outbound"})
        due = log["occurred_us"] + rng.integers(-5, 15, len(log)) * HOUR_US
        log["valid_until_us"] = due.where(rng.random(len(log)) < 0.3).astype("Int64")
        events = prepare_events(DuckDB(threads=1), log)
        options = {"conversion": "buy", "fewest": 1, "without": without}
        table = rank_pain_points(
            events, stages=STAGES, again=f"{again}h", quiet=f"{quiet}h", **options
        ).table
        slow = slow_matters(log, again, quiet, without)
        found = {
            (row.stage, row.touchpoint, row.symptom): (row.people, row.affected)
            for row in table.itertuples()
        }
        assert found == {place[:3]: counts[:2] for place, counts in slow.items() if place[3]}
        for row in table.dropna(subset="other_rate").itertuples():
            others, gone, _ = slow[row.stage, row.touchpoint, row.symptom, False]
            assert row.other_rate == gone / others
            judged[row.symptom] += 1
            people, gone, brought = slow[row.stage, row.touchpoint, row.symptom, True]
            assert pd.isna(row.lost_revenue) == (brought == 0)
            if brought:
                worth = row.excess_people * brought / (people - gone)
                assert row.lost_revenue == pytest.approx(worth)
                judged["revenue"] += 1
    assert all(judged.values())


def test_who_must_come_again_and_never_comes_back_is_in_a_loop(event_log):
    lines = [f"a{n}: ask 0h, ask 5h" + (", look 90h" if n < 10 else "") for n in range(40)]
    lines += [f"b{n}: ask 0h" + (", look 90h" if n < 36 else "") for n in range(40)]
    events = event_log(
        "\n".join([*lines, "zoe: look 999h"]),
        stage={"ask": "own", "look": "see"},
        touchpoint={"ask": "desk", "look": "site"},
        ref_id={"ask": "parcel"},
    )
    found = rank_pain_points(events, stages=STAGES, again="9h", quiet="50h")
    row = found.found.iloc[0]
    assert row[["touchpoint", "symptom", "people", "affected"]].tolist() == ["desk", "loop", 40, 30]
    assert row["other_rate"] == 0.1 and pd.isna(row["lost_revenue"])
    assert "had to come again" in found.finding("en") and "「desk」" in found.finding("ja")


def test_pain_points_of_each_segment_are_compared_within_it(event_log):
    events = crowded(event_log, 30, 20, 10, 40)
    people = events.engine.query("select distinct customer_id from events")
    people["segment"] = ["odd" if len(name) % 2 else "even" for name in people["customer_id"]]
    events.engine.add("segments", people)
    options = {"stages": STAGES, "silence": "50h", "across": "device", "fewest": 1}
    split = rank_pain_points(events, by="segments.segment", **options).table
    whole = rank_pain_points(events, **options).table
    key = ["touchpoint", "group"]
    sums = split.groupby(key)[["people", "affected"]].sum()
    whole = whole.groupby(key)[["people", "affected"]].sum()
    pd.testing.assert_frame_equal(sums, whole)
    one = split[(split["segment"] == "odd") & (split["touchpoint"] == "form")].set_index("group")
    other = one.loc["desk", "affected"] / one.loc["desk", "people"]
    assert one.loc["phone", "other_rate"] == other


SEEN = ("stage", "channel", "device")


def slow_moments(log, within):
    """Look at each person's first experience at each touchpoint, and at all that came before it."""
    last = log["occurred_us"].max()
    rank = {"good": 1, "bad": 0}
    found = []
    for _, own in log.sort_values("occurred_us", kind="stable").groupby("customer_id"):
        bought = own.loc[own["event"] == "buy", "occurred_us"]
        rows = own.assign(is_good=own["outcome"].map(rank), place=range(len(own)))
        felt = rows.dropna(subset=["is_good", "touchpoint"])
        felt = felt[felt["occurred_us"] <= last - within * HOUR_US]
        for touchpoint, there in felt.groupby("touchpoint"):
            one = there.sort_values(["occurred_us", "is_good"], kind="stable").iloc[0]
            at = one["occurred_us"]
            # Of one moment, conversions stand first.
            is_before = (rows["occurred_us"] < at) | rows["occurred_us"].eq(at) & (
                rows["event"].eq("buy") | ~(one["event"] == "buy") & (rows["place"] < one["place"])
            )
            if one["event"] == "buy":
                is_before &= rows["place"] < one["place"]
            before = rows[is_before]
            earlier = before.dropna(subset="is_good")
            latest = earlier[earlier["occurred_us"] == earlier["occurred_us"].max()]
            latest = latest[latest["occurred_us"] < at]
            later = bought[bought > at]
            found.append(
                {
                    "touchpoint": touchpoint,
                    "is_good": one["is_good"],
                    "goes_on": len(later) > 0 and later.min() - at <= within * HOUR_US,
                    "conversions": min(int(before["event"].eq("buy").sum()), 4),
                    "activity": np.searchsorted([1, 3, 6, 11, 21, 51], len(before), "right"),
                    "felt": latest["is_good"].max(),
                }
                | {
                    name: (list(before.sort_values("place")[name].dropna()) or [None])[-1]
                    for name in SEEN
                }
            )
    return pd.DataFrame(found)


def slow_difference(rows):
    """Fit one row a person, with errors HC3 as the textbook writes them; half the interval, too."""
    design = [np.ones(len(rows))]
    for name in ("conversions", "activity", "felt", *SEEN):
        values = rows[name].astype(object).fillna("none").astype(str)
        rare = values.map(values.value_counts()) < 10
        values = values.where(~rare, "rare")
        design += [values.eq(value).astype(float) for value in sorted(set(values))[1:]]
    x = np.column_stack([*design, rows["is_good"]])
    y = rows["goes_on"].to_numpy(dtype=float)
    inverse = np.linalg.pinv(x.T @ x)
    rest = y - x @ (inverse @ (x.T @ y))
    leverage = np.einsum("ij,jk,ik->i", x, inverse, x)
    meat = x.T @ (x * ((rest / np.maximum(1 - leverage, 1e-6)) ** 2)[:, None])
    error = np.sqrt((inverse @ meat @ inverse)[-1, -1])
    degrees = len(y) - np.linalg.matrix_rank(x)
    return (inverse @ (x.T @ y))[-1], stats.t.ppf(0.975, degrees) * error


def test_moments_agree_with_looking_at_every_person(rng):
    compared = 0
    for _ in range(4):
        log, within = random_log(rng, 500), int(rng.integers(5, 20))
        log["customer_id"] = [f"c{number}" for number in rng.integers(0, 80, len(log))]
        log["channel"] = rng.choice(["x", "y", None], len(log))
        events = prepare_events(DuckDB(threads=1), log)
        whole = hours(0, 99)
        found = rank_moments(events, conversion="buy", within=f"{within}h", fewest=1, period=whole)
        slow = slow_moments(log, within)
        for row in found.table.itertuples():
            own = slow[slow["touchpoint"] == row.touchpoint]
            sides = [own[own["is_good"] == side] for side in (1, 0)]
            assert [row.good, row.bad] == [len(side) for side in sides]
            went = [int(side["goes_on"].sum()) for side in sides]
            assert [row.good_went_on, row.bad_went_on] == went
            if pd.notna(row.rate_gap_low) and row.rate_gap_low > -1 and row.rate_gap_high < 1:
                gap, half = slow_difference(own)
                limits = [row.rate_gap, row.rate_gap_low, row.rate_gap_high]
                assert limits == pytest.approx([gap, gap - half, gap + half])
                compared += 1
    assert compared > 5


def consulted(rng, people=1500, gain=0.0):
    """Make people of whom the loyal ones ask more, are served better, and buy more anyway."""
    rows = []
    for number in range(people):
        loyal = rng.random() < 0.5
        rows += [(f"c{number}", "buy", None, hour) for hour in range(4 if loyal else 0)]
        is_good = rng.random() < (0.8 if loyal else 0.4)
        rows.append((f"c{number}", "ask", "good" if is_good else "bad", 100))
        if rng.random() < (0.6 if loyal else 0.2) + gain * is_good:
            rows.append((f"c{number}", "buy", None, 110))
    rows.append(("zoe", "look", None, 999))
    log = pd.DataFrame(rows, columns=["customer_id", "event", "outcome", "hour"])
    log["touchpoint"] = log["event"]
    log["occurred_us"] = START_US + log.pop("hour") * HOUR_US
    return prepare_events(DuckDB(threads=1), log)


def test_like_is_compared_with_like(rng):
    naive, adjusted = [], []
    for _ in range(12):
        row = rank_moments(consulted(rng), conversion="buy", within="50h").table.iloc[0]
        naive.append(row["good_rate"] - row["bad_rate"])
        adjusted.append(row["rate_gap_low"] <= 0 <= row["rate_gap_high"])
    assert np.mean(naive) > 0.1
    assert sum(adjusted) >= 10


def helped(rng, people=900, gain=0.25):
    """Make people of whom those with a phone, of one channel, and without orders fare worse anyway.

    They look first; then how it goes at three desks changes nothing, and at one it changes much.
    """
    weak = rng.random((people, 3)) < 0.5
    rows = []
    for number, (has_phone, is_social, is_new) in enumerate(weak):
        who, buys = f"c{number}", 0.75 - 0.2 * (has_phone + int(is_social) + is_new)
        device = "phone" if has_phone else "desktop"
        channel = "social" if is_social else "search"
        rows.append((who, "look" if is_new else "buy", "site", channel, device, None, 0))
        for hour, desk in enumerate(("null 1", "null 2", "null 3", "planted"), 10):
            is_good = rng.random() < buys
            rows.append((who, "ask", desk, None, None, "good" if is_good else "bad", hour))
        if rng.random() < buys * (1 - gain) + gain * is_good:
            rows.append((who, "buy", None, None, None, None, 20))
    rows.append(("zoe", "look", None, None, None, None, 999))
    columns = ["customer_id", "event", "touchpoint", "channel", "device", "outcome", "hour"]
    log = pd.DataFrame(rows, columns=columns)
    log["occurred_us"] = START_US + log.pop("hour") * HOUR_US
    return prepare_events(DuckDB(threads=1), log)


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.long)])
def test_what_is_planted_is_found_and_what_only_goes_along_is_not(rng, rounds):
    planted = false = naive = 0
    for _ in range(rounds):
        table = rank_moments(helped(rng), conversion="buy", within="50h").table
        table = table.set_index("touchpoint")
        planted += table.loc["planted", "is_moment"]
        nulls = table[table.index.str.startswith("null")]
        false += nulls["is_moment"].sum()
        naive += (nulls["good_rate"] - nulls["bad_rate"] > 0.05).sum()
    assert planted == rounds
    assert naive > 2 * rounds
    assert false <= 0.1 * (planted + false)


def test_the_interval_covers_a_true_difference(rng):
    covered = 0
    for _ in range(20):
        row = rank_moments(consulted(rng, 800, 0.2), conversion="buy", within="50h").table.iloc[0]
        covered += row["rate_gap_low"] <= 0.2 <= row["rate_gap_high"]
        assert row["is_moment"]
    assert covered >= 17


def test_answers_are_experiences_too(event_log):
    lines = [f"a{n}: ask 0h, buy 5h" for n in range(40)] + [f"b{n}: ask 0h" for n in range(40)]
    lines += [f"c{n}: ask 0h, buy 5h" for n in range(8)]
    events = event_log("\n".join([*lines, "zoe: ask 99h"]))
    rows = [(f"a{n}", "desk", "csat", 5, 1) for n in range(40)]
    rows += [(f"b{n}", "desk", "csat", 1, 1) for n in range(40)]
    rows += [(f"c{n}", "desk", "nps", 3, 1) for n in range(8)]
    found = rank_moments(events, answers(events.engine, rows), conversion="buy", within="9h")
    row = found.found.iloc[0]
    assert (row["touchpoint"], row["good"], row["bad"]) == ("desk", 40, 48)
    assert (row["good_rate"], row["bad_rate"]) == (1, 8 / 48)
    assert "“desk”" in found.finding("en")


def test_what_decides_how_people_feel_about_the_whole_is_a_driver(journeys, rng):
    """“desk” is planted to decide and to perform badly, “shop” plays no part."""
    rows = []
    for n in range(300):
        desk, shop = rng.integers(1, 4), rng.integers(2, 6)
        whole = int(np.clip(3 * desk - 2 + rng.integers(-1, 2), 0, 10))
        rows += [(f"p{n}", "desk", "csat", desk, 0), (f"p{n}", "shop", "csat", shop, 1)]
        rows += [(f"p{n}", None, "nps", whole, 2), (None, "desk", "csat", 5, 3)]
    rows += [("p0", "desk", "csat", 5, 4), ("late", "desk", "csat", 5, 5)]
    found = measure_drivers(answers(journeys.engine, rows))
    table = found.table.set_index("touchpoint")
    assert table["customers"].to_dict() == {"desk": 300, "shop": 300}
    frame = pd.DataFrame(rows, columns=["who", "place", "metric", "score", "hour"]).dropna(
        subset="who"
    )
    frame["felt"] = np.where(
        frame["metric"] == "nps", frame["score"] / 5 - 1, (frame["score"] - 1) / 2 - 1
    )
    wide = frame.fillna("whole").pivot_table("felt", "who", "place").dropna()
    for place in ("desk", "shop"):
        r = stats.pearsonr(wide[place], wide["whole"])
        assert table.loc[place, "importance"] == pytest.approx(r.statistic)
        limits = table.loc[place, ["importance_low", "importance_high"]].tolist()
        assert limits == pytest.approx(list(r.confidence_interval(0.95)))
        assert table.loc[place, "performance"] == pytest.approx(wide[place].mean())
    assert table["is_driver"].to_dict() == {"desk": True, "shop": False}
    assert found.first_to_mend["touchpoint"] == "desk"
    assert "Mend “desk” first" in found.finding("en") and "「desk」" in found.finding("ja")
    assert mask(found, 301).first_to_mend is None
    for language in ("en", "ja"):
        assert found.plot(language=language).get_title()


def test_without_answers_about_the_whole_there_are_no_drivers(journeys):
    rows = [(f"p{n}", "desk", "csat", 1 + n % 5, 0) for n in range(50)]
    found = measure_drivers(answers(journeys.engine, rows))
    assert found.table.empty and found.finding("en").startswith("At no touchpoint")
    same = [(f"p{n}", None, "nps", 7, 0) for n in range(50)]
    found = measure_drivers(answers(journeys.engine, rows + same))
    assert found.table["importance"].isna().all() and not found.table["is_driver"].any()


def test_what_attracts_more_than_the_rest_of_its_channel_is_found(journeys):
    rows = [("a", "social", "Sofa", 1, 1000, 90), ("a", "social", None, 2, 1000, 110)]
    rows += [("b", "social", "Rug", 1, 4000, 200), ("c", "social", None, 1, 50, 0)]
    rows += [("d", "email", "Sale", 1, 500, 400), ("b", "social", "Rug", 9, 7000, 7000)]
    columns = ["content_id", "channel", "title", "day", "impressions", "engagements"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["day"] = [datetime.date(2024, 1, day) for day in frame["day"]]
    content = journeys.engine.add("content", frame)
    period = Period(datetime.date(2024, 1, 1), datetime.date(2024, 1, 9), 0, 0)
    found = rank_content(content, period=period)
    assert found.table["content_id"].tolist() == ["a", "b", "d"]
    sofa = found.table.iloc[0]
    assert sofa[["title", "impressions", "engagements"]].tolist() == ["Sofa", 2000, 200]
    assert sofa["other_rate"] == 200 / 4050 and sofa["is_attractive"]
    low, high = newcombe_interval(200, 2000, 200, 4050)
    assert sofa[["difference_low", "difference_high"]].tolist() == [low, high]
    assert found.table["is_attractive"].tolist() == [True, False, False]
    assert np.isnan(found.table.loc[2, "other_rate"])
    assert "“Sofa”" in found.finding("en") and "「Sofa」" in found.finding("ja")
    assert found.plot(language="ja").get_title()
    nothing = rank_content(content, fewest=9999, period=period)
    assert nothing.table.empty and nothing.finding("en").startswith("No post")


def test_a_log_without_experiences_says_so(journeys):
    found = rank_moments(journeys, conversion="buy")
    assert found.table.empty
    assert found.finding("en").startswith("No good or bad experience")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda log: measure_stages(log, stages=["see", "see"]), "name each stage once"),
        (lambda log: measure_stages(log, within=7), "has no unit"),
        (lambda log: measure_touchpoints(log, by="plann"), "is not in the log"),
        (lambda log: measure_emotion(log, per="person"), "must be one of"),
        (lambda log: rank_pain_points(log, fewest=0), "must be 1 or more"),
        (lambda log: measure_drivers(log, overall="npss"), "Did you mean 'nps'"),
        (lambda log: measure_drivers(log, fewest=3), "must be 4 or more"),
        (lambda log: rank_content(log, top=0), "must both be 1 or more"),
        (lambda log: rank_pain_points(log, across="devise"), "is not in the log"),
        (lambda log: rank_pain_points(log, by="device"), "name one of customers"),
        (lambda log: measure_touchpoints(log, without=["byu"]), "Did you mean 'buy'"),
        (lambda log: rank_moments(log, conversion="byu"), "Did you mean 'buy'"),
        (lambda log: rank_moments(log, conversion="buy", by="device"), "name one of customers"),
    ],
)
def test_errors_say_what_to_do(journeys, ask, message):
    with pytest.raises(CjkitError, match=message):
        ask(journeys)


def test_results_are_masked_said_and_drawn(event_log):
    events = crowded(event_log, 30, 20, 3, 40)
    rows = [("ann", "form", "csat", 2, 0), ("bob", "form", "csat", 4, 0)]
    feedback = answers(events.engine, rows)
    for found in (
        measure_stages(events, stages=STAGES, within="50h"),
        measure_touchpoints(events, stages=STAGES),
        measure_emotion(feedback),
        rank_pain_points(events, stages=STAGES, silence="50h", across="device"),
    ):
        for language in ("en", "ja"):
            assert found.finding(language)
            assert mask(found, 45).plot(language=language).get_title()
    hidden = mask(measure_emotion(feedback), 5)
    assert hidden.table["emotion"].isna().all()
    assert hidden.worst is None
