"""Privacy: who agreed to what, pseudonyms for ids, and small groups that stay hidden."""

from cjkit.privacy.consent import denied_sql
from cjkit.privacy.masking import mask, min_cell, set_min_cell
from cjkit.privacy.pseudonyms import (
    derive_key,
    make_pseudonym,
    project_key,
    pseudonym_sql,
    read_key,
)
from cjkit.privacy.sums import Equation, Relation, Rest, Steps, Totals
from cjkit.privacy.vault import Vault, open_vault

__all__ = [
    "Equation",
    "Relation",
    "Rest",
    "Steps",
    "Totals",
    "Vault",
    "denied_sql",
    "derive_key",
    "make_pseudonym",
    "mask",
    "min_cell",
    "open_vault",
    "project_key",
    "pseudonym_sql",
    "read_key",
    "set_min_cell",
]
