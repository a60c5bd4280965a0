"""Make the whole sample company: check, generate part by part, and show it only when complete."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB, EngineError
from cjkit.synthetic import contacts, journeys, mail, people, sales, trade, truth, voice, web
from cjkit.synthetic.dice import Dice
from cjkit.synthetic.exports import Exports, prepare_truth

FEWEST, MOST = 100, 10_000_000
_MOST_NDJSON, _MOST_IN_MEMORY = 1_000_000, 5_000
_PEOPLE_A_PART = 250_000
_BYTES_A_PERSON = {"ndjson": 18_000, "parquet": 4_000}
_WORK_BYTES_A_PERSON = 20_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """What `make_sample` wrote.

    Attributes
    ----------
    exports : Path
        The folder of the exports, one folder below it for each system.
    truth : Path
        The folder of the truth: `truth.json` and Parquet tables.
    rows : dict of str to int
        The records of each file, by its path below `exports`.
    customers : int
        The true people.
    seed : int
        The seed that makes the same files again.
    seconds : float
        How long it took.
    """

    exports: Path
    truth: Path
    rows: dict[str, int]
    customers: int
    seed: int
    seconds: float


def make_sample(
    directory: str | Path,
    *,
    customers: int = 20_000,
    seed: int = 7,
    threads: int | None = None,
    memory: str | None = None,
) -> Sample:
    """Write the exports of a made-up Japanese retailer, and the truth about them.

    The same seed gives the same bytes, whatever the number of threads. The files appear only when
    all are complete: `exports` and `truth` of an earlier call are replaced as a whole.

    Parameters
    ----------
    directory : str or Path
        Gets the folders `exports` and `truth`; made where it does not exist.
    customers : int, default 20_000
        The number of true people, from 100 to 10,000,000. Above 1,000,000 the web hits are
        Parquet instead of NDJSON; above 250,000 files come in parts (`customers_part01.csv`).
    seed : int, default 7
        Another seed, another company with the same stories.
    threads : int, optional
        Threads of the engine; all cores where not given.
    memory : str, optional
        The most memory that the engine takes before it spills, such as '2GB'.

    Returns
    -------
    Sample

    Raises
    ------
    CjkitError
        When `customers` is out of range, or the folder cannot be written or has not the room.
    """
    if isinstance(customers, bool) or not isinstance(customers, int):
        raise CjkitError(f"customers={customers!r} must be a whole number.")
    if not FEWEST <= customers <= MOST:
        raise CjkitError(f"customers={customers} must be from {FEWEST:,} to {MOST:,}.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise CjkitError(f"seed={seed!r} must be a whole number.")
    started = time.perf_counter()
    target = Path(directory)
    work = _work_folder(target)
    try:
        _check_room(target, customers)
        rows = _write_company(work, customers, Dice(seed), threads, memory)
        _publish(work, target)
    except (OSError, EngineError) as error:
        raise CjkitError(f"The sample could not be written to {target}: {error}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Sample(
        exports=target / "exports",
        truth=target / "truth",
        rows=rows,
        customers=customers,
        seed=seed,
        seconds=time.perf_counter() - started,
    )


def estimate_bytes(customers: int) -> int:
    """Return about how many bytes the files of a sample take."""
    return customers * _BYTES_A_PERSON["ndjson" if customers <= _MOST_NDJSON else "parquet"]


def _write_company(
    work: Path, customers: int, dice: Dice, threads: int | None, memory: str | None
) -> dict[str, int]:
    """Write exports and truth below `work`, one part of the people after another."""
    ending = "ndjson" if customers <= _MOST_NDJSON else "parquet"
    path = ":memory:" if customers <= _MOST_IN_MEMORY else work / "company.duckdb"
    engine = DuckDB(path, threads=threads, memory=memory, spill=work)
    rows: dict[str, int] = {}
    sums: Counter[str] = Counter()
    try:
        people.load_words(engine)
        mail.load_campaigns(engine)
        voice.load_phrases(engine)
        engine.run("create table advert_days (day_no bigint, medium varchar, visits bigint)")
        (work / "truth").mkdir()
        parts = -(-customers // _PEOPLE_A_PART)
        for part in range(parts):
            suffix = f"_part{part + 1:02d}" if parts > 1 else ""
            exports = Exports(engine, work / "exports", suffix, rows)
            first = part * _PEOPLE_A_PART
            end = min(customers, first + _PEOPLE_A_PART)
            _make_part(engine, dice, part, first, end, customers)
            _write_part(exports, dice, ending)
            if part == parts - 1:
                voice.write_company_files(Exports(engine, work / "exports", "", rows), dice)
            truth.write_truth_tables(engine, work / "truth", suffix)
            sums.update(truth.measure_part(engine))
        told = truth.tell_truth(sums, rows, customers=customers, seed=dice.seed)
        truth.write_truth(work / "truth", told)
        _write_key(work / "exports" / "pseudonym.key", dice.seed)
    finally:
        engine.close()
    return rows


def _write_key(path: Path, seed: int) -> None:
    """Write the key of the pseudonyms, which is no secret here, so that all runs agree."""
    path.touch(mode=0o600)
    path.write_text(hashlib.sha256(f"sample company {seed}".encode()).hexdigest())


def _make_part(engine: DuckDB, dice: Dice, part: int, first: int, end: int, customers: int) -> None:
    """Let the people numbered from `first` to before `end` live through the period."""
    people.make_people(engine, dice, first, end, customers)
    journeys.make_needs(engine, dice)
    journeys.make_touches(engine, dice)
    journeys.make_idle_touches(engine, dice)
    sales.make_sales(engine, dice, part)
    sales.make_calls(engine, dice)
    mail.make_mails(engine, dice)
    web.make_visits(engine, dice)
    trade.make_crm_records(engine, dice, customers)
    voice.make_voices(engine, dice)
    voice.collect_adverts(engine)
    prepare_truth(engine)


def _write_part(exports: Exports, dice: Dice, ending: str) -> None:
    trade.write_crm(exports, dice)
    trade.write_shop(exports, dice)
    trade.write_tills(exports, dice)
    contacts.write_web(exports, dice, ending)
    contacts.write_mail(exports, dice)
    contacts.write_calls(exports, dice)
    contacts.write_store_visits(exports, dice)
    contacts.write_consents(exports)
    contacts.write_assignments(exports)
    voice.write_voices(exports, dice)
    voice.write_referrals(exports, dice)


def _work_folder(target: Path) -> Path:
    """Make a folder beside the target's content that nobody takes for a finished sample."""
    try:
        target.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".sample-", suffix=".partial", dir=target))
    except OSError as error:
        raise CjkitError(
            f"The sample cannot be written to {target}: {error.strerror}. "
            "Name a folder that you may write to."
        ) from error


def _check_room(target: Path, customers: int) -> None:
    """Say how many bytes the sample takes, and refuse where the disk has not the room."""
    # Only one part of the people at a time is in the engine.
    needed = estimate_bytes(customers) + min(customers, _PEOPLE_A_PART) * _WORK_BYTES_A_PERSON
    free = shutil.disk_usage(target).free
    _log.info("The sample takes about %.1f GB in %s.", estimate_bytes(customers) / 1e9, target)
    if free < needed:
        raise CjkitError(
            f"customers={customers} needs about {needed / 1e9:.1f} GB while it is written, and "
            f"{target} has {free / 1e9:.1f} GB free. Ask for fewer customers or another folder."
        )


def _publish(work: Path, target: Path) -> None:
    """Put the finished folders in the place of earlier ones; old and new never stand together."""
    for name in ("truth", "exports"):
        if (target / name).exists():
            os.replace(target / name, work / f"former-{name}")
    for name in ("exports", "truth"):
        os.replace(work / name, target / name)
