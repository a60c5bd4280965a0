"""Sources: the exports of a company's systems become rows of the contract, by declaration alone."""

from cjkit.sources.landing import Landed, Ledger, land, read_mappings
from cjkit.sources.mapping import SourceMapping, read_mapping, shipped_mappings

__all__ = [
    "Landed",
    "Ledger",
    "SourceMapping",
    "land",
    "read_mapping",
    "read_mappings",
    "shipped_mappings",
]
