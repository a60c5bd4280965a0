"""Sources: the exports of a company's systems become rows of the contract, by declaration alone.

A *mapping* says in TOML what the columns of one system's exports mean. A new system is a new
mapping, not new code. `shipped_mappings()` lists those that come with cjkit; your own stands in a
file beside `journey.toml` (`mapping = "./till.toml"`) or in it (`[sources.till.mapping]`).
`python -m cjkit check journey.toml` says all that is wrong with it, before anything is read, and
`python -m cjkit map FILE` looks at an export that nobody has described yet.

A whole mapping
---------------
::

    system = "Till receipts"                # in words, for people

    [file]
    encoding = "cp932"
    time_zone = "Asia/Tokyo"

    [ids]                                   # who the person on a record is
    loyalty = "card_no"
    email = { column = "mail", normalise = "email" }

    [private]                               # what only the vault keeps of the person
    name = "holder"

    [[filter]]                              # records left out, counted under this name
    name = "training_mode"
    when = { column = "mode", is = ["training"] }

    [[row]]                                 # what each other record becomes
    table = "orders"
    [row.columns]
    order_id = "receipt_no"
    line_no = "line_no"
    ordered_at = { column = "paid_at", time = "%Y/%m/%d %H:%M" }
    revenue = { multiply = ["unit_price", "quantity"] }
    is_return = { when = { column = "kind", is = ["return", "void"] } }
    channel = { value = "store" }

[file]: how the files are written
---------------------------------
==============  ===================================================================================
`format`        `csv`, `ndjson` (one object a line), `json`, `parquet`, `excel`. Left out, the end
                of each file's name decides.
`encoding`      Any that Python knows, `utf-8` where left out. A byte order mark decides by itself.
`delimiter`     CSV: what divides cells, `,` where left out. `sniff` takes that of comma,
                semicolon, tab and | which divides most cells of the header.
`header_row`    CSV and Excel: the line that holds the column names, 1 where left out.
`header_rows`   CSV and Excel: how many rows hold names, 1 to 3. They are joined, as in
                `Question / Option`; an empty cell goes on with what stands left of it.
`skip_rows`     CSV and Excel: how many rows after the names are no data.
`sheet`         Excel: the sheet, the first where left out.
`records`       JSON: where the list of records is, such as `data.results`. Left out, the file is
                one list, or one object after another.
`nulls`         Texts that mean missing, such as `["null", "(not set)"]`; empty ones always do.
`time_zone`     The zone of times that do not say theirs; `project` is that of journey.toml.
`optional`      `true`: columns that a file lacks are empty, as keys are in JSON.
`names`         What else a column may be called: `names.email = ["E-mail", "メール"]`.
`pairs`         Lists of keys and values: `pairs.params = { key = "key", value = ["value.text",
                "value.number"] }` makes `params.page` the value that stands with `page`.
`fill_down`     `{ columns = ["Email"], within = "Order" }`: an empty cell holds what the records
                above it with the same order hold.
==============  ===================================================================================

Names of columns
----------------
A column is named as its header has it; upper and lower case may differ. In JSON, and in cells or
Parquet columns that hold JSON, lists or structures, dots lead inside and numbers count from 0:
`geo.country`, `items.0.price`. A missing column is an error. In JSON, which leaves out what is
empty, and where `file.optional` says so, it is one where a required column of a row that is made
needs it and no record of the file has it.

[ids]: who the person is
------------------------
`namespace = column`, the most trusted first. The first id that a record has names its person; all
that it has are linked. A namespace needs its `[identity.<namespace>]` in journey.toml. Ids are
landed as keyed hashes only. A record that merges two ids of one kind names the second otherwise:
`merged_into = { column = "new_no", namespace = "crm" }`. Whoever has an e-mail at one of
`[company] staff_domains` is staff. `normalise` says how spellings are made one:

===============  ==================================================================================
`text`           Where nothing is said. NFKC (full and half width become one), hyphens and minus
                 signs `-`, a dash between two kana ー, spaces of every kind one space and none at
                 the ends, nothing invisible.
`name`           For comparing: as `text`, but no spaces, small letters, new forms of kanji (髙 is
                 高, 邉 is 辺), katakana for hiragana.
`email`          As `text`, without spaces, in small letters, the domain as people read it.
`phone`          `+81312345678`, or `+81312345678;ext=12` (ext., 内線). `country_code = "81"` says
                 which country a number without + is in; a leading 00 is a +.
`postal_code`    As `text`, without 〒 and spaces, in capitals; seven digits as `123-4567`.
`exact`          As it stands.
===============  ==================================================================================

What is no address, no number or no postal code (the libraries email-validator and phonenumbers
say so) still is an id, in plain spelling or as its digits, so that nobody is lost; its rows name
it in `unreadable`, as `ids.email`.

[private]: what only the vault keeps
------------------------------------
`name = "氏名"`, `address = { join = ["都道府県", "住所"] }`: what identifies or reaches the person
on a record (names, addresses, phone numbers, birth dates), under any name in small letters, its
spellings made one as those of ids. It goes into the encrypted vault and nowhere else: no landed
row, no log, no report holds it. A column that is private cannot fill one of [row.columns] as well,
except as a part of a join or to decide a `when`.

[[filter]] and `when`: conditions
---------------------------------
A condition names a `column` and holds when all that it says does: `is = [...]`, `is_not = [...]`,
`starts_with`, `ends_with`, `contains`, `matches` (a regular expression, anywhere in the text),
`present = true`, `below`, `above` (numbers). Only `is_not` and `present = false` hold of what is
missing. `{ not = {...} }` turns one around; a list of conditions holds when all do. The first
filter that holds takes the record out. Records that no [[row]] applies to are counted as `no_row`.

[[row]]: what a record becomes
------------------------------
Every [[row]] makes one row of its `table` from each record that its `when` (all, where left out)
holds of. With `each = "items"` it makes one of each element of that list: `items.price` is then
what the element holds, `items` the element itself, `{ position = true }` its place from 1. A text
is divided by `each = { column = "contacts", separator = ";" }`. `ids` chooses and orders namespaces
for this row; `[]` means that it has no person. `unique` names columns, or namespaces, whose values
together name the thing that the row is about: the same values again are the same thing.
`[row.columns]` fills columns of the contract (`cjkit.events.CONTRACT`); beside them `x_*`, and any
name for customers.

[row.columns]: where values come from
-------------------------------------
===========================================  =======================================================
`"amount"`                                   the column, read as the contract's column wants it
`{ column = "amount", ... }`                 the same, with more to say
`{ value = "email" }`                        always this
`{ join = ["a", "b"], separator = "-" }`     texts joined; a missing part leaves its place empty
`{ first = ["mail", "contact_mail"] }`       the first that is not missing
`{ multiply = ["n", "price"] }`              numbers; also `add`, `subtract`; one that lacks a part
                                             is missing
`{ seconds_between = ["in", "out"], ... }`   from one time to another; `time` says how both are
                                             written
`{ position = true }`                        the place in the list of `each`, from 1
`{ when = {...} }`                           whether a condition holds
===========================================  =======================================================

More to say of a text (`column`, `join`, `first`); the first two also of ids and private fields:

`replace = { "午前" = "AM" }`
    Pieces of the text that become others, in order, before all else.
`extract = "^zcrm_(.+)"`
    The text is what the group of a regular expression finds; what it does not find is missing.
`codes = { open = "open_email" }`
    What each text stands for; `""`, on either side, is what is missing. For other texts `else`
    stands; `keep = true` leaves them as they are; without either the row is set aside as
    `unknown_code`.
`nulls = ["118"]`
    Texts that mean missing here.
`normalise = "text"`
    Spellings are made one, as of ids, before anything else is done: for words that people wrote.
`numbers = true`
    A column that the contract does not know holds numbers. Numbers may have full-width digits, a
    currency, commas between thousands, and parentheses or a triangle for minus. A comma is never a
    decimal point.
`clock = true`
    A number of seconds may be written as `1:02:03` or `02:03`.
`time = "..."`
    How a time is written; a list is tried in order. `iso` (`2024-05-01T09:58:12Z`, `2024-05-01
    09:58`, `2024/5/1`, with an offset or without), `epoch_s`, `epoch_ms`, `epoch_us`, a pattern
    such as `%Y/%m/%d %H:%M` (`%z` for an offset), or a unit (`hours`, `days`, ...) counted from
    `since = "2018-07-01T00:00:00Z"`. A time without a zone is in `file.time_zone`; without that
    it is refused. A time that the clocks skipped counts on as if they had not been put forward;
    one that came twice is the second. A day stands at its local midnight, and is kept as a day
    (`time_precision`); `precision = "day"` makes a day of a time.
`plus = { column = "valid_days", unit = "days" }`
    What is added to a time; also `value = 30`.

A value that is there and cannot be read is missing, and its row says so (`unreadable`).

[events.<event>]: where events belong
-------------------------------------
`open_email = { touchpoint = "newsletter", channel = "email", stage = "interest" }`, as [events] of
journey.toml, which wins: for events whose rows leave it open.

like: a mapping that is nearly another
--------------------------------------
`like = "qualtrics"`, or a path: what the mapping says itself wins, name by name in each table; its
filters and rows come after those of the other. In journey.toml::

    [sources.survey.mapping]
    like = "qualtrics"
    file.names.nps = ["Q5"]                 # which question is the recommendation

Tables of databases
-------------------
A mapping reads a table as it reads a file; what [file] says of how a file is written means nothing
then. In journey.toml::

    [sources.orders]
    url = "${SHOP_DB}"                      # the environment variable that holds the URL
    table = "public.orders"                 # or query = "select ..."
    updated = "updated_at"                  # where the table has such a column
    mapping = "./orders.toml"

The URL is `postgresql://USER:PASSWORD@HOST/DATABASE`, `mysql://...`, or that of any database for
which a SQLAlchemy dialect is installed; it is never shown. `?sslmode=verify-full&sslrootcert=FILE`
behind it makes sure of PostgreSQL's server; without it a connection is encrypted where the server
can. All columns are read, and values become the texts that a CSV export would hold: an instant
(`timestamptz`, MySQL's `timestamp`) says its zone, other times are in `file.time_zone`; decimals
keep their digits; booleans are `true` and `false` (1 and 0 in MySQL); JSON, arrays and structures
are JSON, into which dots lead; bytes are hexadecimal digits. Records are numbered in the order of
the primary key, and where there is none, or a query, in that of their columns from left to right,
as texts.

The table is read whole, row after row, whenever the log is prepared, and landed again when any row
changed: what was deleted there leaves the log. With `updated` it is only asked how many rows it has
and what is the latest there, and read when one of them is another: every change must change one.

[lookup.<name>]: columns of another source
------------------------------------------
`source = "offers"`, `key = "id"` (there), `on = "offer_id"` (here): the columns of the first record
there with this key can be named as `<name>.<column>`. A source that is only looked up needs no
[[row]].
"""

from cjkit.sources.checking import read_mapping, shipped_mappings
from cjkit.sources.databases import forget_tables
from cjkit.sources.describing import FileLook, describe
from cjkit.sources.landing import Landed, event_places, land, read_mappings
from cjkit.sources.ledgers import Ledger
from cjkit.sources.mapping import SourceMapping
from cjkit.sources.proposing import Proposal, propose
from cjkit.sources.raw import read_raw
from cjkit.sources.texts import comparable

__all__ = [
    "FileLook",
    "Landed",
    "Ledger",
    "Proposal",
    "SourceMapping",
    "comparable",
    "describe",
    "event_places",
    "forget_tables",
    "land",
    "propose",
    "read_mapping",
    "read_mappings",
    "read_raw",
    "shipped_mappings",
]
