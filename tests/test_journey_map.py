import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.experience import (
    measure_emotion,
    measure_stages,
    measure_touchpoints,
    rank_moments,
    rank_pain_points,
)
from cjkit.journey_map import LANES, draw_journey_map, read_comments
from cjkit.labels import format_percent, set_names
from cjkit.privacy import mask
from conftest import HOUR_US, START_US

STAGES = ["see", "try", "own", "never"]
STAGE_OF = {"form": "try", "shelf": "try", "site": "see", "till": "own"}


@dataclass(frozen=True)
class Result:
    table: pd.DataFrame
    by: str | None = None
    sql: tuple[str, ...] = ("select 1",)


@pytest.fixture
def lanes(event_log):
    """Measure a small company: most who fill in the form on a phone are lost and unhappy."""
    lines = ["zoe: end 999h"]
    for place, lost, kept in (("form", 40, 20), ("shelf", 10, 60), ("desk", 5, 25)):
        lines += [f"{place}{n}: look 0h, {place} 1h" for n in range(lost)]
        lines += [f"{place}k{n}: look 0h, {place} 1h, buy 3h" for n in range(kept)]
    events = event_log(
        "\n".join(lines),
        stage={
            "look": "see",
            **dict.fromkeys(("form", "desk", "shelf"), "try"),
            "buy": "own",
            "end": "own",
        },
        touchpoint={
            "look": "site",
            "form": "form",
            "desk": "form",
            "shelf": "shelf",
            "buy": "till",
            "end": "till",
        },
        device={"form": "phone", "desk": "desktop", "shelf": "desktop"},
    )
    feedback = pd.DataFrame(
        {
            "feedback_id": [f"f{n}" for n in range(43)],
            "customer_id": [f"form{n}" for n in range(40)] + [f"shelf{n}" for n in range(3)],
            "touchpoint": ["form"] * 40 + ["till"] * 3,
            "metric": "csat",
            "score": [2.0] * 40 + [5.0, 4.0, 5.0],
            "score_max": 5.0,
            "emotion": np.nan,
            "given_us": START_US + 2 * HOUR_US,
        }
    )
    answers = events.engine.add("feedback", feedback)
    return {
        "stages": measure_stages(events, stages=STAGES, within="50h"),
        "touchpoints": measure_touchpoints(events, stages=STAGES),
        "emotion": measure_emotion(answers, per="stage", stage_of=STAGE_OF),
        "pain_points": rank_pain_points(
            events,
            answers,
            stages=STAGES,
            stage_of=STAGE_OF,
            silence="50h",
            conversion="buy",
            across="device",
        ),
        "moments": rank_moments(events, answers, conversion="buy", within="9h"),
    }


class Page(HTMLParser):
    """Read the elements of a page, and refuse one whose elements do not close."""

    def __init__(self, html):
        super().__init__()
        self.open, self.found = [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def cells(found):
    return {
        (row.stage, row.lane, row.item if isinstance(row.item, str) else None, row.measure): row
        for row in found.table.itertuples()
    }


def test_every_cell_is_a_row_of_a_result(lanes):
    found = cells(draw_journey_map(**lanes))
    progress = found["see", "people", None, "progress_rate"]
    assert progress.value == pytest.approx(1.0)
    assert (progress.low, progress.n) == (lanes["stages"].table["progress_rate_low"][0], 160)
    assert found["try", "people", None, "customers"].n == 160
    assert found["try", "touchpoints", "shelf", "share"].value == 70 / 160
    assert found["try", "emotion", None, "emotion"].value == -0.5
    assert found["try", "time", None, "days_to_progress"].value == pytest.approx(2 / 24)
    pain = found["try", "pain_points", "form", "drop_off"]
    assert (pain.value, pain.n) == (pytest.approx(40 / 60 - 5 / 30), 60)
    assert pain.lost_people == pytest.approx(60 * (40 / 60 - 5 / 30))
    told = set(draw_journey_map(**lanes).table["lane"])
    assert told == set(LANES) - {"moments", "voice", "interviews", "comments"}


def test_a_stage_that_nobody_reached_is_left_out(lanes):
    assert draw_journey_map(**lanes).stages == ["see", "try", "own"]


def test_a_moment_stands_in_the_stage_where_most_people_are():
    moments = pd.DataFrame(
        {
            "touchpoint": ["desk", "none"],
            "people": [90, 90],
            "bad": [45, 45],
            "rate_gap": [0.3, 0.1],
            "rate_gap_low": [0.2, -0.1],
            "rate_gap_high": [0.4, 0.3],
            "at_stake": [13.5, 4.5],
            "is_moment": [True, False],
        }
    )
    touchpoints = pd.DataFrame(
        {
            "stage": ["see", "try"],
            "touchpoint": ["desk", "desk"],
            "customers": [5, 50],
            "share": [0.1, 0.9],
            "share_low": 0.0,
            "share_high": 1.0,
        }
    )
    found = draw_journey_map(
        Result(stage_table()), touchpoints=Result(touchpoints), moments=Result(moments)
    )
    rows = found.table[found.table["lane"] == "moments"]
    assert rows[["stage", "item", "value"]].to_numpy().tolist() == [["try", "desk", 0.3]]
    assert "★ desk" in found.to_html("en")


def stage_table(**columns):
    return pd.DataFrame(
        {
            "stage": ["see", "try"],
            "customers": [100, 50],
            "known_customers": [100, 50],
            "progressed": [40, 0],
            "progress_rate": [0.4, np.nan],
            "progress_rate_low": [0.3, np.nan],
            "progress_rate_high": [0.5, np.nan],
            "progress_p50_us": [3_600_000_000, np.nan],
            **columns,
        }
    )


def test_one_segment_is_taken_from_results_of_all(lanes):
    both = pd.concat(
        [stage_table().assign(segment="new"), stage_table(customers=[7, 3]).assign(segment="old")]
    )
    both.insert(0, "segment", both.pop("segment"))
    result = Result(both, by="segments.segment")
    found = cells(draw_journey_map(result, segment="old"))
    assert found["see", "people", None, "customers"].n == 7
    set_names({"segment": {"old": {"en": "Old friends", "ja": "常連"}}})
    try:
        assert draw_journey_map(result, segment="old").finding("ja").startswith("常連：")
    finally:
        set_names({})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segment": "new"}, "measured for everybody"),
        ({"emotion": Result(pd.DataFrame({"stage": ["see"], "touchpoint": ["x"]}))}, "per='stage'"),
        ({"moments": Result(pd.DataFrame({"touchpoint": []}))}, "moments need touchpoints"),
    ],
)
def test_errors_say_what_to_do(options, message):
    with pytest.raises(CjkitError, match=message):
        draw_journey_map(Result(stage_table()), **options)


def test_a_split_result_needs_a_segment_that_it_has():
    result = Result(stage_table(), by="stage")
    with pytest.raises(CjkitError, match="choose segment= one of 'see', 'try'"):
        draw_journey_map(result)
    with pytest.raises(CjkitError, match="Did you mean 'see'"):
        draw_journey_map(result, segment="sea")


def test_html_is_whole_and_makes_no_request(lanes):
    for language in ("en", "ja"):
        html = draw_journey_map(**lanes, offline=["shelf"]).to_html(language)
        page = Page(html)
        assert not re.search(r"https?://|url\(|<script|<link|@import", html)
        assert sum(attributes.get("class") == "cjm-stage" for _, attributes in page.found) == 3
        assert sum("cjm-off" in (a.get("class") or "") for _, a in page.found) == 2  # and legend


def test_figures_carry_their_interval_and_n(lanes):
    page = Page(draw_journey_map(**lanes).to_html("en"))
    titles = [attributes["title"] for _, attributes in page.found if "title" in attributes]
    assert any(
        title == "Share of the people in the stage who were there · 43.8% (36.3%–51.5%) · n = 70 "
        "· online"
        for title in titles
    )
    for _, attributes in page.found:
        if "title" in attributes:  # a tap shows what a pointer shows
            assert attributes["aria-label"] == attributes["title"]
            assert attributes["tabindex"] == "0"


def test_what_comes_from_data_is_escaped():
    evil = '<img src=x onerror="alert(1)">'
    table = stage_table(stage=[evil, "try"])
    touchpoints = pd.DataFrame(
        {
            "stage": ["try"],
            "touchpoint": [evil],
            "customers": [50],
            "share": [1.0],
            "share_low": [0.9],
            "share_high": [1.0],
        }
    )
    html = draw_journey_map(Result(table), touchpoints=Result(touchpoints)).to_html("en")
    assert "<img" not in html
    assert html.count("&lt;img") >= 2
    Page(html)


def test_small_cells_are_hidden_in_the_map(lanes):
    whole = draw_journey_map(**lanes)
    assert "+0.83" in whole.to_html("en")
    hidden = mask(whole, 5)
    html = hidden.to_html("en")
    assert "+0.83" not in html
    assert "hidden: too few people" in html
    Page(html)


def test_a_stage_without_answers_leaves_a_gap_in_the_curve():
    stages = pd.concat([stage_table(), stage_table(stage=["own", "love"])], ignore_index=True)
    emotion = pd.DataFrame(
        {
            "stage": ["see", "own", "love"],
            "answers": [9, 9, 9],
            "emotion": [0.5, -0.5, 0.2],
            "emotion_low": [0.4, -0.6, -0.1],
            "emotion_high": [0.6, -0.4, 0.5],
        }
    )
    html = draw_journey_map(Result(stages), emotion=Result(emotion)).to_html("en")
    assert html.count('class="cjm-gap"') == 1
    moods = [a["class"] for _, a in Page(html).found if a.get("class", "").startswith("cjm-point")]
    assert moods == ["cjm-point cjm-good", "cjm-point cjm-bad cjm-under", "cjm-point cjm-unsure"]


def test_a_lane_in_which_nothing_was_found_is_shown_empty():
    none = pd.DataFrame(
        columns=["stage", "touchpoint", "group", "symptom", "people", "is_pain_point"]
    )
    none[["excess_rate", "excess_rate_low", "excess_rate_high"]] = 0.0
    none[["excess_people", "lost_revenue"]] = 0.0
    html = draw_journey_map(Result(stage_table()), pain_points=Result(none)).to_html("en")
    lanes = [a["data-lane"] for _, a in Page(html).found if "data-lane" in a]
    assert lanes == ["People", "Time to the next stage", "Pain points", "Opportunities"] * 2


def test_a_map_of_nothing_says_so():
    nobody = stage_table(customers=[0, 0], known_customers=[0, 0], progressed=[0, 0])
    found = draw_journey_map(Result(nobody))
    assert found.table.empty
    assert found.finding("ja")
    Page(found.to_html("ja"))


def test_the_map_keeps_the_statements_behind_it(lanes):
    found = draw_journey_map(**lanes)
    assert set(lanes["stages"].sql) | set(lanes["emotion"].sql) <= set(found.sql)
    assert len(set(found.sql)) == len(found.sql)
    assert replace(found, segment=None).sql == found.sql


def interview(**more):
    said = {"stage": "try", "touchpoint": None, "persona": None, "kind": "need", "respondents": 9}
    return {**said, "text": "a <b>bigger</b> form", **more}


def notes(*rows):
    return DuckDB(threads=1).add("notes", pd.DataFrame(rows).astype({"persona": "str"}))


def test_interviews_stand_beside_what_is_measured_and_look_different(lanes):
    given = notes(
        interview(),
        interview(kind="pain", text="too slow", persona="shopper", respondents=2),
        interview(stage="elsewhere", text="not on the map"),
    )
    found = draw_journey_map(**lanes, notes=given)
    said = found.table[found.table["lane"] == "interviews"]
    assert said[["item", "measure", "n"]].to_numpy().tolist() == [
        ["a <b>bigger</b> form", "note.need", 9],
        ["too slow", "note.pain", 2],
    ]
    page = mask(found, 5).to_html("en")
    assert "<q>a &lt;b&gt;bigger&lt;/b&gt; form</q>" in page and "cjm-note" in page
    assert "n = 9" in page and "n = 2<" not in page and 'n = 2"' not in page


def test_a_persona_has_its_own_interviews_and_those_of_nobody_in_particular(lanes):
    split = {name: replace(result, by="segment") for name, result in lanes.items()}
    for result in split.values():
        result.table.insert(0, "segment", "shopper")
    given = notes(
        interview(text="mine", persona="shopper"),
        interview(text="hers", persona="other"),
        interview(text="ours", persona=None),
    )
    found = draw_journey_map(**split, notes=given, segment="shopper").table
    assert set(found.loc[found["lane"] == "interviews", "item"]) == {"mine", "ours"}


def test_opportunities_are_ranked_by_what_would_be_gained(lanes):
    pain = lanes["pain_points"]
    worth = pain.table.assign(lost_revenue=pain.table["excess_people"] * 10)
    moments = pd.DataFrame(
        {
            "touchpoint": ["shelf"],
            "people": [90],
            "bad": [30],
            "rate_gap": [0.5],
            "rate_gap_low": [0.3],
            "rate_gap_high": [0.7],
            "is_moment": [True],
            "at_stake": [15.0],
        }
    )
    given = {**lanes, "pain_points": replace(pain, table=worth), "moments": Result(moments)}

    in_money = draw_journey_map(**given, worth=100).table.query("lane == 'opportunities'")
    lost = 60 * (40 / 60 - 5 / 30)
    assert in_money["measure"].unique().tolist() == ["gained_revenue"]
    gains = dict(zip(in_money["item"], in_money["value"], strict=True))
    assert gains == {"shelf": pytest.approx(1500), "form": pytest.approx(10 * lost)}
    assert in_money.set_index("item").loc["shelf", ["low", "high"]].tolist() == [900, 2100]
    page = draw_journey_map(**given, worth=100).to_html("en")
    assert re.search(r"<i>1</i> shelf", page) and re.search(r"<i>2</i> Form", page)

    in_people = draw_journey_map(**given).table.query("lane == 'opportunities'")
    assert in_people["measure"].unique().tolist() == ["gained_people"]
    gains = dict(zip(in_people["item"], in_people["value"], strict=True))
    assert gains == {"form": pytest.approx(lost), "shelf": 15}


def test_delays_and_loops_are_opportunities_the_largest_of_each_touchpoint(lanes):
    pain = lanes["pain_points"]
    row = pain.table[pain.table["is_pain_point"]].iloc[[0]]
    symptoms = {"delay": 20.0, "late_loop": 12.0, "low_score": 99.0}
    late = [
        row.assign(symptom=symptom, touchpoint="parcel", group=None, excess_people=people)
        for symptom, people in symptoms.items()
    ]
    table = pd.concat([pain.table, *late], ignore_index=True)
    for each, measure in ((10, "gained_revenue"), (np.nan, "gained_people")):
        known = table.assign(lost_revenue=table["excess_people"] * each)
        given = {**lanes, "pain_points": replace(pain, table=known)}
        found = draw_journey_map(**given).table.query("lane == 'opportunities'")
        assert found["measure"].unique().tolist() == [measure]
        gains = dict(zip(found["item"], found["value"], strict=True))
        one = 1 if np.isnan(each) else each
        assert gains == {"form": pytest.approx(30 * one), "parcel": 20 * one}


def test_an_earlier_map_stands_beside_this_one(lanes):
    now = draw_journey_map(**lanes)
    pain = lanes["pain_points"].table
    other = pain.assign(
        touchpoint=pain["touchpoint"].replace({"form": "shelf", "shelf": "form"}),
        excess_rate=pain["excess_rate"] / 2,
    )
    then = draw_journey_map(**{**lanes, "pain_points": replace(lanes["pain_points"], table=other)})
    found = draw_journey_map(**lanes, before=then)
    assert "previous" not in now.table
    shares = found.table.query("measure == 'share'")
    assert (shares["previous"] == shares["value"]).all()
    people = found.table.query("measure == 'customers'")
    assert (people["previous"] == people["n"]).all()
    pains = found.table.query("lane == 'pain_points' and measure == 'drop_off'").set_index("item")
    assert np.isnan(pains.loc["form", "previous"]) and pains.loc["form", "n"] == 60
    assert np.isnan(pains.loc["shelf", "n"]) and pains.loc["shelf", "previous"] > 0
    for language, new, gone in (("en", "new", "no longer found"), ("ja", "新規", "該当なし")):
        page = found.to_html(language)
        assert page.count(gone) == 1 and new in page
        Page(page)


def test_what_is_hidden_or_has_no_room_at_one_time_is_neither_new_nor_gone(lanes):
    def at(people):
        """Return the map of a time at which so few people had the pain points."""
        pain = lanes["pain_points"]
        table = pain.table.assign(people=people, affected=people)
        return draw_journey_map(**{**lanes, "pain_points": replace(pain, table=table)}, most=1)

    def kept(now, then):
        return mask(replace(now, parts=replace(now.parts, before=then)), 50)

    few, many = at(3), at(60)
    for now, then in ((few, many), (many, few)):
        found = kept(now, then)
        pains = found.table.query("lane == 'pain_points'")
        assert len(pains) and not pains[["is_new", "is_gone"]].any(axis=None)
        assert pains["n"].isna().all() == (now is few)
        assert "cjm-gone" not in found.to_html("en").split("</style>")[1]


def test_the_goal_and_what_colleagues_wrote_stand_on_the_map(lanes, tmp_path):
    path = tmp_path / "comments.csv"
    path.write_text(
        "stage,comment,owner,status,decision\ntry,Shorter <form>,Ann,decided,in May\nsee,Why?,,,\n",
        encoding="utf-8-sig",
    )
    found = draw_journey_map(**lanes, comments=read_comments(path), goal={"en": "Fewer <lost>"})
    said = found.table.query("lane == 'comments'").set_index("stage")
    assert said.loc["try", "item"] == "Shorter <form> → in May (Ann)"
    assert said["measure"].to_dict() == {"see": "comment.open", "try": "comment.decided"}
    page = found.to_html("en")
    assert "cjm-goal" not in found.to_html("ja").split("</style>")[1]
    assert "cjm-kpi" not in page.split("</style>")[1]
    assert "Fewer &lt;lost&gt;" in page and "Shorter &lt;form&gt;" in page and "Decided" in page


def test_the_rate_that_tells_whether_the_goal_is_reached_stands_beside_it(lanes):
    rate = lanes["stages"].table.set_index("stage").loc["try"]
    drawn = draw_journey_map(**lanes, goal={"en": "More"}, kpi="try", target=0.5)
    kpi = re.search('<p class="cjm-goal cjm-kpi">.*?</p>', drawn.to_html("en"))[0]
    for name in ("progress_rate", "progress_rate_low", "progress_rate_high"):
        assert format_percent(rate[name], "en") in kpi
    assert f"n = {rate['known_customers']:.0f}" in kpi and "Target 50%" in kpi
    hidden = mask(drawn, 10_000).to_html("en")
    assert "%" not in re.search('cjm-kpi">(.*?)<small>', hidden)[1]
    with pytest.raises(CjkitError, match="Did you mean 'try'"):
        draw_journey_map(**lanes, kpi="tri")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("stage,coment\ntry,x\n", "Did you mean 'coment'"),
        ("stage,comment,owner,stat\ntry,x,y,z\n", "Did you mean 'status'"),
        ("stage,comment,status\ntry,x,opne\n", "must be one of"),
        ("", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_comments_with_faults_are_refused(tmp_path, written, message):
    path = tmp_path / "comments.csv"
    if written is not None:
        path.write_text(written, encoding="utf-8")
    with pytest.raises(CjkitError, match=message):
        read_comments(path)


def test_themes_stand_where_they_are_written_about(lanes):
    table = pd.DataFrame(
        {
            "theme": ["slow · form", "nowhere"],
            "stage": ["try", None],
            "answers": [40, 9],
            "emotion": [-0.4, 0.1],
            "emotion_low": [-0.5, 0.0],
            "emotion_high": [-0.3, 0.2],
        }
    )
    found = draw_journey_map(**lanes, themes=Result(table))
    said = found.table.query("lane == 'voice'")
    assert said[["stage", "item", "n"]].to_numpy().tolist() == [["try", "slow · form", 40]]
    assert "cjm-theme cjm-bad" in found.to_html("ja")
