"""What goes back to other systems: audiences, profiles, products and events, as files.

`python -m cjkit activate JOURNEY.toml NAME` writes what `[activation.NAME]` of the project file
says. Nothing is ever sent: somebody takes the files to the system::

    [activation]
    dir = "activation"                                  # where files stand, for you alone
    hold_out = { share = 0.1, seed = 1 }                # who is left alone, to measure the effect
    quiet = { within = "7D", events = ["send_email"] }  # who was contacted lately
    [activation.vip]
    target = "hubspot"                                  # one of `list_targets()`
    id = "email"                                        # a strong namespace of [identity]
    segment = ["champions"]                             # as a report saved it
    [activation.vip.columns]
    "Membership tier" = "tier"                          # of customers, or of the saved segments
    "First Name" = { private = "first_name" }           # of the mappings' [private]
    "Phone Number" = { id = "phone" }                   # an id of another namespace
    "Lead Status" = { value = "NEW" }                   # the same in every row

`cjkit.project.Activation` says what else may stand there. Rows of a target are people, interactions
with products (`events` says how it calls which event, purchases are lines of orders), or products.
`targets/*.toml` say what each system takes; a new system is a new file there, nearly always without
code (`cjkit.activation.targets` is the language, `cjkit.activation.forms` says how values are
written).

Who is in a file
----------------
Of the people who were chosen (`segment`), those who agreed to the purpose (`[activation] purpose`,
which is `marketing`): of each id the latest record counts, and a denial under any linked id wins.
Of these, who has an id in the namespace that the target knows (`id`), resolved through the vault;
then who was not contacted lately (`quiet`), where the target leads to contacts; then who is not
held out (`hold_out`). `Activated.table` counts each reason, and adds up.

Whom nothing reaches
--------------------
`hold_out = { share = 0.1, seed = 1 }` keeps one in ten aside, by a keyed hash of the customer. The
same seed and share keep the same people aside in all activations. Whoever was in a file, or held
out, is remembered with the time, and stays in that arm; the table `assignments` of the log has them
(`experiment` is the name of the activation, `arm` is `audience` or `hold_out`), so that what both
do afterwards can be compared. Those who were set aside for another reason are in neither arm. In a
notebook, once the log reaches beyond that time::

    cjkit.show(cjkit.activation.measure_hold_out(log, "vip", conversion="purchase", within="30D"))

Where files are
---------------
In `[activation] dir` (mode 0700), one folder for each activation, with a `manifest.json`. They hold
people in clear: remove them when they have been taken over. A run replaces the files of the run
before, whole or not at all. `python -m cjkit forget` lists those that may still hold a person.
"""

from cjkit.activation.activate import Activated, activate, find_files
from cjkit.activation.effects import HoldOutEffect, measure_hold_out
from cjkit.activation.plan import check_activations, plan_activation
from cjkit.activation.targets import list_targets, read_target

__all__ = [
    "Activated",
    "HoldOutEffect",
    "activate",
    "check_activations",
    "find_files",
    "list_targets",
    "measure_hold_out",
    "plan_activation",
    "read_target",
]
