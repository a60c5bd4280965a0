import base64
import datetime
import io
import re

import pytest
from fontTools.ttLib import TTFont
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cjkit.report.chapters import read_chapter, read_heading
from cjkit.report.export import Edition, write_page

BOTH = {"en": "Tea", "ja": "お茶"}


def make_page(cells, language="en", **about):
    """Return the page of a notebook whose outputs are given."""
    python = {"name": "python", "pygments_lexer": "python3"}
    notebook = new_notebook(cells=cells, metadata={"language_info": python, "cjkit": about})
    heading = read_heading("tea", notebook)
    chapter = read_chapter(heading, notebook, {"path": "/a/secret/folder/file.toml"}, 1.0, {})
    made_at = datetime.datetime(2026, 4, 1, tzinfo=datetime.UTC)
    edition = Edition(BOTH, ("en", "ja"), "run", made_at, BOTH, BOTH, BOTH, (heading,))
    return write_page(chapter, edition, language)


def cell(*outputs, source="pass"):
    return new_code_cell(source, outputs=list(outputs))


def test_a_control_is_replaced_by_a_note_and_scripts_are_dropped():
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "Slider"}
    script = {"application/javascript": "steal()"}
    html = make_page([cell(new_output("display_data", widget), new_output("display_data", script))])
    assert "This control works in JupyterLab" in html
    assert "steal()" not in html
    assert html.count("<script") == 1


@pytest.mark.parametrize(("language", "said"), [("en", "Image"), ("ja", "画像")])
def test_an_image_of_a_company_is_named_also_to_who_cannot_see_it(language, said):
    plain, named = new_output("display_data", {"image/png": "aa"}), cell()
    named.outputs = [new_output("display_data", {"image/jpeg": "bb"})]
    named.metadata["alt"] = "Our shop"
    html = make_page([cell(plain), named], language)
    assert re.findall(r'<img [^>]*alt="(.*?)"', html.replace("\n", " ")) == [said, "Our shop"]


def test_warnings_are_dropped_and_printed_lines_stay():
    html = make_page(
        [
            cell(
                new_output("stream", name="stderr", text="a warning"),
                new_output("stream", name="stdout", text="<b>a line</b>"),
            )
        ]
    )
    assert "a warning" not in html
    assert "&lt;b&gt;a line&lt;/b&gt;" in html


def test_a_page_without_title_and_question_is_called_by_its_name():
    html = make_page([new_markdown_cell("Some prose.")])
    assert "<h1>tea</h1>" in html
    assert "<title>tea – Tea</title>" in html


def test_a_title_is_not_said_twice():
    title = {"en": "Tea time", "ja": "お茶の時間"}
    html = make_page([new_markdown_cell("# Tea time\n\nWhen?")], title=title)
    assert html.count("Tea time</h1>") == 1
    assert "When?" in html


def test_a_path_of_the_machine_is_shown_by_its_name_alone():
    html = make_page([])
    assert "file.toml" in html
    assert "secret" not in html


def test_code_is_there_and_escaped():
    html = make_page([cell(source="x = '<b>'  # why")])
    assert "&lt;b&gt;" in html
    assert "# why" in html


@pytest.mark.parametrize(("language", "shown"), [("en", "Nine"), ("ja", "九つ")])
def test_prose_without_a_language_stands_on_both_pages(language, shown):
    cells = [
        new_markdown_cell("lead"),
        new_markdown_cell("Nine", metadata={"tags": ["en"]}),
        new_markdown_cell("九つ", metadata={"tags": ["ja"]}),
        new_markdown_cell("9"),
    ]
    html = make_page(cells, language)
    assert f"<p>{shown}</p>" in html
    assert "<p>9</p>" in html
    assert ("<p>Nine</p>" in html) == (language == "en")


def test_key_points_have_room_at_the_head_of_a_page_and_stand_in_their_order():
    def said(number, **more):
        about = {"key": f"r{number}", "language": "en", "finding": f"Finding {number}."} | more
        data = {"text/html": "<p></p>"}
        return cell(new_output("display_data", data, metadata={"cjkit": about}))

    html = make_page([*map(said, range(7)), said(7, key_point=True), said(8)])
    assert [number for number in range(9) if f"Finding {number}." in html] == [0, 1, 2, 3, 7]
    assert html.index("Finding 3.") < html.index("Finding 7.")


def test_characters_written_as_numbers_are_in_the_font_and_in_the_list_of_contents():
    html = make_page([new_markdown_cell("# 茶\n"), new_markdown_cell("## 布\n\n&#32110;")], "ja")
    assert '<a class="h2" href="#s1">布</a>' in html
    font = base64.b64decode(re.search(r"base64,(.*?)\)", html)[1])
    assert {ord("布"), 32110} <= TTFont(io.BytesIO(font)).getBestCmap().keys()
