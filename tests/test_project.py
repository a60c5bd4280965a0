"""The project file: read whole, or refused with every fault at once."""

import datetime

import pytest

from cjkit.checks import CjkitError
from cjkit.project import read_project

GOOD = """
[project]
id = "shop"
name = { en = "Shop", ja = "店" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[consent]
missing = "allow"
[sources.web]
files = ["web/*.csv"]
mapping = "event_log"
[events.view]
touchpoint = "site"
[touchpoints.site]
stage = "interest"
[funnel]
steps = ["view", "purchase"]
[names.event.view]
en = "Viewed"
ja = "見た"
"""


def write(tmp_path, text):
    path = tmp_path / "journey.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_good_file_gives_its_sections_with_their_defaults(tmp_path):
    project = read_project(write(tmp_path, GOOD))
    assert project.project.languages == ("en", "ja")
    assert project.events["view"].touchpoint == "site"
    assert project.funnel.within == "30D"
    assert project.session.gap == "30m"
    assert project.names["event"]["view"]["ja"] == "見た"
    assert project.state_folder == tmp_path.resolve() / ".cjkit" / "shop"


def test_an_intended_journey_is_of_touchpoints_unless_it_says_otherwise(tmp_path):
    asked = '[journey]\nintended = ["site", { event = "purchase", within = "7D", optional = true }]'
    first, last = read_project(write(tmp_path, GOOD + asked)).journey.intended
    assert (first.touchpoint, first.event) == (("site",), None)
    assert (last.event, last.within, last.optional) == (("purchase",), "7D", True)


def test_periods_are_half_open_local_days_up_to_as_of(tmp_path):
    now, before = read_project(write(tmp_path, GOOD)).periods(datetime.date(2026, 11, 1))
    assert (now.start, now.end) == (datetime.date(2026, 10, 1), datetime.date(2026, 11, 1))
    assert before.end_us == now.start_us
    assert (now.end_us - now.start_us) // 86_400_000_000 == 31


TEN_FAULTS = """
[projct]
[project]
id = "My Shop"
name = { en = "Shop" }
time_zone = "Asia/Tokio"
currency = "YEN"
languages = ["ja", "fr"]
[consent]
mising = "allow"
[sources.web]
files = []
mapping = "event_log"
[events.view]
touchpoint = "sight"
[touchpoints.site]
stage = "intrest"
[session]
gap = "30"
[funnel]
steps = ["veiw", "purchase"]
[privacy]
min_cell = -1
[value]
margn = 0.4
"""


def test_all_faults_are_reported_together_each_with_the_nearest_name(tmp_path):
    with pytest.raises(CjkitError) as caught:
        read_project(write(tmp_path, TEN_FAULTS))
    message = str(caught.value)
    for part in (
        "[projct] is not known. Did you mean 'project'?",
        "project.id='My Shop'",
        "project.time_zone='Asia/Tokio': is no time zone",
        "project.currency='YEN': is no ISO 4217 code",
        "project.languages.1='fr' must be 'en' or 'ja'",
        "consent.missing is missing",
        "consent.mising is not known. Did you mean 'missing'?",
        "sources.web.files",
        "events.view.touchpoint='sight' is no touchpoint of this file. Did you mean 'site'?",
        "touchpoints.site.stage='intrest' is no stage of this file. Did you mean 'interest'?",
        "session.gap='30'",
        "funnel.steps='veiw' is no event of this file. Did you mean 'view'?",
        "privacy.min_cell=-1",
        "value.margn is not known. Did you mean 'margin'?",
    ):
        assert part in message, f"{part!r} is not in:\n{message}"
    assert message.startswith("journey.toml has 14 faults:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[project\n", "is not valid TOML"),
        (GOOD.replace('missing = "allow"', ""), "consent.missing is missing"),
        (
            GOOD + '[value.contractual]\nstart = "subscribe"\nend = "viewed"',
            "value.contractual.end='viewed' is no event of this file. Did you mean 'view'",
        ),
        (
            GOOD + '[journey]\nintended = ["sight", { event = "view" }, { stage = "purchas" }]',
            r"(?s)intended='sight' is no touchpoint.*'site'\?.*'purchas' is no stage.*'purchase'",
        ),
        (
            GOOD + '[journey]\nintended = ["site", "site"]',
            "two steps or more in `intended`, each once",
        ),
        (
            GOOD
            + '[journey]\nintended = [{ touchpoint = "site", within = "7" }, { event = "view" }]',
            r"intended.0.within='7'",
        ),
        (
            GOOD.replace("[sources.web]", "[events.x]").replace("files =", "#"),
            r"\[sources\] is missing",
        ),
    ],
)
def test_errors_say_what_to_do(tmp_path, text, message):
    with pytest.raises(CjkitError, match=message):
        read_project(write(tmp_path, text))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(CjkitError, match="no project file"):
        read_project(tmp_path / "none.toml")
    with pytest.raises(CjkitError, match="is a folder"):
        read_project(tmp_path)


def test_a_file_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "journey.toml"
    path.write_bytes(GOOD.encode("cp932"))
    with pytest.raises(CjkitError, match="is not UTF-8"):
        read_project(path)


def test_input_files_are_found_sorted_or_named_all_together(tmp_path, monkeypatch):
    more = '[sources.till]\nfiles = ["${TILL_FOLDER}/*.csv"]\nmapping = "event_log"\n'
    project = read_project(write(tmp_path, GOOD + more))
    with pytest.raises(CjkitError, match=r"(?s)sources.web.files.*finds no file.*TILL_FOLDER"):
        project.input_files()
    (tmp_path / "web").mkdir()
    (tmp_path / "till").mkdir()
    for name in ("b", "a"):
        (tmp_path / "web" / f"{name}.csv").touch()
        (tmp_path / "till" / f"{name}.csv").touch()
    monkeypatch.setenv("TILL_FOLDER", str(tmp_path / "till"))
    found = project.input_files()
    assert [path.name for path in found["web"]] == ["a.csv", "b.csv"]
    assert [path.name for path in found["till"]] == ["a.csv", "b.csv"]
