"""Who is in a file, who is kept aside, and what is left of it: conserved, recorded, forgotten."""

import os
import random
import re
import shutil
import socket
import time
from dataclasses import replace

import companies
import pytest
from audience_shop import FILES, write_shop

from cjkit import cleansing
from cjkit.__main__ import main
from cjkit.activation import activate, find_files, writing
from cjkit.checks import CjkitError
from cjkit.cleansing.forgetting import forget, plan_forgetting
from cjkit.cleansing.person import read_person
from cjkit.events import split_by
from cjkit.privacy import audit
from cjkit.project import Activation, HoldOut, read_project

AS_OF = "2026-02-01"
BEFORE, AFTER = 1_769_800_000, 1_780_000_000  # seconds: on either side of that day
SECTION = """
[activation]
hold_out = { share = 0.4, seed = 3 }
quiet = { within = "7D", events = ["send"] }
[activation.list]
target = "csv"
id = "mail"
[activation.other]
target = "hubspot"
id = "mail"
quiet = { within = "1D" }
"""


def activate_at(project, name, seconds=BEFORE):
    """Activate at a time of the clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: seconds * 10**9)
        return activate(project, name, as_of=AS_OF)


def draw_shop(seed, people=150):
    """Draw people with what decides about them; return the files, and what must become of each."""
    dice = random.Random(seed)
    files = {name: [text.splitlines()[0]] for name, text in FILES.items()}
    expected = {}
    for number in range(people):
        login, mail = f"u{number}", f"u{number}@x.jp" if dice.random() < 0.8 else ""
        files["crm"].append(f"{login},{mail},,,,,,,")
        latest = {}
        for _ in range(dice.choice([0, 1, 1, 2, 3])):
            named = dice.choice(["login", "mail"]) if mail else "login"
            ids = f"{login}," if named == "login" else f",{mail}"
            day = dice.randint(1, 28)
            answer = dice.choice(["yes", "yes", "no"])
            files["consent"].append(f"{ids},marketing,{answer},2025-03-{day:02} 00:00:00")
            # Of one id the latest record counts, and of two at one time the denial.
            latest[named] = max(
                latest.get(named, (0, "")), (day, "b-no" if answer == "no" else "a")
            )
        agreed = bool(latest) and all(said == "a" for _, said in latest.values())
        sent = dice.choice([None, None, 10, 24, 25, 31])
        if sent is not None:
            files["hits"].append(f"2026-01-{sent:02} 00:00:00,{login},,,send,,,outbound")
        expected[login] = (
            "without_consent" if not agreed
            else "without_id" if not mail
            else "recently_contacted" if sent in (25, 31)
            else "eligible"
        )  # fmt: skip
    files["hits"].append("2026-01-31 10:00:00,u0,,,view,p1,,")
    files["shop"].append("o1,2026-01-10 11:00:00,u0,p1,lamp,1,100,sale,")
    return {name: "\n".join(lines) for name, lines in files.items()}, expected


def check_conservation(folder, seed):
    files, expected = draw_shop(seed)
    project = read_project(write_shop(folder, SECTION, files))
    done = activate_at(project, "list")
    counts = done.counts
    assert counts["chosen"] == len(expected) == sum(counts.values()) - counts["chosen"]
    for outcome in ("without_consent", "without_id", "recently_contacted"):
        assert counts[outcome] == list(expected.values()).count(outcome), outcome
    written = set(done.files[0].read_text().splitlines()[1:])
    eligible = {f"{login}@x.jp" for login, outcome in expected.items() if outcome == "eligible"}
    assert written < eligible
    assert len(eligible) == counts["written"] + counts["held_out"]
    assert 0.2 < counts["held_out"] / len(eligible) < 0.6
    return project, written, eligible


def read_arms(project, experiment):
    """Return the arms of an experiment by customer, as the log has them."""
    log = cleansing.open(project.path, as_of=AS_OF)
    found = log.assignments.engine.query(
        f"select customer_id, arm, source from assignments where experiment = '{experiment}'"
    )
    log.engine.close()
    return dict(zip(found["customer_id"], found["arm"], strict=True))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return check_conservation(tmp_path_factory.mktemp("drawn"), 1)


def test_everybody_has_one_outcome_and_no_other(drawn):
    project, written, eligible = drawn
    arms = read_arms(project, "list")
    assert list(arms.values()).count("audience") == len(written)
    assert list(arms.values()).count("hold_out") == len(eligible) - len(written)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
def test_everybody_has_one_outcome_in_many_logs(tmp_path, seed):
    check_conservation(tmp_path, seed)


def test_the_effect_can_be_measured_by_arm(drawn):
    log = cleansing.open(drawn[0].path, as_of=AS_OF)
    arms = "select customer_id, arm from assignments where experiment = 'list'"
    log.engine.materialize("arms", arms)
    found = split_by(log.events, "arms.arm")
    assert set(found.values) <= {"audience", "hold_out", "(missing)"}
    assert {"audience", "hold_out"} <= set(found.values)
    log.engine.close()


def test_the_same_people_are_kept_aside_everywhere_and_stay_there(drawn):
    project, written, eligible = drawn
    before = read_arms(project, "list")
    again = activate(project, "list", as_of=AS_OF)
    assert set(again.files[0].read_text().splitlines()[1:]) == written
    other = activate(project, "other", as_of=AS_OF)  # fewer are left alone there
    theirs = set(other.files[0].read_text().splitlines()[1:])
    assert theirs & eligible == written
    hold_out = {"hold_out": HoldOut(share=0.9, seed=4)}
    asked = replace(project, activating=project.activating.model_copy(update=hold_out))
    changed = activate(asked, "list", as_of=AS_OF)
    assert set(changed.files[0].read_text().splitlines()[1:]) == written
    assert read_arms(project, "list") == before
    assert set(before.values()) == {"audience", "hold_out"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return the folder of a shop whose log is made."""
    folder = tmp_path_factory.mktemp("prepared")
    cleansing.prepare(write_shop(folder, SECTION.replace("0.4", "0.0")), as_of=AS_OF)
    return folder


@pytest.fixture
def small(prepared, tmp_path):
    """Return a shop of one's own."""
    folder = shutil.copytree(prepared, tmp_path / "shop")
    return read_project(folder / "journey.toml")


def test_an_assignment_follows_a_person_and_goes_with_them(small):
    activate_at(small, "list")
    activate_at(small, "other", AFTER)
    assert len(read_arms(small, "list")) == 3  # ann, fay, gus
    assert not read_arms(small, "other")  # what comes after the log's end
    crm = small.folder / "in" / "crm.csv"
    crm.write_text(crm.read_text("utf-8") + "ann,fay@x.jp,,,,,,,\n", encoding="utf-8")  # one now
    assert len(read_arms(small, "list")) == 2
    held = read_person(small, "login:ann")
    theirs = held.saved["assignments"]
    assert sorted(theirs["experiment"]) == ["list", "list", "other", "other"]
    assert set(theirs["arm"]) == {"audience"}
    todo = plan_forgetting(small, ["login:ann"])
    assert todo.traces.counts["assignments"] == 4
    forget(small, todo)
    assert len(read_arms(small, "list")) == 1  # gus


def test_forget_lists_the_files_that_may_hold_someone(small, capsys):
    activate(small, "list", as_of=AS_OF)
    assert find_files(small) == ["activation/list"]
    assert main(["forget", str(small.path), "--customer", "login:ann", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"assignments +1\n", told)
    assert "  activation/list\n" in told


def test_a_run_that_fails_in_the_middle_leaves_all_as_it_was(small, monkeypatch):
    done = activate(small, "list", as_of=AS_OF)
    folder = small.folder / "activation"
    before = done.files[0].read_bytes()
    lines = audit.verify(small).lines

    def fail(cell):
        if cell == "fay@x.jp":
            raise OSError(28, os.strerror(28))
        return cell or ""

    monkeypatch.setattr(writing, "_quoted", fail)
    for name in ("list", "other"):
        with pytest.raises(CjkitError, match="cannot be written"):
            activate(small, name, as_of=AS_OF)
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "list"]
    assert done.files[0].read_bytes() == before
    (folder / "partial-list").mkdir()  # as a killed run leaves it
    assert find_files(small) == ["activation/list", "activation/partial-list"]
    commands = [line["command"] for line in audit.read(small)[lines:]]
    assert "activate" not in commands
    assert not read_arms(small, "other")
    monkeypatch.undo()
    activate(small, "list", as_of=AS_OF)
    assert find_files(small) == ["activation/list"]


def test_the_audit_log_tells_counts_and_no_person(small):
    done = activate(small, "list", as_of=AS_OF)
    (line,) = [line for line in audit.read(small) if line["command"] == "activate"]
    assert line["parameters"] == {"activation": "list", **done.counts}
    assert audit.verify(small).fault is None


def test_the_command_prints_what_became_of_everybody(small, capsys, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)  # nothing is sent
    status = main(["activate", str(small.path), "list", "--as-of", AS_OF])
    told = capsys.readouterr().out.splitlines()
    assert status == 0
    assert told[0].split() == ["chosen", "8"]
    numbers = [int(line.split()[-1]) for line in told[:7]]
    assert numbers[0] == sum(numbers[1:])
    assert told[7].split() == ["rows", "3"]
    assert told[8].endswith("activation/list/people.csv")
    assert len(told) == 9


def test_only_people_of_a_segment(small, capsys):
    with pytest.raises(CjkitError, match=r"report journey\.toml --only 02_segmentation"):
        activate(small, "list", segments=["gold"], as_of=AS_OF)
    log = cleansing.open(small.path, as_of=AS_OF)
    made = "select customer_id, tier as segment, 'new' as lifecycle from customers"
    log.save("segments", log.engine.materialize("made", made))
    log.engine.close()
    done = activate(small, "list", segments=["gold"], as_of=AS_OF)
    assert done.counts["chosen"] == 4
    assert done.files[0].read_text().splitlines() == ["id", "ann.lee@example.com"]
    assert activate(small, "list", segments=["lifecycle.new"], as_of=AS_OF).counts["chosen"] == 8
    with pytest.raises(CjkitError, match=r"segment 'golden' is not in .* Did you mean 'gold'"):
        activate(small, "list", segments=["golden"], as_of=AS_OF)
    with pytest.raises(CjkitError, match=r"view 'lifecicle' is not in .* Did you mean 'lifecycle'"):
        activate(small, "list", segments=["lifecicle.new"], as_of=AS_OF)


def test_the_newest_id_that_fits_is_the_one_in_use(small):
    hits = small.folder / "in" / "hits.csv"
    rows = [
        "2026-01-20 10:00:00,ann,ann.new@x.jp,,view,p1,,",
        "2026-01-21 10:00:00,ann,ann.last@x..jp,,view,p1,,",
    ]
    hits.write_text(hits.read_text("utf-8") + "\n".join(rows) + "\n", encoding="utf-8")
    assert "ann.last@x..jp" in activate(small, "list", as_of=AS_OF).files[0].read_text()
    assert "ann.new@x.jp" in activate(small, "other", as_of=AS_OF).files[0].read_text()


def test_the_latest_private_field_that_is_there_counts(small):
    crm = small.folder / "in" / "crm.csv"
    crm.write_text(crm.read_text("utf-8") + "ann,,,,,Lee-Ray,,,\n", encoding="utf-8")
    columns = {name: {"private": name} for name in ("first", "last", "zip")}
    given = Activation(target="csv", id="mail", columns=columns)
    done = activate(replace(small, activation={"list": given}), "list", as_of=AS_OF)
    assert "ann.lee@example.com,Ann,Lee-Ray,150-0001\n" in done.files[0].read_text("utf-8")


def test_a_purpose_that_nobody_was_asked_about_is_said(small):
    asked = replace(small, activating=small.activating.model_copy(update={"purpose": "marketng"}))
    with pytest.raises(CjkitError, match=r"purpose 'marketng' is not in .* mean 'marketing'"):
        activate(asked, "list", as_of=AS_OF)


WRONG = """
[activation]
holdout = 0.1
quiet = { within = "7", events = ["sent"] }
[activation.list]
target = "csv"
events = { veiw = "View" }
hold_out = { share = 1.5 }
columns = { x = { value = "a", id = "mail" } }
"""
UNFIT = """
[activation."a/b"]
[activation.hubspto]
id = "mail"
[activation.google_customer_match]
id = "cookie"
columns = { Emial = "tier", Phone = { id = "tell" }, Zip = { private = "zipp" } }
[activation.algolia_events]
events = { view = "veiw" }
[activation.personalize_interactions]
id = "login"
[activation.personalize_items]
id = "login"
[activation.personalize_users]
id = "login"
[activation.meta_custom_audience]
id = "customer_id"
[activation.salesforce_campaign_members]
id = "sf"
id_column = "ContactID"
columns = { "ContactID" = "tier" }
[activation.meta]
target = "meta_custom_audience"
id = "mail"
columns = { country = { value = "Japan" } }
"""


def test_a_wrong_section_is_refused_with_all_its_faults(tmp_path):
    with pytest.raises(CjkitError) as caught:
        read_project(write_shop(tmp_path, WRONG))
    for part in (
        "activation.holdout is not known. Did you mean 'hold_out'?",
        "activation.quiet.within='7'",
        "activation.list.hold_out.share=1.5",
        "give one of column, private, id and value",
    ):
        assert part in str(caught.value), f"{part!r} is not in:\n{caught.value}"


def test_what_does_not_fit_a_target_is_said_by_check(tmp_path, capsys):
    path = write_shop(tmp_path, UNFIT)
    assert main(["check", str(path)]) == 1
    told = capsys.readouterr().err
    for part in (
        "activation.'a/b': files stand in a folder of its name",
        "target 'hubspto' is not in cjkit. Did you mean 'hubspot'?",
        "google_customer_match.id='cookie' is no strong namespace of [identity].",
        "columns.Emial is no column of it. Did you mean 'Email'?",
        "columns.Phone.id='tell' is no strong namespace of [identity]. Did you mean 'tel'?",
        "columns.Zip.private='zipp' is no private field of the mappings. Did you mean 'zip'?",
        "algolia_events.id is missing: by which namespace of [identity] does Algolia Insights",
        "interactions.events is missing: say what goes by which name, as { purchase = 'Purchase' }",
        "algolia_events.columns.index is missing: the target needs it.",
        "events.view='veiw' is no event. Did you mean 'view'?",
        "personalize_items.id='login': no people are in it.",
        "personalize_users.columns must add 1 or more.",
        "meta_custom_audience.id='customer_id' is not what email takes",
        "columns.ContactID is the id's own: say it by id.",
        "salesforce_campaign_members.columns.CampaignId is missing",
        "meta.columns.country='Japan' is not what Meta Custom Audiences takes there.",
    ):
        assert part in told, f"{part!r} is not in:\n{told}"
    with pytest.raises(CjkitError, match=r"activation 'personalize' is not in \[activation\]"):
        activate(read_project(path), "personalize")


def test_a_column_that_the_log_lacks_is_said_with_the_nearest(small):
    given = Activation(id="mail", columns={"tier": "teir"})
    project = replace(small, activation={"csv": given})
    with pytest.raises(CjkitError, match=r"column 'teir' is not in the persons.* Did you mean 'ti"):
        activate(project, "csv", as_of=AS_OF)


def test_where_ids_are_plain_they_come_from_the_log(tmp_path):
    path = companies.make_company(
        tmp_path,
        {
            "crm.csv": "login, mail, joined, region, kind\nann, ann@x.jp, 2024-01-01, west,\n"
            "bob, bob@x.jp, 2024-01-01, east,",
            "hits.csv": "id, at, login, event, channel, direction, ref\n"
            "1, 2026-01-01 10:00:00, ann, view, , ,",
            "consent.csv": "login, cookie, purpose, answer, at\nann, , marketing, yes, 2025-01-01",
        },
        more='[activation.csv]\nid = "mail"\n',
    )
    done = activate(read_project(path), "csv", as_of=AS_OF)
    assert done.counts["chosen"] == 2
    assert done.files[0].read_text() == "id\nann@x.jp\n"
