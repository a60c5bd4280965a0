"""Explorers: one call of an analysis whose arguments stand on controls, for a live notebook.

An explorer is never the only way to a figure: above its result stands the call that it makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from cjkit.checks import CjkitError
from cjkit.labels import label, languages
from cjkit.report.show import new_key, render, style

if TYPE_CHECKING:
    from ipywidgets import VBox

DELAY = 0.3
"""Seconds without a further change before the engine is asked."""


def explore(call: str, scope: Mapping[str, Any], **choices: Any) -> VBox:
    """Show what a call returns, and show it anew whenever one of its controls is moved.

    While the engine works the result before is paler and a mark says so; a call that fails shows
    its message in place of a result. Changes that follow each other quickly make one call.

    Parameters
    ----------
    call : str
        Python that returns a result, with a `{place}` for each control, filled as `str.format`
        does: `{by!r}` writes a text with its quotes.
    scope : mapping
        The names that the call uses: in a notebook, `globals()`.
    **choices
        A control for each place: a list of values, `(least, most, step)` for a number, or any
        widget that has a value.

    Returns
    -------
    ipywidgets.VBox
        The controls, the call and its result. A notebook shows it as the last line of a cell.

    Raises
    ------
    CjkitError
        When what is given for a place can be no control.

    Examples
    --------
    >>> import pandas as pd
    >>> scope = {"table": pd.DataFrame({"n": [1, 2, 3]})}
    >>> explorer = explore("table.head({rows})", scope, rows=[1, 2])
    >>> controls, call, result = explorer.children
    >>> controls.children[0].value = 2
    >>> call.value
    '<code>table.head(2)</code>'
    """
    import ipywidgets as widgets

    controls = {name: _control(name, choice) for name, choice in choices.items()}
    told, page = widgets.HTML(), widgets.HTML()
    key, timers = new_key(), list[asyncio.TimerHandle]()

    def written() -> str:
        return call.format(**{name: control.value for name, control in controls.items()})

    def redraw() -> None:
        try:
            shown = render(eval(written(), dict(scope)), languages()[0], key=key)
        except CjkitError as error:
            shown = _failed(str(error))
        except Exception as error:  # ipywidgets would hide it in a log, and leave the result before
            shown = _failed(f"{type(error).__name__}: {error}")
        page.value = f"<style>{style()}</style>{shown}"
        page.remove_class("cj-waiting")
        told.value = f"<code>{escape(written())}</code>"

    def change(_: object) -> None:
        page.add_class("cj-waiting")
        mark = escape(label("calculating", languages()[0]))
        told.value = f'<code>{escape(written())}</code> <span role="status">⏳ {mark}</span>'
        while timers:
            timers.pop().cancel()
        try:
            timers.append(asyncio.get_running_loop().call_later(DELAY, redraw))
        except RuntimeError:  # no notebook waits: this is a script
            redraw()

    for control in controls.values():
        control.observe(change, "value")
    redraw()
    line = widgets.HBox(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap"))
    return widgets.VBox([line, told, page])


def _control(name: str, choice: Any) -> Any:
    """Return the control for a choice, written as `ipywidgets.interact` takes it."""
    from ipywidgets import interactive

    control = interactive.widget_from_abbrev(choice)
    if control is None:
        raise CjkitError(
            f"{name}={choice!r} can be no control: give a list of values, (least, most, step), or "
            "a widget."
        )
    if getattr(control, "index", 0) is None and control.options:
        control.index = 0  # where the first value is None, no value was chosen
    control.description = control.description or name
    control.style.description_width = "initial"
    return control


def _failed(message: str) -> str:
    return f'<p class="cj-nothing" role="alert">{escape(message)}</p>'
