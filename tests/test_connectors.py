"""The table of systems in README says what ships, and no more than what was tested."""

import re
from pathlib import Path

from cjkit.activation import list_targets
from cjkit.sources import shipped_mappings

HOME = Path(__file__).parents[1]
ENDINGS = {"CSV": "csv", "JSON": "json", "NDJSON": "ndjson", "Parquet": "parquet"}


def rows(wanted="in"):
    """Return the rows of the table that go one way: names, kinds of files, what was tested."""
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    lines = readme.split("### Systems")[1].split("### ")[0].splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]
    for _, direction, named, files, tested in cells:
        assert direction in ("in", "out")
        if direction != wanted or "table" in files:  # of which any mapping reads
            continue  # tests/test_sources_databases.py
        yield re.findall("`(.+?)`", named), files.split(", "), tested


def read_tests(mapping):
    """Return the text of the tests in which a mapping is named."""
    found = []
    for path in sorted((HOME / "tests").glob("test_connectors_*.py")):
        for test in re.split(r"\n(?=def test_|@pytest)", path.read_text(encoding="utf-8")):
            folder, _, name = mapping.rpartition("/")
            names = [f'"{mapping}"', f'survey("{name}"' if folder == "survey" else f'"{mapping}"']
            if folder in ("salesforce", "zoho"):
                names += [f'show("{name}"', f'land("{name}"']
            if any(each in test for each in names):
                found.append(test)
    return "\n".join(found)


def test_every_mapping_stands_in_the_table_once():
    listed = [name for named, _, _ in rows() for name in named]
    assert len(listed) == len(set(listed))
    shipped = [name for name in shipped_mappings() if not name.startswith("sample/")]
    assert sorted(listed) == shipped


def test_every_target_stands_in_the_table_once():
    listed = [name for named, _, _ in rows("out") for name in named]
    assert sorted(listed) == list_targets()
    tests = "".join(
        path.read_text(encoding="utf-8")
        for path in sorted((HOME / "tests").glob("test_activation*.py"))
    )
    assert all(f"[activation.{name}]" in tests for name in listed)


def test_what_the_table_claims_was_tested():
    for named, files, tested in rows():
        texts = {name: read_tests(name) for name in named}
        assert all(texts.values()), named
        whole = "\n".join(texts.values())
        for kind in files:
            is_parquet = kind == "Parquet" and "given" in whole  # written by the test
            assert is_parquet or re.search(rf"\.{ENDINGS[kind]}\"", whole), (named, kind)
        folder = named[0].split("/")[0]
        if "native" in tested and "NPSP" not in tested:
            assert re.search(rf"\"({folder}|qualtrics)/\w+\.", whole), named
        if "warehouse" in tested:
            assert "/fivetran_" in whole, named
