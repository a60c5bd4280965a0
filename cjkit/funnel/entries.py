"""Every start of a funnel and how far it goes, as SQL."""

from __future__ import annotations

from collections.abc import Sequence

from cjkit.funnel.steps import Ties, step_codes, takes


def entries_sql(taken: str, steps: Sequence[str], ties: Ties, clock: str) -> str:
    """Write the SQL that gives each row of step 1 `at_1_k`: when its earliest chain is at step k.

    From the last step back, `at_i_j` is the earliest time of step j for a chain that is at step i
    here. The earliest next step has the earliest of everything after it, so that the minimum over
    the later rows of each column is the way of that one step.
    """
    codes, last = step_codes(steps), len(steps)
    place = "step_no" if ties == "ordered" else "occurred_us"
    sql = taken
    for i in range(last, 0, -1):
        later = "".join(
            f""", min(at_{i + 1}_{j}) over (partition by customer_id order by {place} desc
                rows between unbounded preceding and 1 preceding) as next_{i + 1}_{j}"""
            for j in range(i + 1, last + 1)
        )
        # Where an instant takes several steps, the longest run of them is the earliest way on.
        ends = range(last, i - 1, -1) if ties == "simultaneous" else (i,)
        ats = ", ".join(
            "case "
            + " ".join(
                f"when {takes(codes[i - 1 : end], ties)} "
                f"then {clock if j <= end else f'next_{end + 1}_{j}'}"
                for end in ends
            )
            + f" end as at_{i}_{j}"
            for j in range(i, last + 1)
        )
        sql = f"""
        select *, {ats}
        from (select *{later} from ({sql}) as from_{i + 1}) as from_{i}"""
    return f"select * from ({sql}) as started where at_1_1 is not null"
