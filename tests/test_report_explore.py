import asyncio

import pandas as pd
import pytest

from cjkit import explore, labels
from cjkit.checks import CjkitError
from cjkit.report.explore import DELAY


def parts(explorer):
    controls, told, page = explorer.children
    return {control.description: control for control in controls.children}, told, page


def count_rows(rows, calls):
    calls.append(rows)
    if rows < 0:
        raise CjkitError("rows < 0 & that is wrong")
    return pd.DataFrame({"number": range(10 // rows)})


def make_explorer(calls, **choices):
    return parts(explore("ask({rows}, calls)", {"ask": count_rows, "calls": calls}, **choices))


def test_it_shows_the_call_and_its_result_and_follows_its_controls():
    calls = []
    picks, told, page = make_explorer(calls, rows=[2, 5])
    assert told.value == "<code>ask(2, calls)</code>"
    assert "5 rows" in page.value
    picks["rows"].value = 5
    assert told.value == "<code>ask(5, calls)</code>"
    assert "2 rows" in page.value
    assert calls == [2, 5]


def test_what_fails_is_said_in_place_of_a_result():
    picks, _, page = make_explorer([], rows=(-5, 5, 1))
    picks["rows"].value = -1
    assert "rows &lt; 0 &amp; that is wrong" in page.value
    picks["rows"].value = 0
    assert "ZeroDivisionError: integer division or modulo by zero" in page.value
    picks["rows"].value = 5
    assert "2 rows" in page.value


def test_quick_changes_make_one_call_and_a_mark_says_that_it_works():
    labels.set_languages(["ja", "en"])

    async def move():
        calls = []
        picks, told, page = make_explorer(calls, rows=(1, 9, 1))
        for rows in (6, 7, 8):
            picks["rows"].value = rows
            await asyncio.sleep(0)
        assert "計算しています" in told.value
        assert "cj-waiting" in page._dom_classes
        assert calls == [5]
        while "cj-waiting" in page._dom_classes:
            await asyncio.sleep(DELAY / 10)
        assert calls == [5, 8]
        assert told.value == "<code>ask(8, calls)</code>"

    asyncio.run(move())


def test_two_explorers_share_no_id():
    pages = [make_explorer([], rows=[1])[2].value for _ in range(2)]
    keys = {page.split('class="cj-result" id="')[1].split('"')[0] for page in pages}
    assert len(keys) == 2


def test_what_can_be_no_control_is_refused():
    with pytest.raises(CjkitError, match="rows=None can be no control"):
        explore("ask({rows})", {}, rows=None)
