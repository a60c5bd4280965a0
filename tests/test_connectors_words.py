"""Whoever uses a mapping that comes with cjkit reads words for what it calls things."""

from pathlib import Path

import pytest

from cjkit.labels import LANGUAGES, display_name
from cjkit.sources import read_mapping, shipped_mappings

KINDS = {name: name for name in ("event", "touchpoint", "channel", "device", "metric")} | {
    "acquired_channel": "channel"
}


def values_of(mapping):
    """Return what a mapping itself calls things: kind and value."""
    found = {("event", name) for name in mapping.events}
    for place in mapping.events.values():
        found |= {(kind, value) for kind, value in place.model_dump().items() if value}
    for row in mapping.rows:
        for name, value in row.values.items():
            said = [value.value, value.else_, *(value.codes or {}).values()]
            if name in KINDS:
                found |= {(KINDS[name], str(each)) for each in said if each not in (None, "")}
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_shipped_mapping_calls_things_has_words(language):
    shipped = [name for name in shipped_mappings() if not name.startswith("sample/")]
    found = set()
    for name in shipped:
        found |= values_of(read_mapping(name, folder=Path(), place=name, time_zone="Asia/Tokyo"))
    assert len(found) > 150
    raw = sorted(pair for pair in found if display_name(pair[1], pair[0], language) == pair[1])
    assert not raw
