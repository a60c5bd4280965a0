"""What the gate found, as results that a notebook shows."""

from cjkit.cleansing.results.changes import (
    Changes,
    ChannelChanges,
    make_changes,
)
from cjkit.cleansing.results.faults import ClockShifts, Quarantine, QuarantineExamples
from cjkit.cleansing.results.ledgers import FanOut, FilteredRecords, Flow, RecordLedger, RowLedger
from cjkit.cleansing.results.people import IdentitySummary, Withheld
from cjkit.cleansing.results.scores import Freshness, Scorecard, Trend

__all__ = [
    "Changes",
    "ChannelChanges",
    "ClockShifts",
    "FanOut",
    "FilteredRecords",
    "Flow",
    "Freshness",
    "IdentitySummary",
    "Quarantine",
    "QuarantineExamples",
    "RecordLedger",
    "RowLedger",
    "Scorecard",
    "Trend",
    "Withheld",
    "make_changes",
]
