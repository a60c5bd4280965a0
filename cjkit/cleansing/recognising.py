"""Recognising people in texts that are no rows: records that could not be read, lines by hand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from cjkit import sources
from cjkit.privacy import make_pseudonym, project_key
from cjkit.project import Project
from cjkit.sources.texts import normal_form

_FEWEST = 6
"""An id shorter than this stands in too many texts to be somebody's trace."""
_CELLS, _WORDS = re.compile(r'[,;\t|"\\\[\]{}]+'), re.compile(r"[\s:=<>()']+")
_PHONE = re.compile(r"[+(0-9][0-9 ().-]{7,}[0-9]")


def recogniser(project: Project) -> Callable[[str], set[str]]:
    """Return what finds in a text the `person_key` of everything that may be an id.

    Each cell, each word and each phone number of it is normalised and hidden as landing does with
    each id of each mapping. Of these keys, those that somebody has are that person's.
    """
    key = project_key(project)
    rules = {
        (mapping.namespace(name), rule.normalise, rule.country_code): rule
        for mapping in sources.read_mappings(project).values()
        for name, rule in mapping.ids.items()
    }

    def recognise(text: str) -> set[str]:
        found = set()
        for part in set(_parts(text)):
            for (name, *_), rule in rules.items():
                form, _ = normal_form(part, rule)
                if form is not None:
                    hidden = form if key is None else make_pseudonym(form, key)
                    found.add(f"{name}:{hidden}")
        return found

    return recognise


def _parts(text: str) -> Iterator[str]:
    """Yield what in a text may be an id."""
    plain = unicodedata.normalize("NFKC", text)
    yield from _PHONE.findall(plain)
    for cell in _CELLS.split(plain):
        for part in (cell.strip(), *_WORDS.split(cell)):
            if len(part) >= _FEWEST:
                yield part
