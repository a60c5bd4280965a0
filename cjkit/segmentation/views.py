"""Several views of the same customers in one table, for the notebooks after."""

from __future__ import annotations

from collections.abc import Mapping

from cjkit.engine import Table, column


def join_views(
    segments: Table, views: Mapping[str, Table], *, name: str = "segments given"
) -> Table:
    """Return the customers of `segments` with their segment in other views beside it.

    Parameters
    ----------
    segments : Table
        One row for each `customer_id`; all its columns stay.
    views : mapping from column to Table
        Each with `customer_id` and `segment`, one row for each customer: what `measure_lifecycle`,
        `apply_rules` and `find_segments` call `customers`.
    name : str
        What the table is called on the engine; one of that name is replaced.

    Returns
    -------
    Table
        With a column for each view; missing where a view does not know the customer.
    """
    columns = "".join(f", {column(f'{view} view')}.segment as {column(view)}" for view in views)
    joins = "".join(
        f" left join {table} as {column(f'{view} view')}"
        f" on {column(f'{view} view')}.customer_id = own.customer_id"
        for view, table in views.items()
    )
    return segments.engine.materialize(name, f"select own.*{columns} from {segments} as own{joins}")
