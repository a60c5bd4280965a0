"""Who is who: the ids under which systems know a person become one customer.

Only keys and the links between them are read, never a name or an address, unless a project asks for
links by likeness. A strong namespace (a login, a loyalty number) merges people; a weak one (a
cookie) attaches to the one person it meets, for a time; a link (an order number) leads from one to
the other. Pins by hand win. Every link keeps its evidence, and customer ids are kept for ever.
"""

from cjkit.identity.erasing import count_anchors, erase_anchors
from cjkit.identity.evidence import LIKENESS, Explanation, explain_customer
from cjkit.identity.figures import leave_out
from cjkit.identity.ids import ALIASES, followed, mint, offer_ids, remembered, settle_ids
from cjkit.identity.likeness import accept, find_alike
from cjkit.identity.people import People, resolve_people, write_people
from cjkit.identity.pins import Pin, find_keys, read_pins

__all__ = [
    "ALIASES",
    "LIKENESS",
    "Explanation",
    "People",
    "Pin",
    "accept",
    "count_anchors",
    "erase_anchors",
    "explain_customer",
    "find_alike",
    "find_keys",
    "followed",
    "leave_out",
    "mint",
    "offer_ids",
    "read_pins",
    "remembered",
    "resolve_people",
    "settle_ids",
    "write_people",
]
