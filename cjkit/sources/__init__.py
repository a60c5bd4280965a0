"""Sources: the exports of a company's systems become rows of the contract, by declaration alone."""

from cjkit.sources.checking import read_mapping, shipped_mappings
from cjkit.sources.describing import FileLook, describe
from cjkit.sources.landing import Landed, land, read_mappings
from cjkit.sources.mapping import SourceMapping
from cjkit.sources.rows import Ledger

__all__ = [
    "FileLook",
    "Landed",
    "Ledger",
    "SourceMapping",
    "describe",
    "land",
    "read_mapping",
    "read_mappings",
    "shipped_mappings",
]
