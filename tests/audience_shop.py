"""A small shop whose people go out to other systems: one reason each for and against."""

from __future__ import annotations

import json
from pathlib import Path

from companies import make_keyed_company

HEAD = """
[project]
id = "tiny"
name = { en = "Tiny", ja = "小さな店" }
time_zone = "Asia/Tokyo"
currency = "JPY"
[consent]
missing = "allow"
[privacy]
key_file = "own.key"
[identity]
login = { strength = "strong" }
mail = { strength = "strong" }
tel = { strength = "strong" }
sf = { strength = "strong" }
cookie = { strength = "weak" }
[events]
view = {}
add = {}
send = { channel = "email" }
"""
MAIL = 'mail = { column = "mail", normalise = "email" }'
AT = '{ column = "at", time = "iso" }'
SOURCES = {
    "crm": (
        f'login = "login", {MAIL}, sf = "sf", '
        'tel = { column = "tel", normalise = "phone", country_code = "81" }',
        "customers",
        'tier = "tier", points = { column = "points", numbers = true }',
        'first = "first", last = "last", zip = { column = "zip", normalise = "postal_code" }',
    ),
    "hits": (
        f'login = "login", {MAIL}, cookie = "cookie"',
        "events",
        f'occurred_at = {AT}, event = "event", product_id = "product", device = "device", '
        'direction = "direction"',
        "",
    ),
    "shop": (
        'login = "login"',
        "orders",
        f'order_id = "order", ordered_at = {AT}, revenue = {{ column = "amount", numbers = true }},'
        ' quantity = { column = "quantity", numbers = true }, product_id = "product", '
        'category = "category", x_name = "name",'
        ' is_return = { when = { column = "kind", is = ["return"] } }',
        "",
    ),
    "consent": (
        f'login = "login", {MAIL}',
        "consents",
        f'purpose = "purpose", given_at = {AT}, '
        'is_granted = { when = { column = "answer", is = ["yes"] } }',
        "",
    ),
}
FILES = {
    "crm": '''login, mail, tel, sf, first, last, zip, tier, points
        ann, Ann.Lee@Example.com, ０９０12345678, 003000000000001AAA, Ann, Lee, 1500001, gold, 12.5
        bob, bob@x.jp, 090-1111-2222, 003000000000002AAA, Bob, Ray, , gold, 1
        cas, cas@x.jp, , , Cas, , , gold, 1
        dee, , , 00Q000000000004AAA, Dee, , , gold, 7
        eve, eve@x.jp, , , Eve, , , silver, 1
        fay, fay@x.jp, 03 1234 5678, 003000000000006AAA, =1+1, "Fay, ""O""", 100-0001, @gold, -5
        gus+1/x, gus@x.jp, , , 楽, , , , ''',
    "hits": """at, login, mail, cookie, event, product, device, direction
        2026-01-02 10:00:00, ann, , c-ann, view, p1, iphone,
        2026-01-10 10:00:00, ann, , c-ann, view, p1, iphone,
        2026-01-10 10:01:00, ann, , c-ann, add, p1, iphone,
        2026-01-10 10:02:00, ann, , c-ann, view, , iphone,
        2026-01-11 10:00:00, bob, , , view, p2, ,
        2026-01-12 10:00:00, fay, , , view, p3, desktop,
        2026-01-24 23:59:59, fay, , , send, , , outbound
        2026-01-25 00:00:00, , eve@x.jp, , send, , , outbound
        2026-01-31 10:00:00, , , c-none, view, p1, ,""",
    "shop": """order, at, login, product, category, quantity, amount, kind, name
        o1, 2026-01-10 11:00:00, ann, p1, lamp, 2, 2000, sale, Lamp
        o1, 2026-01-10 11:00:00, ann, p2, rug, 1, 500.5, sale,
        o2, 2026-01-12 11:00:00, ann, p1, lamp, 1, 1000, return,
        o3, 2026-01-13 11:00:00, bob, p2, rug, 1, 900, sale, Rug""",
    "consent": """login, mail, purpose, answer, at
        ann, , marketing, no, 2025-01-01 00:00:00
        ann, , marketing, yes, 2025-02-01 00:00:00
        bob, , marketing, yes, 2025-02-01 00:00:00
        , bob@x.jp, marketing, no, 2025-01-01 00:00:00
        cas, , analytics, yes, 2025-01-01 00:00:00
        dee, , marketing, yes, 2025-01-01 00:00:00
        eve, , marketing, yes, 2025-01-01 00:00:00
        fay, , marketing, yes, 2025-01-01 00:00:00
        gus+1/x, , marketing, yes, 2025-01-01 00:00:00""",
}


def write_shop(folder: Path, activation: str = "", files: dict[str, str] | None = None) -> Path:
    """Write the shop, with `activation` at the end of its project file, and return that."""
    return make_keyed_company(folder, HEAD, SOURCES, files or FILES, end=activation)


def read_manifest(folder: Path, name: str) -> dict:
    """Return what stands beside the files of an activation."""
    return json.loads((folder / "activation" / name / "manifest.json").read_text("utf-8"))
