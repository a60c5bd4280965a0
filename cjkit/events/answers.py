"""What people's own answers say: scores of different scales, brought to one."""

from __future__ import annotations

from cjkit.engine import text

# A metric's scale where the answer does not say how high it goes, and where it begins.
_HIGHEST = {"nps": 10, "csat": 5, "ces": 7, "review": 5}
_LOWEST = {"nps": 0, "csat": 1, "ces": 1, "review": 1}


def emotion_sql() -> str:
    """Write the SQL of what an answer says, from -1 to 1; missing where it says nothing."""
    whens = []
    for metric, lowest in _LOWEST.items():
        highest = f"coalesce(score_max, {_HIGHEST[metric]})"
        scaled = f"2.0 * (score - {lowest}) / ({highest} - {lowest}) - 1"
        whens.append(
            f"when metric = {text(metric)} and score is not null and {highest} > {lowest} "
            f"then greatest(-1.0, least(1.0, {scaled}))"
        )
    return f"case {' '.join(whens)} else emotion end"
