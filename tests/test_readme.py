"""README: its first project file works as it stands, with a draft of `map` beside it."""

import re
from pathlib import Path

from cjkit import __main__ as command

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
CLICKS = "time,user,action\n2026-03-01 10:00:00,u1,visit\n2026-03-01 10:05:00,u1,order\n"


def test_the_first_hour_goes_as_it_says(tmp_path, capsys):
    (tmp_path / "exports").mkdir()
    export = tmp_path / "exports" / "clicks.csv"
    export.write_text(CLICKS, encoding="utf-8")
    assert command.main(["map", str(export)]) == 0
    (tmp_path / "clicks.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    project = tmp_path / "journey.toml"
    written = re.search(r"```toml\n(\[project\]\n.*?)```", README, flags=re.DOTALL)[1]
    project.write_text(written, encoding="utf-8")
    assert command.main(["check", str(project)]) == 0, capsys.readouterr().err
    assert command.main(["prepare", str(project)]) == 0, capsys.readouterr().err


def test_what_check_says_is_what_the_first_hour_explains(tmp_path, capsys):
    written = re.search(r"```toml\n(\[project\]\n.*?)```", README, flags=re.DOTALL)[1]
    project, mapping = tmp_path / "journey.toml", tmp_path / "clicks.toml"
    mapping.write_text("", encoding="utf-8")
    for old, new, said in (
        ("[events.order]", "[events.bought]", "is no event of this file"),
        ('missing = "allow"', "", "consent.missing is missing"),
        ('"./clicks.toml"', '"clicks.toml"', "is no mapping that comes with cjkit"),
        ("exports/clicks", "export/clicks", "finds no file in"),
    ):
        assert said in README
        project.write_text(written.replace(old, new), encoding="utf-8")
        assert command.main(["check", str(project)]) == 1
        assert said in capsys.readouterr().err
