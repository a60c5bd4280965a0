"""The rules of the gate, as data: what is looked for, in which tables, and what becomes of a row.

Each rule has one bit, its place in `RULES`; a row carries the bits of all rules it fails. Rules
stand in order of precedence: the first one that sets a row aside says what becomes of it, so that
every row has exactly one outcome. The words of a rule stand in `labels/words/cleansing.toml`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from cjkit.events import CONTRACT

Outcome = Literal["quarantined", "merged", "withheld", "retracted", "erased", "flagged"]

OUTCOMES: tuple[Outcome, ...] = ("quarantined", "merged", "withheld", "retracted", "erased")
"""What may become of a row that is not clean. A flagged row is clean."""


DERIVED = "(derived)"
"""The source that ledgers name for rows that the gate itself made."""


@dataclass(frozen=True)
class Rule:
    """One rule of the gate.

    Attributes
    ----------
    name : str
        Its id, which quarantine and pages use; `label("rule.<name>", language)` are its words.
    dimension : str
        The dimension of the scorecard that it speaks for; '' where failing it is no fault.
    outcome : str
        What becomes of a row that fails it. 'flagged' rows are kept.
    tables : tuple of str
        Where it applies.
    columns : tuple of str
        The columns that the fault is in.
    predicate : str or None
        SQL over one landed row, true where the row fails; `{places}` are filled per table and
        project. None where it takes more than one row to see the fault: a step of the gate looks.
    """

    name: str
    dimension: str
    outcome: Outcome
    tables: tuple[str, ...]
    columns: tuple[str, ...] = ()
    predicate: str | None = None

    @property
    def bit(self) -> int:
        """The bit of this rule in `failed`."""
        return 1 << RULES.index(self)


def _tables(holds: Callable[[str], object]) -> tuple[str, ...]:
    return tuple(table for table in CONTRACT if holds(table))


_ALL = tuple(CONTRACT)
_BUT_CUSTOMERS = _tables(lambda table: table != "customers")
_TIMED = _tables(lambda table: CONTRACT[table].time in CONTRACT[table].required)
_LOOSELY_TIMED = _tables(lambda table: CONTRACT[table].time and table not in _TIMED)
_PERSONAL = _tables(lambda table: CONTRACT[table].person != "none")
_IMPOSSIBLE = "time_us < {started_us} or time_us >= {future_us}"

RULES: tuple[Rule, ...] = (
    Rule("duplicate_row", "uniqueness", "quarantined", _BUT_CUSTOMERS),
    Rule(
        "unreadable_value",
        "validity",
        "quarantined",
        _ALL,
        predicate="list_has_any(string_split(unreadable, ','), {required})",
    ),
    Rule(
        "orphan_line",
        "consistency",
        "quarantined",
        ("orders",),
        ("order_id", "ordered_at"),
        "ordered_at is null and not coalesce(contains(unreadable, 'ordered_at'), false)",
    ),
    Rule("missing_value", "completeness", "quarantined", _ALL, predicate="{lacks_required}"),
    Rule(
        "missing_customer",
        "completeness",
        "quarantined",
        _tables(lambda table: CONTRACT[table].person == "required"),
        ("customer_id",),
        "person_key is null",
    ),
    Rule("unknown_code", "validity", "quarantined", _ALL, predicate="unknown_codes is not null"),
    Rule(
        "time_1970",
        "timeliness",
        "quarantined",
        _TIMED,
        ("{time}",),
        "time_us between -86400000000 and 172800000000",
    ),
    Rule(
        "before_company",
        "timeliness",
        "quarantined",
        _TIMED,
        ("{time}",),
        "time_us < {started_us}",
    ),
    Rule("in_future", "timeliness", "quarantined", _TIMED, ("{time}",), "time_us >= {future_us}"),
    Rule(
        "wrong_currency",
        "validity",
        "quarantined",
        ("events", "orders", "costs"),
        ("currency",),
        "currency <> {currency}",
    ),
    Rule(
        "negative_amount",
        "validity",
        "quarantined",
        ("events", "orders"),
        ("revenue",),
        "revenue < 0 and not {is_return}",
    ),
    Rule(
        "absurd_amount",
        "validity",
        "quarantined",
        ("events", "orders"),
        ("revenue",),
        "abs(revenue) > {absurd}",
    ),
    Rule(
        "score_out_of_range",
        "validity",
        "quarantined",
        ("feedback",),
        ("metric", "score", "score_max"),
        "score < 0 or score > score_max or metric not in {metrics}",
    ),
    Rule(
        "unknown_kind",
        "validity",
        "quarantined",
        ("notes",),
        ("kind",),
        "kind not in {note_kinds}",
    ),
    Rule("duplicate_key", "uniqueness", "quarantined", _BUT_CUSTOMERS),
    Rule("repeated_export", "", "merged", _BUT_CUSTOMERS),
    Rule("retracted", "", "retracted", _PERSONAL, ("customer_id",)),
    Rule("withheld", "", "withheld", _PERSONAL, ("customer_id",)),
    Rule("staff", "validity", "quarantined", _PERSONAL, ("customer_id",)),
    Rule("test_account", "validity", "quarantined", _PERSONAL, ("customer_id",)),
    Rule(
        "bot",
        "validity",
        "quarantined",
        ("events",),
        ("user_agent_class",),
        "user_agent_class in ('bot', 'crawler', 'spider', 'robot', 'monitor')",
    ),
    Rule("bot_rate", "validity", "quarantined", ("events",), ("occurred_at",)),
    Rule("replayed", "uniqueness", "quarantined", ("events",), ("occurred_at",)),
    Rule("order_id_clash", "uniqueness", "quarantined", ("orders",), ("order_id",)),
    Rule("same_order", "", "merged", ("orders",), ("order_id",)),
    Rule("sale_report", "", "merged", ("events",), ("ref_id",)),
    Rule("sale_without_order", "consistency", "quarantined", ("events",), ("ref_id", "revenue")),
    Rule("same_person", "", "merged", ("customers",), ("customer_id",)),
    Rule("impossible_order", "consistency", "flagged", ("events",), ("occurred_at",)),
    Rule("after_opt_out", "consistency", "flagged", ("events",), ("occurred_at",)),
    Rule("clock_shift", "timeliness", "flagged", ("events",), ("occurred_at",)),
    Rule("impossible_date", "timeliness", "flagged", _LOOSELY_TIMED, ("{time}",), _IMPOSSIBLE),
    Rule("unreadable_detail", "validity", "flagged", _ALL, predicate="unreadable is not null"),
    Rule("guest", "", "flagged", ("orders",), ("customer_id",), "person_key is null"),
    Rule("return_line", "", "flagged", ("orders",), ("is_return",), "is_return"),
)

RULE = {rule.name: rule for rule in RULES}

SETS_ASIDE = sum(rule.bit for rule in RULES if rule.outcome != "flagged")
"""The bits of all rules that set a row aside: a row with none of them is clean."""

IS_CLEAN = f"(failed & {SETS_ASIDE}) = 0"


def bits(names: Iterable[str]) -> int:
    """Return the bits of the rules called `names` together."""
    return sum(RULE[name].bit for name in names)


def outcome_sql() -> str:
    """Write the SQL that says what became of a row: 'clean', or the outcome of its first rule."""
    first = f"failed & {SETS_ASIDE} & -(failed & {SETS_ASIDE})"
    cases = " ".join(
        f"when {sum(rule.bit for rule in RULES if rule.outcome == outcome)} & first_bit <> 0 "
        f"then '{outcome}'"
        for outcome in OUTCOMES
        if any(rule.outcome == outcome for rule in RULES)
    )
    return f"(case {cases} else 'clean' end)".replace("first_bit", f"({first})")


def rule_sql() -> str:
    """Write the SQL that names the first rule that set a row aside; missing for a clean row."""
    first = f"(failed & {SETS_ASIDE} & -(failed & {SETS_ASIDE}))"
    cases = " ".join(
        f"when {rule.bit} then '{rule.name}'" for rule in RULES if rule.outcome != "flagged"
    )
    return f"(case {first} {cases} end)"
