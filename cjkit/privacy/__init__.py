"""Privacy: who agreed to what, pseudonyms for ids, and small groups that stay hidden.

For a data protection officer
=============================
All that cjkit keeps of people lies in the state folder of the project (`[state] dir`, `.cjkit/`
beside journey.toml; mode 0700) and in the reports that it publishes. Nothing is sent anywhere.

What is kept where
------------------
====================  ==============================================================================
`vault.sqlite`        What identifies people: ids of strong namespaces, what mappings name
                      [private], and raw records that the gate set aside. Each value encrypted.
`landed/`             The rows of each input file. People are keyed hashes in them.
`fetched/`            Tables of databases in clear, while a log is prepared; removed when it ends.
`prepared/`           The cleansed log, tables that notebooks saved, and the quarantine, which holds
                      the place of a record, its fault, and no value of it. The last three stay.
`identity/`           Which keyed hashes got which customer_id, so that ids stay as they are.
`forgotten.json`      The keyed hashes of people who must not come back.
`history/`            Scores of past runs, counts of rows; and what a run settled for later ones:
                      borders and centres of segments. Nobody's.
`activation/`         Who was in an audience or held out, and when: keyed hashes.
`corrections.json`    Only where ids are plain: corrected records, which else are in the vault.
`audit/`              Who ran what, when, on which data. A person is a keyed hash, of its own kind.
`spill/`              What an engine puts on the disk while it works; removed when it ends.
reports               Figures of groups. Groups of fewer people than `[privacy] min_cell` are
                      hidden, and so is what they could be calculated from.
====================  ==============================================================================

Free text that customers wrote (reviews, survey answers) stands in the log as it was written, names
in it included: leave such columns out of the mapping, where they must not be there.

Keys
----
One key of 256 bits, made at first use for its owner alone: `[privacy] key_file`, else
`~/.config/cjkit/<project id>.key`, outside the project. Ids are hidden by HMAC-SHA256 under it. The
vault (AES-256-GCM, a random nonce for each value, bound to its row) and the audit log have keys
that are derived from it (HKDF-SHA256). Whoever has the state folder but not the key learns no id.
Keep a backup of the key: without it the vault cannot be read, and every customer_id changes.

With `pseudonyms = "plain"`, for public data only, there is neither key nor vault; ids stand
everywhere as they are, also in `forgotten.json`.

Erasure and access
------------------
`python -m cjkit person JOURNEY.toml --customer WHO` writes all that is held about a person to
standard output. `python -m cjkit forget JOURNEY.toml --customer WHO` removes the person, under all
ids that identity resolution linked, from all of the above, and says how much that was.

- Landed files and prepared logs that hold the person go as a whole. The next prepare makes them
  anew without the person, whose rows it counts as erased; until then no log is there. It is equal
  to that of a company which never knew the person, but for these counts.
- Keyed hashes of the ids stay, so that the exports do not bring the person back. With them stays
  away whatever comes under these ids later: also a person who registers again, and other users of
  a device that was the person's.
- If it is killed, the next prepare, report, person or forget finishes it before anything else.
- Not touched, but listed: the exports, which belong to the systems that wrote them, reports
  published before, and files for other systems (`[activation] dir`), which hold people in clear
  until they are removed. Not known to cjkit, and so not listed: copies and backups of the state
  folder, files that somebody saved from a notebook, blocks of the disk that a file system has not
  yet used again. A report that runs meanwhile fails, and can be run again.
- What somebody else's record says of the person (a referral, a free text) stays. Records that could
  not be read are recognised by ids of six characters or more; a correction of a record goes, and
  the uncorrected record in the export counts again, under the id that it has.

`python -m cjkit audit verify JOURNEY.toml` checks the audit log; `cjkit.privacy.audit` says what it
can and cannot see.
"""

from cjkit.privacy import audit
from cjkit.privacy.consent import answers_sql, denied_sql
from cjkit.privacy.masking import mask, min_cell, set_min_cell
from cjkit.privacy.pseudonyms import (
    derive_key,
    make_pseudonym,
    project_key,
    pseudonym_sql,
    read_key,
)
from cjkit.privacy.sums import Equation, Relation, Rest, Steps, Totals
from cjkit.privacy.vault import Vault, open_vault

__all__ = [
    "Equation",
    "Relation",
    "Rest",
    "Steps",
    "Totals",
    "Vault",
    "answers_sql",
    "audit",
    "denied_sql",
    "derive_key",
    "make_pseudonym",
    "mask",
    "min_cell",
    "open_vault",
    "project_key",
    "pseudonym_sql",
    "read_key",
    "set_min_cell",
]
