"""The rules of the gate, as data: what is looked for, in which tables, and what becomes of a row.

A row carries one bit for each rule that it fails. Rules stand in order of precedence: the first one
that sets a row aside says what becomes of it, so that every row has exactly one outcome. People who
have not agreed come first: whatever else is wrong with their rows, nothing more is kept of them.
The words of a rule stand in `labels/words/cleansing.toml`. A project's own rules follow those of
the kit (`declared.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cjkit.events import CONTRACT

Outcome = Literal["quarantined", "merged", "withheld", "retracted", "erased", "flagged"]

OUTCOMES: tuple[Outcome, ...] = ("quarantined", "merged", "withheld", "retracted", "erased")
"""What may become of a row that is not clean. A flagged row is clean."""


DERIVED = "(derived)"
"""The source that ledgers name for rows that the gate itself made."""

MOST_SETTING_ASIDE, MOST_FLAGGING = 44, 19
"""How many rules fit the 63 bits of a row: those that set it aside have the lower ones."""

SETS_ASIDE = (1 << MOST_SETTING_ASIDE) - 1
"""The bits of all rules that set a row aside: a row with none of them is clean."""

IS_CLEAN = f"(failed & {SETS_ASIDE}) = 0"


@dataclass(frozen=True)
class Rule:
    """One rule of the gate.

    Attributes
    ----------
    name : str
        Its id, which quarantine and pages use; `display_name(name, "rule", language)` are its
        words, and `display_name(name, "reason", language)` says why.
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
    bit : int
        Its bit in `failed`. The lowest bit of a row is that of the rule which decides.
    """

    name: str
    dimension: str
    outcome: Outcome
    tables: tuple[str, ...]
    columns: tuple[str, ...] = ()
    predicate: str | None = None
    bit: int = 0


def number_rules(rules: Iterable[Rule], after: Sequence[Rule] = ()) -> tuple[Rule, ...]:
    """Give each rule its bit, in order, behind those of the rules `after`."""
    kept = sum(rule.outcome == "flagged" for rule in after)
    places = {"flagged": MOST_SETTING_ASIDE + kept, "set aside": len(after) - kept}
    numbered = []
    for rule in rules:
        kind = "flagged" if rule.outcome == "flagged" else "set aside"
        numbered.append(replace(rule, bit=1 << places[kind]))
        places[kind] += 1
    return tuple(numbered)


def _tables(holds: Callable[[str], object]) -> tuple[str, ...]:
    return tuple(table for table in CONTRACT if holds(table))


_ALL = tuple(CONTRACT)
_BUT_CUSTOMERS = _tables(lambda table: table != "customers")
_TIMED = _tables(lambda table: CONTRACT[table].time in CONTRACT[table].required)
_LOOSELY_TIMED = _tables(lambda table: CONTRACT[table].time and table not in _TIMED)
_PERSONAL = _tables(lambda table: CONTRACT[table].person != "none")
_IMPOSSIBLE = "time_us < {started_us} or time_us >= {future_us}"
_ROBOTS = "('bot', 'crawler', 'spider', 'robot', 'monitor')"
_MACHINES = "('machine', 'prefetch', 'proxy', 'scanner')"

RULES: tuple[Rule, ...] = number_rules(
    [
        Rule("withheld", "", "withheld", _PERSONAL, ("customer_id",)),
        Rule("retracted", "", "retracted", _PERSONAL, ("customer_id",)),
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
        Rule(
            "unknown_code", "validity", "quarantined", _ALL, predicate="unknown_codes is not null"
        ),
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
        Rule(
            "in_future", "timeliness", "quarantined", _TIMED, ("{time}",), "time_us >= {future_us}"
        ),
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
        Rule("negative_cost", "validity", "quarantined", ("costs",), ("cost",), "cost < 0"),
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
        Rule("staff", "validity", "quarantined", _PERSONAL, ("customer_id",)),
        Rule("test_account", "validity", "quarantined", _PERSONAL, ("customer_id",)),
        Rule(
            "unknown_customer",
            "consistency",
            "quarantined",
            tuple(table for table in _PERSONAL if table != "customers"),
            ("customer_id",),
        ),
        Rule(
            "bot",
            "validity",
            "quarantined",
            ("events",),
            ("user_agent_class",),
            f"user_agent_class in {_ROBOTS}",
        ),
        Rule(
            "machine_open",
            "validity",
            "quarantined",
            ("events",),
            ("user_agent_class",),
            f"user_agent_class in {_MACHINES}",
        ),
        Rule("bot_rate", "validity", "quarantined", ("events",), ("occurred_at",)),
        Rule("superseded", "", "merged", _BUT_CUSTOMERS),
        Rule("replayed", "uniqueness", "quarantined", ("events",), ("occurred_at",)),
        Rule("duplicate_key", "uniqueness", "quarantined", _BUT_CUSTOMERS),
        Rule("repeated_export", "", "merged", _BUT_CUSTOMERS),
        Rule("order_id_clash", "uniqueness", "quarantined", ("orders",), ("order_id",)),
        Rule("same_order", "", "merged", ("orders",), ("order_id",)),
        Rule("sale_report", "", "merged", ("events",), ("ref_id",)),
        Rule(
            "sale_without_order", "consistency", "quarantined", ("events",), ("ref_id", "revenue")
        ),
        Rule("same_person", "", "merged", ("customers",), ("customer_id",)),
        Rule("impossible_order", "consistency", "flagged", ("events",), ("occurred_at",)),
        Rule("orphan_reference", "consistency", "flagged", ("events", "feedback"), ("ref_id",)),
        Rule("after_opt_out", "consistency", "flagged", ("events",), ("occurred_at",)),
        Rule("clock_shift", "timeliness", "flagged", ("events",), ("occurred_at",)),
        Rule("impossible_date", "timeliness", "flagged", _LOOSELY_TIMED, ("{time}",), _IMPOSSIBLE),
        Rule("unreadable_detail", "validity", "flagged", _ALL, predicate="unreadable is not null"),
        Rule("guest", "", "flagged", ("orders",), ("customer_id",), "person_key is null"),
        Rule("return_line", "", "flagged", ("orders",), ("is_return",), "is_return"),
    ]
)

RULE = {rule.name: rule for rule in RULES}


def bits(names: Iterable[str]) -> int:
    """Return the bits of the rules called `names` together."""
    return sum(RULE[name].bit for name in names)


def outcome_sql() -> str:
    """Write the SQL that says what became of a row: 'clean', or the outcome of its first rule.

    What no rule of the kit decided, a rule of the project did: it is 'quarantined'.
    """
    cases = " ".join(
        f"when {sum(rule.bit for rule in RULES if rule.outcome == outcome)} & {_FIRST} <> 0 "
        f"then '{outcome}'"
        for outcome in OUTCOMES
        if any(rule.outcome == outcome for rule in RULES)
    )
    return f"(case when {IS_CLEAN} then 'clean' {cases} else 'quarantined' end)"


def rule_sql(rules: Sequence[Rule] = RULES) -> str:
    """Write the SQL that names the first rule that set a row aside; missing for a clean row."""
    cases = " ".join(
        f"when {rule.bit} then '{rule.name}'" for rule in rules if rule.outcome != "flagged"
    )
    return f"(case {_FIRST} {cases} end)"


_FIRST = f"(failed & {SETS_ASIDE} & -(failed & {SETS_ASIDE}))"
