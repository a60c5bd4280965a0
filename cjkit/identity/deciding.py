"""Deciding which keys are one person."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cjkit.identity.graph import NEVER, Codes, Links, attach, join

FOUND = {"super_keys": 1, "attached": 2, "stitched": 4, "undecided": 8}
"""The bits of what was found of a key."""


def decide(
    known: pd.DataFrame, super_keys: Codes, links: Links, same: Codes, apart: Codes
) -> pd.DataFrame:
    """Decide for each key whose it is.

    Returns
    -------
    DataFrame
        `key_no`, `owner_no` (the key that names its person), `is_super`, `is_undecided`,
        `stitched_no` (the owner from `since_us` on, where that is another; else -1).
    """
    strength = known["strength"].to_numpy(str)
    is_strong, is_link, is_weak = (strength == kind for kind in ("strong", "link", "weak"))
    size = len(known)
    is_super = np.zeros(size, bool)
    is_super[super_keys] = True
    links = links.where(~is_super[links.low] & ~is_super[links.high])

    both = is_strong[links.low] & is_strong[links.high]
    low, high = (
        np.concatenate([same[:, side], found[both]])
        for side, found in enumerate((links.low, links.high))
    )
    owner = join(size, low, high, apart)
    # Owners are senior, and strong keys come first: a person with a strong key has a strong owner.
    through = attach(owner, is_link & ~is_strong[owner], is_strong, links, apart)
    is_host = is_strong | is_link & is_strong[through.owner]
    is_guest = is_weak & ~is_strong[through.owner]
    found = attach(through.owner, is_guest, is_host, links, apart)
    whose = _part(through.owner, found.owner, apart)

    # A link that is a weak key's by hand reaches back as far as it does, having no window itself.
    reach, window = np.zeros(size, np.int64), known["stitch_us"].to_numpy(np.int64)
    np.maximum.at(reach, through.owner[is_weak], window[is_weak])
    window = np.where(is_link, reach[through.owner], window)
    since = np.where(found.met_us == NEVER, -NEVER, found.met_us - window)
    is_attached = whose != through.owner
    is_early = is_attached & (known["rows_us"].to_numpy() < since)
    is_stitched = is_attached & np.isin(through.owner, through.owner[is_early])
    return pd.DataFrame(
        {
            "key_no": np.arange(size),
            "owner_no": np.where(is_stitched, through.owner, whose),
            "is_super": is_super,
            "is_undecided": is_link & through.is_undecided | is_guest & found.is_undecided,
            "stitched_no": np.where(is_stitched, whose, -1),
            "since_us": since,
        }
    )


def _part(before: Codes, after: Codes, apart: Codes) -> Codes:
    """Take guests from their host again where they met another guest there who must be apart."""
    parted = after.copy()
    for a, b in np.sort(apart, axis=1):
        if parted[a] == parted[b]:
            leaving = b if before[b] != after[b] else a
            parted[before == before[leaving]] = before[leaving]
    return parted
