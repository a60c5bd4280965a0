"""Features: what each customer did before a moment, as numbers, one row a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import pandas as pd

from cjkit.checks import one_of
from cjkit.engine import Engine, Table, column, text
from cjkit.events import PURCHASE, emotion_sql
from cjkit.labels import Language, display_name, format_number, label
from cjkit.segmentation.assign import DAY_US

Who = Literal["buyers", "everyone"]

MOST_CHANNELS = 8
CHANNEL = "channel_"
TENURE = "known_days"
"""How long a customer is known: it grows by itself, and tells nothing of what they do."""

_FINE_LINE = "not coalesce(is_return, false)"
_CLOCKED = "coalesce(time_precision, 'second') <> 'day'"
_INBOUND = "coalesce(direction, 'inbound') <> 'outbound'"

_OF_ORDERS = {
    "orders": "coalesce(bought.orders, 0)",
    "days_between_orders": f"(bought.last_us - bought.first_us) / {DAY_US}.0 / "
    "nullif(bought.orders - 1, 0)",
    "recency_days": "cast(floor(({as_of} - bought.last_us) / {day}.0) as bigint)",
    "revenue": "coalesce(bought.revenue, 0)",
    "average_order_value": "bought.gross / nullif(bought.orders, 0)",
    "categories": "coalesce(bought.categories, 0)",
    "return_rate": "bought.returned * 1.0 / nullif(bought.lines, 0)",
    "discount_rate": "bought.discounted * 1.0 / nullif(bought.lines, 0)",
}
_OF_EVENTS = {
    "visits": "coalesce(done.visits, 0)",
    "seen_days_ago": "({as_of} - done.last_us) / {day}.0",
    "known_days": "({as_of} - done.first_us) / {day}.0",
    "actions_a_visit": "done.actions * 1.0 / nullif(done.visits, 0)",
    "touchpoints": "coalesce(done.touchpoints, 0)",
    "purchases_a_visit": "done.purchases * 1.0 / nullif(done.visits, 0)",
    "evening_share": "done.evening * 1.0 / nullif(done.clocked, 0)",
    "weekend_share": "done.weekend * 1.0 / nullif(done.actions, 0)",
    "answer_rate": "done.answers * 1.0 / nullif(done.messages, 0)",
    "support_contacts": "coalesce(done.support, 0)",
}
_OF_FEEDBACK = {"ratings": "coalesce(said.ratings, 0)", "emotion": "said.emotion"}

KINDS: Mapping[str, tuple[str, ...]] = {
    "frequency": ("orders", "visits", "days_between_orders", "purchases_a_visit"),
    "recency": ("recency_days", "seen_days_ago"),
    "value": ("revenue", "average_order_value", "categories"),
    "tenure": (TENURE,),
    "time": ("evening_share", "weekend_share"),
    "returns": ("return_rate",),
    "discounts": ("discount_rate",),
    "support": ("support_contacts",),
    "feedback": ("ratings", "emotion"),
    "shape": ("actions_a_visit", "touchpoints", "answer_rate"),
}
"""Which features tell of the same; those of channels (`channel_<name>`) are the kind `channel`."""


@dataclass(frozen=True)
class Features:
    """What `read_features` found: a row of numbers for each customer, on the engine.

    Attributes
    ----------
    table : DataFrame, one row for each feature
        `feature`, `kind` (which features tell of the same), `customers` (those who have a value),
        `known_share` (of all, 0 to 1) and `mean` (of those who have one).
    customers : Table
        On the engine: `customer_id` and a column for each feature, as `read_features` says.
    everybody : int
        The customers.
    as_of_us : int
        The moment, in microseconds since 1970, before which everything counts.
    sql : tuple of str
    """

    table: pd.DataFrame
    customers: Table
    everybody: int
    as_of_us: int
    sql: tuple[str, ...]

    counts: ClassVar[dict[str, tuple[str, ...]]] = {"customers": ("known_share", "mean")}

    @property
    def formats(self) -> dict[str, Any]:
        """What the columns hold whose names do not say it."""
        return {"feature": feature_name, "kind": "feature_kind", "mean": "precise"}

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in the order of the table."""
        return tuple(self.table["feature"])

    def finding(self, language: Language) -> str:
        """Say how many customers are described by how many numbers."""
        return label(
            "features_finding",
            language,
            customers=format_number(self.everybody, language),
            features=format_number(len(self.table), language),
        )


def feature_name(feature: str, language: Language) -> str:
    """Return how readers call a feature; that of a channel has the channel's name in it."""
    if feature.startswith(CHANNEL):
        channel = display_name(feature.removeprefix(CHANNEL), "channel", language)
        return label("feature_of_channel", language, channel=channel)
    return display_name(feature, "feature", language)


def read_features(
    orders: Table,
    events: Table | None = None,
    feedback: Table | None = None,
    *,
    as_of_us: int | None = None,
    who: Who = "buyers",
    support: Sequence[str] = (),
    channels: Sequence[str] | None = None,
    name: str = "features",
) -> Features:
    """Describe each customer by what they did before a moment.

    =====================  =========================================================================
    `orders`               orders that are no returns (`order_id`)
    `days_between_orders`  mean days between them; missing for one order
    `recency_days`         whole days (of 24 hours) since the last
    `revenue`              net of returns
    `average_order_value`  revenue before returns, an order
    `categories`           different categories bought
    `return_rate`          returned lines for each bought line
    `discount_rate`        bought lines with a discount
    `visits`               sessions in which the customer did something (not: got a message)
    `seen_days_ago`, `known_days`  days since the last and the first such event
    `actions_a_visit`      such events for each visit
    `touchpoints`          different touchpoints
    `purchases_a_visit`    purchases for each visit
    `evening_share`        of such events with a time of day, those from 18:00 on, local time
    `weekend_share`        of such events, those on Saturday and Sunday, local time
    `answer_rate`          events in channels that send messages, for each message
    `support_contacts`     events of `support`
    `channel_<name>`       of such events, those in this channel: the most used channels
    `ratings`, `emotion`   answers with a score, and their mean from -1 (worst) to 1 (best)
    =====================  =========================================================================

    A number that cannot be known is missing: emotion of who said nothing, a rate of nothing.

    Parameters
    ----------
    orders : Table
        Reads `customer_id`, `order_id`, `ordered_us`, `revenue`, `is_return`, `category`,
        `discount`.
    events : Table, optional
        Reads `customer_id`, `event`, `occurred_us`, `session_no`, `channel`, `touchpoint`,
        `direction`, `time_precision`, `local_hour`, `local_weekday`.
    feedback : Table, optional
        Reads `customer_id`, `given_us`, `metric`, `score`, `score_max`, `emotion`.
    as_of_us : int, optional
        Only what is before this moment counts; default just after the last order or event.
    who : {'buyers', 'everyone'}
        Those with an order, or all who ever did something.
    support : sequence of str
        The events by which people ask for help.
    channels : sequence of str, optional
        Which channels have a share; default the eight in which most customers did something. Give
        those of an earlier result to compare with it.
    name : str, default 'features'
        What the customers' table is called on the engine; one of that name is replaced.

    Raises
    ------
    CjkitError
        When `who` is none of these.
    """
    one_of("who", who, get_args(Who))
    engine = orders.engine
    sql: list[str] = []
    if as_of_us is None:
        as_of_us = _end_of(orders, events)
    parts = {"bought": _bought_sql(orders, as_of_us)}
    columns = dict(_OF_ORDERS)
    if events is not None:
        if channels is None:
            found, ask = _channels(events, as_of_us)
            channels, sql = found, [ask]
        senders = engine.query(
            f"select distinct channel from {events} where direction = 'outbound'"
        )["channel"].dropna()
        parts["done"] = _done_sql(events, as_of_us, support, channels, sorted(senders))
        columns |= _OF_EVENTS
        columns |= {
            f"{CHANNEL}{channel}": f"done.channel_{place} * 1.0 / nullif(done.actions, 0)"
            for place, channel in enumerate(channels)
        }
    if feedback is not None:
        parts["said"] = _said_sql(feedback, as_of_us)
        columns |= _OF_FEEDBACK
    listed = ", ".join(
        f"{formula.format(as_of=as_of_us, day=DAY_US)} as {column(feature)}"
        for feature, formula in columns.items()
    )
    made = _made_sql(parts, listed, who)
    customers = engine.materialize(name, made)
    table, everybody, summary = _summary(engine, customers, list(columns))
    return Features(table, customers, everybody, as_of_us, (*sql, made, summary))


def _end_of(orders: Table, events: Table | None) -> int:
    ends = [f"select max(ordered_us) as us from {orders}"]
    if events is not None:
        ends.append(f"select max(occurred_us) as us from {events}")
    last = orders.engine.query(f"select max(us) as us from ({' union all '.join(ends)}) as ends")
    return 0 if pd.isna(last["us"].iloc[0]) else int(last["us"].iloc[0]) + 1


def _channels(events: Table, as_of_us: int) -> tuple[list[str], str]:
    sql = f"""
        select channel, count(distinct customer_id) as customers from {events} as log
        where channel is not null and {_INBOUND} and occurred_us < {as_of_us}
        group by channel order by customers desc, channel limit {MOST_CHANNELS}"""
    return sorted(events.engine.query(sql)["channel"]), sql


def _bought_sql(orders: Table, as_of_us: int) -> str:
    return f"""
        select customer_id, sum(revenue) as revenue,
            count(distinct case when {_FINE_LINE} then order_id end) as orders,
            sum(case when {_FINE_LINE} then revenue end) as gross,
            min(case when {_FINE_LINE} then ordered_us end) as first_us,
            max(case when {_FINE_LINE} then ordered_us end) as last_us,
            count(distinct category) as categories,
            count(case when {_FINE_LINE} then 1 end) as lines,
            count(case when is_return then 1 end) as returned,
            count(case when {_FINE_LINE} and discount > 0 then 1 end) as discounted
        from {orders} as lines
        where customer_id is not null and ordered_us < {as_of_us} group by customer_id"""


def _done_sql(
    events: Table,
    as_of_us: int,
    support: Sequence[str],
    channels: Sequence[str],
    senders: Sequence[str],
) -> str:
    """Write the SQL of what each customer did, sessions first: a session is counted once."""
    asked = f"event in ({', '.join(map(text, support))})" if support else "false"
    answers = f"channel in ({', '.join(map(text, senders))})" if senders else "false"
    shares = "".join(
        f", count(case when {_INBOUND} and channel = {text(channel)} then 1 end) as channel_{place}"
        for place, channel in enumerate(channels)
    )
    return f"""
        select customer_id,
            count(distinct case when {_INBOUND} then session_no end) as visits,
            count(distinct case when {_INBOUND} then touchpoint end) as touchpoints,
            min(case when {_INBOUND} then occurred_us end) as first_us,
            max(case when {_INBOUND} then occurred_us end) as last_us,
            count(case when {_INBOUND} then 1 end) as actions,
            count(case when event = {text(PURCHASE)} then 1 end) as purchases,
            count(case when {_INBOUND} and {_CLOCKED} then 1 end) as clocked,
            count(case when {_INBOUND} and {_CLOCKED} and local_hour >= 18 then 1 end) as evening,
            count(case when {_INBOUND} and local_weekday >= 6 then 1 end) as weekend,
            count(case when not {_INBOUND} and {answers} then 1 end) as messages,
            count(case when {_INBOUND} and {answers} then 1 end) as answers,
            count(case when {asked} then 1 end) as support{shares}
        from {events} as log where occurred_us < {as_of_us} group by customer_id"""


def _said_sql(feedback: Table, as_of_us: int) -> str:
    return f"""
        select customer_id, count(felt) as ratings, avg(felt) as emotion
        from (select customer_id, {emotion_sql()} as felt from {feedback} as feedback
            where customer_id is not null and given_us < {as_of_us}) as answers
        group by customer_id"""


def _made_sql(parts: Mapping[str, str], listed: str, who: Who) -> str:
    """Write the SQL of the features: the parts, joined, of the people whom they are about."""
    everyone = who == "everyone" and "done" in parts
    known = "coalesce(bought.customer_id, done.customer_id)" if everyone else "bought.customer_id"
    joined = f"({parts['bought']}) as bought"
    for name, sql in parts.items():
        if name == "done" and everyone:
            joined += f" full outer join ({sql}) as done on done.customer_id = bought.customer_id"
        elif name != "bought":
            joined += f" left join ({sql}) as {name} on {name}.customer_id = {known}"
    acted = " or done.actions > 0" if everyone else ""
    return f"select {known} as customer_id, {listed} from {joined} where bought.orders > 0{acted}"


def _summary(
    engine: Engine, customers: Table, names: Sequence[str]
) -> tuple[pd.DataFrame, int, str]:
    known = ", ".join(
        f"count({column(name)}) as n_{place}, avg({column(name)}) as mean_{place}"
        for place, name in enumerate(names)
    )
    sql = f"select count(*) as everybody, {known} from {customers} as features"
    row = engine.query(sql).iloc[0]
    everybody = int(row["everybody"])
    table = pd.DataFrame(
        {
            "feature": names,
            "kind": [kind_of(name) for name in names],
            "customers": [int(row[f"n_{place}"]) for place in range(len(names))],
        }
    )
    table["known_share"] = table["customers"] / (everybody or float("nan"))
    table["mean"] = [float(row[f"mean_{place}"]) for place in range(len(names))]
    return table, everybody, sql


def kind_of(feature: str) -> str:
    """Return the kind of a feature; of another number its own name."""
    if feature.startswith(CHANNEL):
        return "channel"
    return next((kind for kind, features in KINDS.items() if feature in features), feature)
