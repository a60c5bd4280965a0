"""Damaged files are refused in our words, or every record is accounted for and none is lost."""

import pytest
from fuzz import check, make_case

from cjkit.engine import DuckDB


def run(seeds, folder):
    outcomes = {}
    engine = DuckDB(threads=1)
    for seed in seeds:
        case = make_case(seed)
        room = folder / str(seed)
        room.mkdir()
        try:
            outcome = check(case, room, engine)
        except BaseException as error:
            error.add_note(f"seed {seed}: {case.story}\n{case.how}\n{case.content[:2000]!r}")
            raise
        if outcome == "refused":  # an engine that met a fatal error is not asked again
            engine.close()
            engine = DuckDB(threads=1)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return outcomes


def test_damaged_files_are_refused_or_accounted_for(tmp_path):
    outcomes = run(range(300), tmp_path)
    assert outcomes["landed"] > outcomes["refused"] > 20


@pytest.mark.long
@pytest.mark.parametrize("slice_", range(20))
def test_ten_thousand_damaged_files(tmp_path, slice_):
    run(range(slice_ * 500, (slice_ + 1) * 500), tmp_path)
