"""What an activation will write, checked against the project before anything runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from cjkit import sources
from cjkit.activation.targets import Column, Target, read_target
from cjkit.checks import CjkitError, nearest, unknown_name
from cjkit.project import Activation, Content, HoldOut, Project, Quiet

CUSTOMER_ID = "customer_id"
"""The id by which cjkit itself knows people: a target that is told of it knows it from cjkit."""


@dataclass(frozen=True)
class Plan:
    """One activation of a project, with all that its target says.

    Attributes
    ----------
    name : str
        The activation; what people are assigned to goes by this name.
    target : Target
    given : Activation
        What the project file says.
    purpose, hold_out, quiet
        What holds for it, of its own or of all.
    id_column : str
        The column that names the person; empty where no people are in it.
    columns : mapping from name to rule and content
        All columns in the order of the file, but the one of the id.
    """

    name: str
    target: Target
    given: Activation
    purpose: str
    hold_out: HoldOut
    quiet: Quiet | None
    id_column: str
    columns: dict[str, tuple[Column, Content]]

    @property
    def names(self) -> list[str]:
        """The columns of the file, in order."""
        return [*([self.id_column] if self.id_column else []), *self.columns]

    def rule(self, name: str) -> Column:
        """Return what the target says of a column."""
        if name in self.columns:
            return self.columns[name][0]
        return self.target.columns.get(name, Column())

    @property
    def is_of_people(self) -> bool:
        """Whether people are in its files."""
        return self.target.each != "product"


def plan_activation(project: Project, name: str) -> Plan:
    """Say what an activation will write.

    Raises
    ------
    CjkitError
        When the project has no such activation, or it does not fit its target: all faults together.
    """
    if name not in project.activation:
        known = list(project.activation)
        raise unknown_name("activation", name, known, where=f"[activation] of {project.path.name}")
    if not re.fullmatch(r"[\w-]+", name):
        raise CjkitError(
            f"activation.{name!r}: files stand in a folder of its name, so that it may only hold "
            "letters, digits, - and _."
        )
    given = project.activation[name]
    target = read_target(given.target or name)
    faults = list(_faults(project, given, target))
    if faults:
        listed = [f"  - activation.{name}.{fault}" for fault in faults]
        raise CjkitError("\n".join([f"{project.path.name} does not fit {target.system}:", *listed]))
    settings = project.activating
    return Plan(
        name=name,
        target=target,
        given=given,
        purpose=given.purpose or settings.purpose,
        hold_out=given.hold_out or settings.hold_out,
        quiet=given.quiet or (settings.quiet if target.contacts else None),
        id_column=given.id_column or target.id.columns[0] if target.id else "",
        columns=dict(_columns(given, target)),
    )


def check_activations(project: Project) -> list[str]:
    """Return what is wrong with the activations of a project."""
    faults = []
    for name in project.activation:
        try:
            plan_activation(project, name)
        except CjkitError as error:
            faults.append(str(error))
    return faults


def _columns(given: Activation, target: Target) -> Iterator[tuple[str, tuple[Column, Content]]]:
    for name, rule in target.columns.items():
        if name in given.columns:
            yield name, (rule, given.columns[name])
        elif rule.column is not None:
            yield name, (rule, Content(column=rule.column))
    other = Column(longest=target.others.longest if target.others else None)
    for name, content in given.columns.items():
        if name not in target.columns:
            yield name, (other, content)


def _faults(project: Project, given: Activation, target: Target) -> Iterator[str]:
    """Yield what does not fit, each beginning with the key where it stands."""
    yield from _id_faults(project, given, target)
    yield from _column_faults(given, target)
    for name, content in given.columns.items():
        yield from _content_faults(project, f"columns.{name}", content, target)
        pattern = target.columns.get(name, Column()).pattern
        if content.value is not None and not _matches(content.value, pattern):
            yield f"columns.{name}={content.value!r} is not what {target.system} takes there."
    if target.each == "interaction":
        if not given.events:
            kind = next(iter(target.kinds), "Purchase")
            yield f"events is missing: say what goes by which name, as {{ purchase = {kind!r} }}."
        for event, kind in given.events.items():
            if target.kinds and kind not in target.kinds:
                yield f"events.{event}={kind!r} {_none_of(kind, target.kinds, 'event')}"
    elif given.events:
        yield "events is for targets that are told of events."


def _id_faults(project: Project, given: Activation, target: Target) -> Iterator[str]:
    if target.id is None:
        for key in ("id", "id_column", "segment"):
            if getattr(given, key):
                yield f"{key}={getattr(given, key)!r}: no people are in it."
        return
    if given.id is None:
        yield f"id is missing: by which namespace of [identity] does {target.system} know people?"
        return
    column = given.id_column or target.id.columns[0]
    if not target.id.is_open and column not in target.id.columns:
        yield f"id_column={column!r} {_none_of(column, target.id.columns, 'column for ids')}"
    if given.id != CUSTOMER_ID:
        yield from _namespace_faults(project, "id", given.id)
    elif target.columns.get(column, Column()).form is not None:
        yield f"id={given.id!r} is not what {column} takes: name a namespace of [identity]."


def _namespace_faults(project: Project, place: str, name: str) -> Iterator[str]:
    strong = [key for key, rule in project.identity.items() if rule.strength == "strong"]
    if name not in strong:
        yield f"{place}={name!r} {_none_of(name, strong, 'strong namespace of [identity]')}"


def _column_faults(given: Activation, target: Target) -> Iterator[str]:
    others = target.others
    added = [name for name in given.columns if name not in target.columns]
    for name in added:
        if others is None:
            yield f"columns.{name} {_none_of(name, target.columns, 'column of it')}"
        elif not name.startswith(others.prefix):
            yield f"columns.{name}: its name must begin with {others.prefix!r}."
    if others is not None and len(added) < others.least:
        yield f"columns must add {others.least} or more."
    if others is not None and others.most is not None and len(added) > others.most:
        yield f"columns adds {len(added)}: at most {others.most} are allowed."
    if target.id is not None and (own := given.id_column or target.id.columns[0]) in given.columns:
        yield f"columns.{own} is the id's own: say it by id."
    for name, rule in target.columns.items():
        if rule.needed and rule.column is None and name not in given.columns:
            yield f"columns.{name} is missing: the target needs it."


def _content_faults(
    project: Project, place: str, content: Content, target: Target
) -> Iterator[str]:
    if content.id is None and content.private is None:
        return
    if target.each != "person":
        yield f"{place}: rows of a target that is told of {target.each}s have column and value."
    elif content.id is not None:
        yield from _namespace_faults(project, f"{place}.id", content.id)
    elif project.privacy.pseudonyms == "plain":
        yield f"{place}.private: with pseudonyms = 'plain' no private field is kept."
    else:
        kept = {name for each in sources.read_mappings(project).values() for name in each.private}
        if content.private not in kept:
            yield f"{place}.private={content.private!r} " + _none_of(
                str(content.private), sorted(kept), "private field of the mappings"
            )


def _matches(value: str, pattern: str | None) -> bool:
    """Say whether a text matches in capital or small letters: a form may change them."""
    return pattern is None or any(
        re.fullmatch(pattern, each.strip()) for each in (value, value.lower(), value.upper())
    )


def _none_of(given: str, known: Collection[str], what: str) -> str:
    near = nearest(given, known)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"is no {what}.{hint} Known: {', '.join(map(repr, known)) or 'none'}."
