import errno
import re

import pytest
import report_shop as shop

from cjkit import __main__ as command
from cjkit.checks import CjkitError


def run(capsys, *arguments):
    """Run a command; return its status, output and what it told on standard error."""
    status = command.main([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.fixture
def project(tmp_path):
    shop.write_notebook(tmp_path / "one.ipynb", [shop.code(shop.SHOWN)])
    return shop.write_shop(tmp_path, "one")


@pytest.mark.parametrize("name", ["report", "sample", "prepare", "check", "runs"])
def test_each_command_explains_itself(capsys, name):
    with pytest.raises(SystemExit) as end:
        command.main([name, "--help"])
    assert end.value.code == 0
    assert "usage: python -m cjkit " + name in capsys.readouterr().out


def test_help_lists_commands_examples_and_statuses(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    told = capsys.readouterr().out
    for part in ("report", "sample", "prepare", "check", "runs", "examples:", "exit status:"):
        assert part in told


@pytest.mark.parametrize("wrong", [[], ["repotr"], ["report", "--as-of", "soon"]])
def test_a_wrong_command_ends_with_2(capsys, wrong):
    with pytest.raises(SystemExit) as end:
        command.main(wrong)
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_an_error_is_one_message_without_traceback(capsys, tmp_path):
    status, out, err = run(capsys, "report", tmp_path / "nothing.toml")
    assert status == 1
    assert out == ""
    assert err.startswith("cjkit: There is no project file")
    assert "Traceback" not in err


def test_a_report_prints_the_page_to_open_and_is_listed(capsys, project, tmp_path):
    output = tmp_path / "published"
    status, out, err = run(capsys, "report", project, "--output", output, "--language", "en")
    assert status == 0, err
    index = out.strip()
    assert index.startswith(str(output / "shop"))
    assert index.endswith("index.html")
    assert "one" in err
    assert "published" in err
    status, out, _ = run(capsys, "runs", project, "--output", output)
    assert status == 0
    assert re.match(r"\* \d{4}-\d\d-\d\dT\d{6}Z  as of 2026-04-01  1 notebook  \d+ s\n$", out)


def test_the_parts_of_a_report_command_reach_the_run(monkeypatch, project):
    from cjkit.report import run as runner

    seen = {}
    monkeypatch.setattr(
        runner, "run_report", lambda project, **options: seen.update(options) or _stop()
    )

    def _stop():
        raise CjkitError("stopped")

    arguments = ["report", str(project), "--only", "one", "--only", "two", "--set", "top=3"]
    arguments += ["--set", "steps=a,b", "one.x=1=2", "--language", "both", "--jobs", "4"]
    assert command.main([*arguments, "--as-of", "2026-03-01", "--cell-timeout", "9", "--pdf"]) == 1
    assert seen["only"] == ["one", "two"]
    assert seen["settings"] == {"top": "3", "steps": "a,b", "one.x": "1=2"}
    assert seen["languages"] == ("en", "ja")
    assert (seen["jobs"], seen["cell_timeout"], seen["pdf"]) == (4, 9.0, True)
    assert seen["as_of"].isoformat() == "2026-03-01"


def test_a_setting_without_a_value_is_refused(capsys, project):
    status, _, err = run(capsys, "report", project, "--set", "top")
    assert status == 1
    assert "write PARAM=VALUE" in err


def test_prepare_makes_the_log_and_then_finds_it(capsys, project):
    status, out, err = run(capsys, "prepare", project)
    assert status == 0
    assert "as of 2026-04-01: made" in err
    again = run(capsys, "prepare", project)
    assert again[1] == out
    assert "nothing has changed" in again[2]


def test_check_says_what_would_be_read_and_run(capsys, project):
    status, out, err = run(capsys, "check", project)
    assert status == 0, err
    assert re.search(r"^web +1 file .* Web$", out, flags=re.MULTILINE)
    assert "notebook one" in out
    assert "left out 04_lifetime_value" in out


def test_check_lists_all_faults_of_files_mappings_and_notebooks(capsys, project):
    text = project.read_text(encoding="utf-8")
    text = text.replace("web.csv", "wbe.csv").replace('login = "user" }', 'logn = "user" }', 1)
    project.write_text(text.replace("./one", "./noe"), encoding="utf-8")
    status, _, err = run(capsys, "check", project)
    assert status == 1
    assert "finds no file" in err
    assert "Did you mean 'login'" in err
    assert "./noe.ipynb" in err


def test_check_warns_of_values_without_words(capsys, project):
    text = project.read_text(encoding="utf-8")
    project.write_text(text + '[touchpoints.counter]\nplace = "offline"\n', encoding="utf-8")
    status, _, err = run(capsys, "check", project)
    assert status == 0
    assert "warning: [names.touchpoint.counter] has no words in ja and en." in err


def test_a_sample_of_too_few_is_refused(capsys, tmp_path):
    status, _, err = run(capsys, "sample", tmp_path, "--customers", "3")
    assert status == 1
    assert "customers=3" in err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "page.html"), "the disk is full"),
        (
            PermissionError(errno.EACCES, "Permission denied", "reports"),
            "Permission denied: reports",
        ),
    ],
)
def test_what_the_machine_refuses_is_said_in_a_line(capsys, monkeypatch, project, error, said):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(command, "prepare", refuse)
    status, _, err = run(capsys, "prepare", project)
    assert status == 1
    assert said in err
    assert err.count("\n") == 1
