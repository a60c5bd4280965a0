"""The workshop: made of the notebooks' exercises, each of which can be solved, and must be."""

import json
import re
from copy import deepcopy

import nbformat
import pytest

import cjkit
from cjkit.__main__ import main
from cjkit.checks import CjkitError
from cjkit.labels import LANGUAGES
from cjkit.report import plan
from cjkit.workshop import begin, checking, course, reading
from cjkit.workshop.answers import compare

pytestmark = pytest.mark.slow

CHAPTERS = reading.read_chapters()
NAMES = [chapter.name for chapter in CHAPTERS]
FILES = {str(path): text for path, text in course._files(CHAPTERS)}


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Return the course as `make workshop` writes it."""
    folder = tmp_path_factory.mktemp("workshop")
    assert not course.write_course(folder, say=lambda line: None).kept
    return folder


@pytest.fixture(scope="module")
def truth(workshop):
    """Return what is true of the workshop's company."""
    return json.loads((workshop / "data/sample/truth/truth.json").read_text(encoding="utf-8"))


class Run:
    """The code cells of a generated notebook, run here; `asked` is what its checks were told."""

    def __init__(self, path):
        self.scope, self.asked = {}, []
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(path.parent)
            patch.setattr(cjkit, "show", lambda *given, **options: None)
            for cell in nbformat.read(path, as_version=4).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, path.name, "exec"), self.scope)
                if cell.id == "begin":
                    self.check = self.scope["check"]
                    self.scope["check"] = self.record

    def record(self, number, answer):
        self.asked.append((number, answer, self.check(number, answer)))


def generated(name, place="en"):
    tail = f"_{name.lstrip('0123456789_')}.ipynb"
    return next(path for path in FILES if path.startswith(place) and path.endswith(tail))


@pytest.fixture(scope="module")
def solved(workshop):
    """Return the run of each chapter's solutions."""
    return {name: Run(workshop / generated(name, "solutions/ja")) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_solutions_pass_and_dots_do_not(workshop, solved, name):
    exercises = reading.read_chapter(name).exercises
    for run, is_right in ((solved[name], True), (Run(workshop / generated(name)), False)):
        asked = [(number, verdict.is_right) for number, _, verdict in run.asked]
        assert asked == [(exercise.number, is_right) for exercise in exercises]
    for exercise, (number, answer, verdict) in zip(exercises, solved[name].asked, strict=True):
        assert verdict.said[1] == exercise.story["ja"]
        other = {"answer": answer} if isinstance(answer, str) else -1
        assert not solved[name].check(number, other).is_right


def test_the_planted_stories_are_what_there_is_to_find(solved, truth):
    """Solutions are held against the truth, which they have not seen."""
    found = {
        (name, number): answer for name, run in solved.items() for number, answer, _ in run.asked
    }
    told = truth["stories"]
    pain, ads, loop = told["checkout_pain"], told["retargeting"], told["late_delivery_loop"]
    assert found["01_cleansing", 2] == 9
    assert found["03_funnel", 2] == pain["device"]
    assert found["03_funnel", 3] == pain["since"][:7]
    assert {"checkout", "call_center"} <= found["06_journey_map", 1]
    assert found["06_journey_map", 2] == "store_consultation"
    share, people = found["06_journey_map", 3]
    assert share == pytest.approx(loop["leaving_rate_loop"], abs=2 / people**0.5)
    credited = ads["last_touch_share_of_web_purchases"]
    assert found["last_touch", 1] == pytest.approx(credited, abs=0.03)
    arms = [ads["arms"][arm]["purchase_rate"] for arm in ("treatment", "control")]
    assert found["last_touch", 2] == pytest.approx(arms, abs=0.02)
    assert found["last_touch", 3] == "video"
    assert told["video"]["last_touch_share_of_web_purchases"] == 0
    # An order can be lost by somebody who buys in the end, and somebody can lose several.
    assert 0.2 * pain["lost_orders"] < found["capstone", 1] < pain["lost_orders"]
    decided = {"mend": "checkout", "cut": "retargeting", "grow": "video"}
    assert found["capstone", 2] == decided | {"train": "store_consultation"}


def test_hints_grow_with_wrong_answers_and_never_tell(workshop):
    for language in LANGUAGES:
        run = Run(workshop / generated("03_funnel", language))
        hints = run.check._chapter.exercises[1].hints[language]
        assert len(hints) == 3
        said = []
        for guess in ("desktop", "desktop", "Tablet", 3, "iPhone"):
            said.append(run.check(2, guess))
            assert "android" not in repr(said[-1]).lower()
        shown = [[hint for hint in hints if hint in repr(verdict)] for verdict in said]
        assert [len(one) for one in shown] == [1, 1, 2, 3, 3]
        assert "solutions" not in repr(said[3])
        assert "solutions" in repr(said[4])
        for right in ("android", " Android Phone", "Ａndroidスマートフォン"):
            assert run.check(2, right).is_right


def test_what_learners_change_does_not_change_what_is_right(workshop, solved):
    run = Run(workshop / generated("03_funnel"))
    run.scope["options"].clear()
    run.scope["steps"][:] = ["search", "login"]
    run.scope["measure_funnel"] = None
    for number, answer, _ in solved["03_funnel"].asked:
        assert run.check(number, answer).is_right


def test_a_verdict_is_escaped_and_says_its_language():
    verdict = checking.Verdict(False, ("Not yet.", "<script> `count(*)`, *not* `f(**x)`"), "en")
    html = verdict._repr_html_()
    assert "&lt;script&gt; <code>count(*)</code>, <i>not</i> <code>f(**x)</code>" in html
    assert 'lang="en"' in html


def test_the_course_is_the_same_each_time_and_whole_in_both_languages():
    assert {str(path): text for path, text in course._files(reading.read_chapters())} == FILES
    assert len(FILES) == 2 * (2 * len(NAMES) + 1)
    for path, text in FILES.items():
        language = "ja" if re.search(r"(^|/)ja\b", path) else "en"
        if path.endswith(".md"):
            prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL).splitlines()
        else:
            notebook = nbformat.reads(text, as_version=4)
            nbformat.validate(notebook)
            assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
            prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        told = [line for line in prose if re.search(r"[a-z]{3}", line)]
        kana = sum(bool(re.search("[\u3040-\u30ff]", line)) for line in told)
        assert kana == (len(told) if language == "ja" and path.endswith(".ipynb") else kana)
        assert language == "ja" or kana == 0, path


def test_learners_do_not_hold_the_solutions():
    for chapter in CHAPTERS:
        for language in LANGUAGES:
            held = nbformat.reads(FILES[generated(chapter.name, language)], as_version=4)
            text = "\n".join(cell.source for cell in held.cells)
            notes = FILES[f"instructor/{language}.md"]
            assert chapter.title[language] in notes
            for exercise in chapter.exercises:
                assert exercise.title[language] in text
                assert exercise.solution not in text
                for told in (*exercise.hints[language], exercise.story[language]):
                    assert told not in text
                    assert told in notes


def test_the_instructor_has_half_a_day():
    clock = re.findall(r"^\| (\d):(\d\d) \|", FILES["instructor/en.md"], re.MULTILINE)
    minutes = [60 * int(hours) + int(rest) for hours, rest in clock]
    assert minutes == sorted(minutes)
    assert minutes[0] == 0
    assert minutes[-1] == 240
    assert len(minutes) == len(NAMES) + 2


def test_answers_that_were_given_are_kept(workshop, tmp_path, capsys):
    (tmp_path / "data").symlink_to(workshop / "data")
    assert main(["workshop", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(tmp_path)
    assert "4 h 0 min" in said.err
    assert "kept" not in said.err
    given = tmp_path / "en" / "3_funnel.ipynb"
    given.write_text(given.read_text(encoding="utf-8").replace("answer = ...", "answer = 1"))
    own = given.read_text(encoding="utf-8")
    (tmp_path / "ja" / "3_funnel.ipynb").unlink()
    assert main(["workshop", str(tmp_path)]) == 0
    assert "kept en/3_funnel.ipynb, which holds changes" in capsys.readouterr().err
    assert given.read_text(encoding="utf-8") == own
    assert (tmp_path / "ja" / "3_funnel.ipynb").exists()


def test_reports_leave_exercises_out_and_nothing_else():
    left_out = {*plan.TASKS, "interactive"}
    for chapter in CHAPTERS:
        cells = chapter.notebook.cells
        kept = [cell.id for cell in cells if not reading.tags_of(cell) & left_out]
        assert [cell.id for cell in plan._runnable(deepcopy(chapter.notebook)).cells] == kept
        text = "\n".join(cell.source for cell in cells if cell.id in kept)
        assert "check(" not in text
        assert "cjkit.workshop" not in text
        assert not re.search(r"^#+ (Exercises|演習|\d+\.)", text, re.MULTILINE)


def test_a_notebook_that_comes_later_brings_its_chapter(tmp_path, monkeypatch):
    def prose(words, *tags):
        return [
            nbformat.v4.new_markdown_cell(words, metadata={"tags": [*tags, language]})
            for language in LANGUAGES
        ]

    def code(source, tag):
        new = {"exercise": nbformat.v4.new_code_cell, "solution": nbformat.v4.new_raw_cell}[tag]
        return new(source, metadata={"tags": [tag]})

    cells = [
        *prose("# Impact"),
        *prose("## Exercises\n### 1. One\nHow many?", "exercise"),
        code("answer = ...\ncheck(1, answer)", "exercise"),
        *prose("1. Count.\n2. Count again.", "solution", "hint"),
        code("answer = 2\ncheck(1, answer)", "solution"),
        *prose("Two.", "solution"),
    ]
    monkeypatch.setattr(reading, "kit_notebooks", lambda: tmp_path.glob("*.ipynb"))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "07_impact.ipynb")
    chapters = reading.read_chapters()
    names = [chapter.name for chapter in chapters]
    assert names == ["journey", "last_touch", "07_impact", "capstone"]
    assert (chapters[2].minutes, chapters[2].head) == (10, 2)
    assert chapters[2].exercises[0].hints["en"] == ("Count.", "Count again.")
    check = begin("07_impact", {}, language="en")
    assert [check(1, answer).is_right for answer in (..., 3, 2)] == [False, False, True]
    for left_out, lacks in ((4, "code of the exercise with check"), (5, "hint in en"), (7, "code")):
        kept = [cell for place, cell in enumerate(cells) if place != left_out]
        nbformat.write(nbformat.v4.new_notebook(cells=kept), tmp_path / "07_impact.ipynb")
        with pytest.raises(CjkitError, match=f"07_impact: exercise 1 lacks its {lacks}"):
            reading.read_chapters()


def test_errors_say_what_to_do():
    with pytest.raises(CjkitError, match="Did you mean '03_funnel'"):
        begin("03_funel", {})
    check = begin("capstone", {}, language="en")
    with pytest.raises(CjkitError, match="capstone has 1, 2"):
        check(3, 1)
    with pytest.raises(CjkitError, match=r"made for the sample company\. NameError"):
        check(1, 1)


@pytest.mark.parametrize(
    ("answer", "expected", "is_right", "remark"),
    [
        (100, 101.9, True, ""),
        (100, 103, False, "workshop_near"),
        (45, 0.45, False, "workshop_percent"),
        (0.0, 0.0, True, ""),
        (True, 1, False, "workshop_needs_number"),
        ("2", 2, False, "workshop_needs_number"),
        ("2025/10", "2025-10", True, ""),
        (2, "two", False, "workshop_needs_name"),
        (["B", "a"], {"a", "b"}, True, ""),
        ({"a", "b", "c"}, {"a", "b"}, False, "workshop_some_right"),
        ("ab", {"a", "b"}, False, "workshop_needs_set"),
        (3, {"a", "b"}, False, "workshop_needs_set"),
        ([1, 2.01], (1, 2), True, ""),
        ((2, 1), (1, 2), False, "workshop_some_right"),
        (1, (1, 2), False, "workshop_needs_several"),
        ({"x": "a", "z": 1}, {"x": "A", "y": "b"}, False, "workshop_some_right"),
        ("a", {"x": "a"}, False, "workshop_needs_dict"),
    ],
)
def test_answers_are_compared_by_their_kind(answer, expected, is_right, remark):
    found = compare(answer, expected, {})
    assert (found.is_right, found.remark if not is_right else "") == (is_right, remark)


@pytest.mark.long
@pytest.mark.parametrize("path", [path for path in FILES if path.endswith(".ipynb")])
def test_every_notebook_runs_in_a_kernel(workshop, path):
    from nbclient import NotebookClient

    notebook = nbformat.read(workshop / path, as_version=4)
    NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str((workshop / path).parent)}}
    ).execute()
    shown = [
        output.get("data", {}).get("text/plain", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if cell.cell_type == "code" and "check(" in cell.source and cell.id != "begin"
    ]
    verdicts = [text for text in shown if text[:1] in "✓✗…" and text]
    mark = "✓" if path.startswith("solutions") else "…"
    assert verdicts
    assert all(text.startswith(mark) for text in verdicts)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in NAMES if name[0].isdigit()])
def test_solutions_also_pass_at_the_end_of_the_analysis(workshop, monkeypatch, name):
    monkeypatch.chdir(workshop)
    monkeypatch.setattr(cjkit, "show", lambda *given, **options: None)
    monkeypatch.setattr(cjkit, "headline", lambda *given, **options: None)
    scope, verdicts = {}, []
    for cell in reading.read_chapter(name).notebook.cells:
        tags = reading.tags_of(cell)
        if cell.cell_type != "markdown" and "interactive" not in tags:
            exec(compile(cell.source, name, "exec"), scope)
        if reading.is_opening(cell):
            check = scope["check"]
            scope["check"] = lambda *given, check=check: verdicts.append(check(*given).is_right)
    assert verdicts == [False, True] * (len(verdicts) // 2)
    assert verdicts
