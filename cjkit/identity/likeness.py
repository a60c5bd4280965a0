"""Links between people who share no id: how alike their private fields are.

The model is that of Fellegi and Sunter (1969), as the library splink estimates it: how often each
degree of likeness is found in records of one person, and how often by chance. What it reads stands
in memory only, in an engine of its own that can write no file and reach no network. Who denied
consent is read, too: this is how a denial reaches the records of the same person that share no id.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, column
from cjkit.project import Likeness

_MOST_PAIRS = 1_000_000
"""Pairs drawn to learn how often fields agree by chance."""

_CERTAIN_RECALL = 0.7
"""The share of all true pairs that agree in two fields of different kinds, as splink's tutorial
assumes; it moves the prior only, and so all probabilities a little."""

_PLACE = ("person_key", "landed", "record_no")


def find_alike(
    details: Iterable[pd.DataFrame],
    rules: Likeness,
    *,
    threads: int | None = None,
    memory: str | None = None,
) -> pd.DataFrame:
    """Find pairs of records that are alike enough to be of one person.

    Parameters
    ----------
    details : iterable of DataFrame
        `person_key`, `landed`, `record_no` and private fields; a field of `rules` that a frame
        lacks is missing in its records. A record with fewer than two of them is left out.
    rules : Likeness
        `[identity.likeness]` of the project.
    threads, memory : optional
        What the engine may take. One thread where not given: the result is then the same to the
        last digit, run for run.

    Returns
    -------
    DataFrame
        `key_a`, `key_b` (person keys of two different ids), `landed`, `record_no` (of a record of
        `key_a`), `probability` (at least `threshold`); likeliest first, one row for each pair of
        keys.

    Raises
    ------
    CjkitError
        When splink is not installed, no record has two of the fields, or the blocks hold too few
        pairs to learn from.
    """
    splink = _import_splink()
    engine = DuckDB(threads=threads or 1, memory=memory, is_sealed=True)
    try:
        names = list(rules.columns)
        engine.write_table("details", _chosen(details, names))
        fields = ", ".join(map(column, names))
        known = " + ".join(f"({column(name)} is not null)::int" for name in names)
        records = engine.materialize(
            "records",
            f"""select row_number() over (order by person_key, {fields}) as unique_id, *
                from (select person_key, {fields}, min(landed) as landed,
                        arg_min(record_no, (landed, record_no)) as record_no
                    from details where {known} >= 2 group by person_key, {fields}) as distinct_""",
        )
        if records.count() < 2:
            raise CjkitError(
                "identity.likeness: fewer than two records have two of the fields "
                f"{', '.join(map(repr, names))}. Name fields of [private] of the mappings."
            )
        with _quiet():
            pairs = _predict(splink, engine, rules)
        return engine.query(
            f"""select key_a, key_b, first(landed order by landed, record_no) as landed,
                    first(record_no order by landed, record_no) as record_no,
                    max(probability) as probability
                from (select least(l.person_key, r.person_key) as key_a,
                        greatest(l.person_key, r.person_key) as key_b,
                        case when l.person_key <= r.person_key then l.landed else r.landed end
                            as landed,
                        case when l.person_key <= r.person_key then l.record_no
                            else r.record_no end as record_no,
                        match_probability as probability
                    from {column(pairs)} as pairs
                    join records as l on l.unique_id = pairs.unique_id_l
                    join records as r on r.unique_id = pairs.unique_id_r
                    where l.person_key <> r.person_key) as alike
                group by key_a, key_b order by probability desc, key_a, key_b"""
        )
    finally:
        engine.close()


def accept(probabilities: pd.Series[float], expected_precision: float) -> int:
    """Return how many links to accept of those given, likeliest first.

    That is the largest number whose mean probability is at least `expected_precision`: the share of
    them that the model expects to be right.

    Examples
    --------
    >>> accept(pd.Series([0.99, 0.97, 0.5]), 0.95)
    2
    """
    expected = probabilities.to_numpy(float).cumsum() / np.arange(1, len(probabilities) + 1)
    return int((expected >= expected_precision).sum())


def _import_splink() -> Any:
    try:
        import splink
        import splink.comparison_library
    except ImportError as error:
        raise CjkitError(
            "[identity.likeness] needs the library splink: pip install cjkit[identity]."
        ) from error
    return splink


def _chosen(details: Iterable[pd.DataFrame], names: list[str]) -> Iterator[pd.DataFrame]:
    """Give the frames with the fields that are compared, all text."""
    yield pd.DataFrame(columns=[*_PLACE, *names]).astype(
        dict.fromkeys(["person_key", "landed", *names], "str") | {"record_no": "int64"}
    )
    for frame in details:
        chosen = frame.reindex(columns=[*_PLACE, *names])
        yield chosen[chosen["person_key"].notna()].astype(dict.fromkeys(names, "str"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep splink's progress out of logs; its loggers each have a level of their own."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _predict(splink: Any, engine: DuckDB, rules: Likeness) -> str:
    """Train the model on table `records`, and return the name of the table of likely pairs."""
    blocks = [splink.block_on(*block) for block in rules.blocks]
    settings = splink.SettingsCreator(
        link_type="dedupe_only",
        comparisons=[_comparison(splink, name, kind) for name, kind in rules.columns.items()],
        blocking_rules_to_generate_predictions=blocks,
    )
    api = splink.DuckDBAPI(connection=engine.connection)
    linker = splink.Linker(api.register("records"), settings)
    certain = [
        splink.block_on(a, b)
        for (a, kind), (b, other) in combinations(rules.columns.items(), 2)
        if kind != other and "category" not in (kind, other)
    ]
    learn = linker.training
    try:
        learn.estimate_probability_two_random_records_match(certain, recall=_CERTAIN_RECALL)
        learn.estimate_u_using_random_sampling(max_pairs=_MOST_PAIRS, seed=rules.seed)
        for block in blocks:
            learn.estimate_parameters_using_expectation_maximisation(
                block, estimate_without_term_frequencies=True
            )
        found = linker.inference.predict(threshold_match_probability=rules.threshold)
    except splink.internals.exceptions.SplinkException as error:
        raise CjkitError(
            f"identity.likeness: splink cannot learn from these records: {error}"
        ) from error
    return str(found.physical_name)


def _comparison(splink: Any, name: str, kind: str) -> Any:
    library = splink.comparison_library
    if kind == "name":
        return library.NameComparison(name)
    if kind == "email":
        return library.EmailComparison(name)
    if kind == "category":
        return library.ExactMatch(name).configure(term_frequency_adjustments=True)
    return library.LevenshteinAtThresholds(name, [1, 3] if kind == "address" else 1)
