"""Privacy: who agreed to what, pseudonyms for ids, and small groups that stay hidden."""

from cjkit.privacy.consent import denied_sql
from cjkit.privacy.masking import mask, min_cell, set_min_cell
from cjkit.privacy.pseudonyms import make_pseudonym, pseudonym_sql, read_key

__all__ = [
    "denied_sql",
    "make_pseudonym",
    "mask",
    "min_cell",
    "pseudonym_sql",
    "read_key",
    "set_min_cell",
]
