"""Content: which posts, pages and messages attract more than others of their channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table, text
from cjkit.events import Period
from cjkit.experience.asking import flagged, place
from cjkit.labels import Language, display_name, format_number, format_percent, format_sizes, label
from cjkit.plots.rates import draw_rates
from cjkit.statistics import (
    benjamini_hochberg,
    difference_p_value,
    newcombe_interval,
    wilson_interval,
)

FALSE_DISCOVERIES = 0.05
_DRAWN, _LETTERS = 12, 24

_RATES = (
    *("engagement_rate", "engagement_rate_low", "engagement_rate_high", "other_rate"),
    *("difference", "difference_low", "difference_high", "p_value", "is_attractive"),
)


@dataclass(frozen=True)
class Content:
    """What `rank_content` found: how much each post, page or message attracts.

    Attributes
    ----------
    table : DataFrame, one row for each piece of content, the surest to attract first
        `content_id`, `channel`, `title`, `impressions` and `engagements` (counts),
        `engagement_rate` (0 to 1) with `engagement_rate_low` and `engagement_rate_high` (Wilson),
        `other_rate` of all else in its channel together, `difference` of both (-1 to 1) with
        `difference_low` and `difference_high` (Newcombe), `p_value` (adjusted after Benjamini and
        Hochberg; missing where nothing else was shown) and `is_attractive`.
    pieces : int
        How many pieces were compared.
    sql : tuple of str
        The statement that made the sums.
    """

    table: pd.DataFrame
    pieces: int
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "impressions": ("engagements", *_RATES),
        "engagements": _RATES,
    }
    formats: ClassVar[dict[str, str]] = {"difference": "rate", "p_value": "number"}

    def finding(self, language: Language) -> str:
        """Say which piece attracts most, and how many do so more than is usual."""
        found = flagged(self.table, "is_attractive")
        if found.empty:
            return label("no_content", language)
        row = found.iloc[0]
        return label(
            "content_finding",
            language,
            title=row["title"],
            channel=display_name(row["channel"], "channel", language),
            rate=format_percent(row["engagement_rate"], language),
            low=format_percent(row["engagement_rate_low"], language),
            high=format_percent(row["engagement_rate_high"], language),
            other=format_percent(row["other_rate"], language),
            pieces=format_number(self.pieces, language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw how much more than others of their channel the first pieces attract."""
        rows = self.table.dropna(subset="difference").head(_DRAWN)
        ax = draw_rates(
            [
                title if len(title) <= _LETTERS else f"{title[:_LETTERS]}…"
                for title in rows["title"]
            ],
            rows["difference"].tolist(),
            rows["difference_low"].tolist(),
            rows["difference_high"].tolist(),
            format_sizes(rows["impressions"], language),
            zero=True,
            ax=ax,
        )
        ax.set_title(label("content_title", language))
        return ax


def rank_content(
    content: Table, *, fewest: int = 100, top: int = 50, period: Period | None = None
) -> Content:
    """Rank posts, pages and messages by how much more they attract than others of their channel.

    The engagements with a piece for each impression of it, over all its days, are compared with
    those of everything else in the same channel together. A piece is attractive when its rate is
    the higher one with a false discovery rate of 5% over all pieces.

    Parameters
    ----------
    content : Table
        Reads `content_id`, `channel`, `title`, `day`, `impressions`, `engagements`.
    fewest : int, default 100
        Pieces with fewer impressions are compared with, but are no row.
    top : int, default 50
        How many rows to return.
    period : Period, optional
        Only what was counted on its days.

    Returns
    -------
    Content

    Raises
    ------
    CjkitError
        When `fewest` or `top` is below 1.

    Notes
    -----
    One person may see and like a piece many times, and sums do not say so: the intervals are those
    of impressions, and narrower than those of people would be. Engagements beyond the number of
    impressions are not counted.
    """
    if min(fewest, top) < 1:
        raise CjkitError(f"fewest={fewest!r}, top={top!r} must both be 1 or more.")
    days = "1 = 1"
    if period is not None:
        start, end = (text(day.isoformat()) for day in (period.start, period.end))
        days = f"day >= cast({start} as date) and day < cast({end} as date)"
    sql = f"""
        with pieces as (
            select content_id, {place("channel")} as channel,
                coalesce(max(title), content_id) as title, sum(impressions) as impressions,
                least(sum(coalesce(engagements, 0)), sum(impressions)) as engagements
            from {content} as content where {days} and impressions > 0
            group by content_id, {place("channel")}),
        channels as (
            select channel, sum(impressions) as all_impressions, sum(engagements) as all_engagements
            from pieces group by channel)
        select pieces.*, all_impressions - impressions as other_impressions,
            all_engagements - engagements as other_engagements
        from pieces join channels on pieces.channel = channels.channel
        where impressions >= {int(fewest)}"""
    found = content.engine.query(sql)
    names = ["impressions", "engagements", "other_impressions", "other_engagements"]
    shown, engaged, other_shown, other_engaged = (found[name].astype(float) for name in names)
    sides = (engaged, shown, other_engaged, other_shown)
    table = found[["content_id", "channel", "title", *names[:2]]].astype(
        dict.fromkeys(names[:2], "int64")
    )
    table["engagement_rate"] = engaged / shown
    low, high = wilson_interval(engaged, shown)
    table["engagement_rate_low"], table["engagement_rate_high"] = low, high
    table["other_rate"] = other_engaged / other_shown.where(other_shown > 0)
    table["difference"] = table["engagement_rate"] - table["other_rate"]
    table["difference_low"], table["difference_high"] = newcombe_interval(*sides)
    table["p_value"] = benjamini_hochberg(difference_p_value(*sides))
    table["is_attractive"] = (table["p_value"] <= FALSE_DISCOVERIES) & (table["difference"] > 0)
    table = table.sort_values(
        ["is_attractive", "difference_low", "content_id"],
        ascending=[False, False, True],
        ignore_index=True,
    )
    return Content(table.head(top), len(table), (sql,))
