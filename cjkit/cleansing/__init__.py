"""The gate before the analysis: every row accounted for, nothing computed that should not be."""

from cjkit.cleansing.gate import Prepared, prepare
from cjkit.cleansing.log import Log
from cjkit.cleansing.log import open_log as open

__all__ = ["Log", "Prepared", "open", "prepare"]
