"""THE contract: the tables of a journey log, their columns, order, splits and periods.

Every source is mapped into these tables, every analysis reads them and nothing else.
An event is what happened, a touchpoint where, a channel through which medium, a stage how far the
customer has come; which event belongs where is data of a project, never code.
"""

from cjkit.events.answers import emotion_sql
from cjkit.events.contract import (
    CONTRACT,
    METRICS,
    NOTE_KINDS,
    ORDER,
    PROVENANCE,
    PURCHASE,
    RETURN,
    SQL_TYPES,
    STAGES,
    Kind,
    is_known_column,
)
from cjkit.events.periods import Period, find_periods, local_midnight_us, make_period
from cjkit.events.sequence import sequence_sql
from cjkit.events.splits import Split, split_by

__all__ = [
    "CONTRACT",
    "METRICS",
    "NOTE_KINDS",
    "ORDER",
    "PROVENANCE",
    "PURCHASE",
    "RETURN",
    "SQL_TYPES",
    "STAGES",
    "Kind",
    "Period",
    "Split",
    "emotion_sql",
    "find_periods",
    "is_known_column",
    "local_midnight_us",
    "make_period",
    "sequence_sql",
    "split_by",
]
