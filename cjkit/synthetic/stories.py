"""What is true of the sample company: its calendar, its segments and its planted stories.

Every number that an analysis should find again stands here, once. STORIES.md tells the same to a
reader, and `truth.json` beside each sample says what became of it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
ZONE_US = 9 * HOUR_US
"""Tokyo is nine hours ahead of UTC and has no summer time."""

FIRST_DAY = date(2024, 11, 1)
DAYS = 730
"""The exports hold these local days: 2024-11-01 to 2026-10-31."""


def start_us(day: date) -> int:
    """Return the start of a local day in microseconds since 1970, UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp()) * 1_000_000 - ZONE_US


START_US = start_us(FIRST_DAY)
END_US = START_US + DAYS * DAY_US


@dataclass(frozen=True)
class Segment:
    """One true kind of customer.

    Attributes
    ----------
    share : float
        Of all people.
    needs_a_month : float
        How often a need arises that may end in a purchase (gamma with shape 2 among people).
    wants_rate : float
        Chance that a need ends in the wish to buy, before intent, video and consultation.
    leaves_rate : float
        Chance to leave for good after a need, before any bad delivery.
    member_rate : float
        Share who register.
    opens_rate : float
        Chance to open a newsletter.
    returns_rate : float
        Chance that an order has a line that comes back.
    """

    share: float
    needs_a_month: float
    wants_rate: float
    leaves_rate: float
    member_rate: float
    opens_rate: float
    returns_rate: float


SEGMENTS = {
    "loyal": Segment(0.15, 0.40, 0.62, 0.010, 0.97, 0.50, 0.06),
    "regular": Segment(0.30, 0.13, 0.50, 0.050, 0.86, 0.32, 0.09),
    "bargain": Segment(0.20, 0.13, 0.44, 0.070, 0.88, 0.42, 0.19),
    "at_risk": Segment(0.15, 0.30, 0.46, 0.260, 0.88, 0.18, 0.12),
    "browser": Segment(0.20, 0.10, 0.10, 0.080, 0.55, 0.20, 0.10),
}
STRONG_INTENT_SHARE = 0.35
STRONG_INTENT_GAIN, WEAK_INTENT_LOSS = 0.12, 0.06

# 1. A pain point: since the new payment page, checkouts on Android phones mostly fail.
PAIN_DEVICE = "android"
PAIN_SINCE = date(2025, 10, 1)
CHECKOUT_RATE, PAIN_CHECKOUT_RATE = 0.88, 0.45
"""Chance that somebody who wants to buy and reaches the checkout completes it."""

STORE_CHECKOUT_RATE = 0.97

# 2. A moment of truth: a consultation with store staff that ends in a plan raises the wish to buy.
CONSULTATION_RATES = {
    "loyal": 0.20, "regular": 0.15, "bargain": 0.08, "at_risk": 0.12, "browser": 0.06
}  # fmt: skip
"""Of the needs of people who come to stores: the better customers ask more, which confounds."""
STAFF_GOOD_RATES = (0.90, 0.80, 0.70, 0.60, 0.50)
"""Five people at each store's counter, some better at it than others; who serves is chance."""
CONSULTATION_GOOD_GAIN, CONSULTATION_BAD_LOSS = 0.22, 0.06

# 3. A loop: late delivery, complaint, no solution, further calls; then the customer leaves.
LATE_RATES = {"ほしぞら便": 0.045, "あおぞら運送": 0.075, "ながれぼし急便": 0.155}
LATE_CALL_RATE, ON_TIME_CALL_RATE = 0.60, 0.03
UNRESOLVED_RATE, CALL_AGAIN_RATE = 0.50, 0.90
LEAVES_AFTER_LATE, LEAVES_AFTER_LOOP = 0.06, 0.45
"""Added to the chance to leave: after any late delivery, and after two or more calls about it."""

# 4. A channel that flatters itself: retargeting follows those who want to buy anyway.
RETARGETING_RATE_STRONG, RETARGETING_RATE_WEAK = 0.50, 0.08
RETARGETING_GAIN = 0.0
RETARGETING_TEST = (date(2026, 1, 12), date(2026, 3, 31))

# 5. A channel that last-touch overlooks: a video as the first touch wakes the wish to buy.
VIDEO_RATE = 0.14
VIDEO_GAIN = 0.16

# 6. A randomized e-mail hold-out: a spring series of eight weekly mails.
MAIL_TEST = (date(2026, 5, 7), date(2026, 7, 1))
MAIL_TEST_MAILS = 8
MAIL_VISIT_RATE, MAIL_WANTS_RATE = 0.10, 0.55

# 7. A level shift: better ranked by search engines, the site gets more visits (not more orders).
SHIFT_DAY = date(2026, 8, 3)
BROWSE_BEFORE_SHIFT = 0.22
"""Share of the idle visits from organic search that take place before that day; after it, all."""

# 8. Seasons, as weights of the chance that a need arises on a day.
MONTH_WEIGHTS = (1.02, 0.84, 1.26, 1.08, 0.92, 0.90, 1.05, 0.92, 0.94, 0.96, 1.06, 1.34)
WEEKDAY_WEIGHTS = (0.92, 0.90, 0.90, 0.92, 1.00, 1.18, 1.24)
"""January to December; Monday to Sunday."""
WEB_HOURS = (
    9,
    5,
    3,
    2,
    1,
    2,
    5,
    11,
    15,
    14,
    15,
    17,
    23,
    17,
    15,
    15,
    16,
    18,
    22,
    28,
    38,
    44,
    38,
    22,
)
STORE_HOURS = (0,) * 10 + (10, 15, 14, 18, 21, 21, 19, 16, 11, 6) + (0,) * 4
CALL_HOURS = (0,) * 9 + (16, 22, 18, 11, 14, 15, 13, 11, 8) + (0,) * 6
DELIVERY_HOURS = (0,) * 9 + (8, 12, 14, 10, 9, 13, 14, 13, 10, 9, 9, 7) + (0,) * 3

NULL_TOUCHPOINTS = (
    "home_page",
    "category_page",
    "my_page",
    "store",
    "site_search",
    "magazine",
    "buying_guide",
    "review_page",
    "faq_page",
    "store_locator",
    "product_inquiry",
)
"""Being there, or how it went there (a long wait, no result, no answer), changes nothing."""
