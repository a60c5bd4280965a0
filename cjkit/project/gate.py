"""The sections that the gate reads: who is who, and what is wrong with a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from cjkit.checks import Declared, microseconds
from cjkit.labels import Language
from cjkit.project.conditions import Claim

Words = Mapping[Language, str]
Dimension = Literal["completeness", "uniqueness", "validity", "consistency", "timeliness"]


class Namespace(Declared):
    """`[identity.<namespace>]`: what an id of this kind says about who someone is.

    `strong` ids (a login, a loyalty number) merge the people they stand with; `weak` ones (a
    cookie) attach to the one person whom they meet, from `stitch_within` before the first meeting
    on; a `link` (an order number, a click id) merges nobody, but what stood with it meets each
    other. An id that meets more than `most` ids of one strong namespace is nobody's own.
    """

    strength: Literal["strong", "weak", "link"]
    most: int = Field(default=10, ge=1)
    stitch_within: str = "30D"

    @model_validator(mode="after")
    def _stitches(self) -> Namespace:
        if self.strength != "weak" and "stitch_within" in self.model_fields_set:
            raise ValueError("stitch_within goes with strength = 'weak'")
        microseconds(self.stitch_within, name="stitch_within")
        return self


class Likeness(Declared):
    """`[identity.likeness]`: people who share no key, found by their private fields.

    `columns` names fields of the mappings' `[private]`, each with how it is compared; only pairs of
    records that agree in all columns of one of `blocks` are looked at, and learnt from. Links are
    accepted from the likeliest down, as long as each is at least `threshold` likely and all of them
    together are expected to be right at `expected_precision`.
    """

    columns: Mapping[str, Literal["name", "date", "email", "address", "code", "category"]]
    blocks: tuple[tuple[str, ...], ...] = Field(min_length=1)
    threshold: float = Field(0.95, gt=0, lt=1)
    expected_precision: float = Field(0.99, gt=0, lt=1)
    seed: int = 1

    @model_validator(mode="after")
    def _blocks_are_columns(self) -> Likeness:
        if len(self.columns) < 2:
            raise ValueError("name two columns or more: one alone says too little")
        for name in (name for block in self.blocks for name in block):
            if name not in self.columns:
                raise ValueError(f"blocks names {name!r}, which is none of its columns")
        for name in self.columns:
            if all(name in block for block in self.blocks):
                raise ValueError(f"leave {name!r} out of one of blocks: else it teaches nothing")
        return self


class LinkingSection(Declared):
    """`[identity]` beside its namespaces: pairs fixed by hand, likeness, and when to warn.

    `pins` is a CSV file. A person with more than `alarm` ids is reported.
    """

    pins: str | None = None
    alarm: int = Field(50, ge=2)
    likeness: Likeness | None = None


class ImpossibleOrder(Declared):
    """`[[quality.order]]`: `then` before `first` of the same `ref_id` is flagged, and kept.

    So is `then` where nothing knows any such `first` at all.
    """

    first: str
    then: str


class QualityRule(Declared):
    """`[[quality.rule]]`: a rule of the project's own, over single rows of one table.

    `when` is a condition as in mappings, over the table's columns; rows that meet it are put in
    `quarantine`, or kept with a `flag`. `words` name the rule, `reason` says why; en and ja each.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    table: str
    when: Claim
    outcome: Literal["quarantine", "flag"]
    words: Words
    reason: Words | None = None
    dimension: Dimension = "validity"


class QualitySection(Declared):
    """`[quality]`: shares (0 to 1) below which a dimension warns, or stops the run; and rules.

    No amount of a sale is above `absurd_amount`; where it is left out, the data say what is absurd.
    `opens` names the events by which people open or follow messages: machines among them are found.
    """

    warn: Mapping[str, float] = {}
    stop: Mapping[str, float] = {}
    order: tuple[ImpossibleOrder, ...] = ()
    rule: tuple[QualityRule, ...] = ()
    absurd_amount: float | None = Field(None, gt=0)
    opens: tuple[str, ...] = ()
