"""What is new in a run, read from the manifests of this run and of those before."""

import pytest

from cjkit import privacy
from cjkit.report.changes import compare_runs, list_changes, other_parameters


def figure(key="funnel_rate", value=0.071, n=900, **given):
    about = {"key": key, "kind": "rate", "value": value, "n": n, "is_masked": value is None}
    return {**about, **given}


def run(name, *notebooks):
    return {
        "run": name,
        "made_at": f"{name}T02:00:00+09:00",
        "as_of": name,
        "notebooks": [
            {"name": page, "parameters": {"as_of": name, **parameters}, "headlines": figures}
            for page, parameters, figures in notebooks
        ],
    }


def test_only_figures_that_read_otherwise_are_listed():
    before = run("2026-03-01", ("funnel", {}, [figure(value=0.0712), figure("funnel_entered", 5)]))
    now = run("2026-03-02", ("funnel", {}, [figure(value=0.0713), figure("funnel_entered", 6)]))
    (change,) = list_changes(now, before, "en")
    assert change == {
        "page": "funnel",
        "figure": "Enter the funnel",
        "before": "500.0%",
        "now": "600.0%",
    }


def test_another_parameter_is_another_question():
    before = run("2026-03-01", ("funnel", {"within": "7D"}, [figure()]), ("new", {}, []))
    now = run("2026-03-02", ("funnel", {"within": "30D"}, [figure(value=0.5)]))
    assert list_changes(now, before, "en") == []
    assert other_parameters(now, before) == ["funnel"]
    assert other_parameters(before, before) == []


def test_a_figure_or_a_page_that_was_not_there_is_a_dash_or_no_change():
    before = run("2026-03-01", ("funnel", {}, []))
    now = run("2026-03-02", ("funnel", {}, [figure()]), ("value", {}, [figure()]))
    (change,) = list_changes(now, before, "ja")
    assert (change["before"], change["now"]) == ("–", "7.1%")


@pytest.mark.parametrize(("least", "shown"), [(0, "7.1%"), (5, "hidden")])
def test_what_is_hidden_today_is_hidden_of_earlier_runs_too(least, shown):
    privacy.set_min_cell(least)
    before = run("2026-03-01", ("funnel", {}, [figure(n=3)]))
    now = run("2026-03-02", ("funnel", {}, [figure(value=0.5, n=800)]))
    (change,) = list_changes(now, before, "en")
    assert (change["before"], change["now"]) == (shown, "50.0%")


def test_runs_stand_side_by_side_with_the_first_figure_of_each_notebook():
    now = run("2026-03-02", ("funnel", {}, [figure(), figure("funnel_entered", 5)]))
    past = [run("2026-03-01", ("funnel", {}, [figure(value=0.06)])), run("2026-02-28")]
    heads, runs = compare_runs(now, past, "en")
    assert len(heads) == 1
    assert [each["figures"] for each in runs] == [["7.1%"], ["6.0%"], ["–"]]
    assert runs[0]["when"] == "2026-03-02 02:00"
