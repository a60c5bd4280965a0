"""`check`: tells learners at once whether an answer is right, and helps them on where it is not."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from cjkit.checks import CjkitError
from cjkit.labels import Language, label, languages, set_languages, terms
from cjkit.workshop.answers import compare, is_given
from cjkit.workshop.reading import Chapter, Exercise, read_chapter


@dataclass(frozen=True)
class Verdict:
    """What `check` says of an answer.

    Attributes
    ----------
    is_right : bool
    said : tuple of str
        The verdict itself, then what helps on or what there was to find.
    language : {'en', 'ja'}
    """

    is_right: bool
    said: tuple[str, ...]
    language: Language

    def __repr__(self) -> str:
        return "\n".join(self.said)

    def _repr_html_(self) -> str:
        color = "#2a7f62" if self.is_right else "#b8860b"
        first, *rest = map(_html, self.said)
        lines = "".join(f"<br>{line}" for line in rest)
        return (
            f'<div lang="{self.language}" role="status" style="border-left:.3em solid {color};'
            f'padding:.4em .9em;line-height:1.7;max-width:46em"><b>{first}</b>{lines}</div>'
        )


def _html(prose: str) -> str:
    """Write a line of Markdown as HTML: code, bold and italics, and nothing that data could add."""
    parts = escape(prose).split("`")
    parts[1::2] = [f"<code>{code}</code>" for code in parts[1::2]]
    for place in range(0, len(parts), 2):
        bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", parts[place])
        parts[place] = re.sub(r"\*(.+?)\*", r"<i>\1</i>", bold)
    return "".join(parts)


def begin(name: str, scope: Mapping[str, Any], *, language: Language | None = None) -> Checker:
    """Begin a chapter of the workshop: return the `check` of its exercises.

    Parameters
    ----------
    name : str
        The notebook that the chapter is made of, such as '03_funnel'.
    scope : mapping
        The names of the notebook, from `globals()`: solutions are run on a copy of them, so that
        nothing that a learner names or changes later alters what is right.
    language : {'en', 'ja'}, optional
        In which results and verdicts are shown from here on (default: as the log was opened).

    Returns
    -------
    Checker
        Call it as `check(number, answer)`.

    Raises
    ------
    CjkitError
        When there is no such chapter.
    """
    if language is not None:
        set_languages([language])
    kept = {key: _copied(value) for key, value in scope.items() if not key.startswith("_")}
    return Checker(read_chapter(name), kept, languages()[0])


def _copied(value: Any) -> Any:
    """Return a copy of a list or dict, which a learner may change; else the value itself."""
    if type(value) is list:
        return [_copied(one) for one in value]
    return {k: _copied(one) for k, one in value.items()} if type(value) is dict else value


class Checker:
    """The `check` of one chapter. It remembers what was tried, so that hints can grow."""

    def __init__(self, chapter: Chapter, scope: Mapping[str, Any], language: Language) -> None:
        self._chapter = chapter
        self._scope = scope
        self._language: Language = language
        self._expected: dict[int, Any] = {}
        self._tried: dict[int, list[str]] = {}

    def __call__(self, number: int, answer: Any) -> Verdict:
        """Say whether `answer` to exercise `number` is right.

        The right answer is that of the exercise's solution, run on this log. Each new wrong answer
        brings one more hint; the same one again brings none.

        Raises
        ------
        CjkitError
            When the chapter has no such exercise, or its solution cannot be run on this log.
        """
        numbers = range(1, len(self._chapter.exercises) + 1)
        if number not in numbers:
            allowed = ", ".join(map(str, numbers))
            raise CjkitError(f"check({number!r}, ...): {self._chapter.name} has {allowed}.")
        if not is_given(answer):
            return self._say(False, "workshop_unanswered")
        exercise = self._chapter.exercises[number - 1]
        found = compare(answer, self._solve(exercise), self._names())
        if found.is_right:
            return self._say(True, "workshop_right", exercise.story.get(self._language, ""))
        tried = self._tried.setdefault(number, [])
        if repr(answer) not in tried:
            tried.append(repr(answer))
        remark = found.remark and label(
            found.remark, self._language, right=found.right, of=found.of
        )
        return self._say(False, "workshop_not_yet", remark, *self._hints(exercise, len(tried)))

    def _say(self, is_right: bool, verdict: str, *more: str) -> Verdict:
        said = (label(verdict, self._language), *more)
        return Verdict(is_right, tuple(filter(None, said)), self._language)

    def _hints(self, exercise: Exercise, tried: int) -> list[str]:
        hints = exercise.hints.get(self._language, ())
        shown = [
            label("workshop_hint", self._language, number=i, of=len(hints), hint=hint)
            for i, hint in enumerate(hints[:tried], start=1)
        ]
        return [*shown, label("workshop_no_more", self._language)] if tried > len(hints) else shown

    def _solve(self, exercise: Exercise) -> Any:
        """Return what the solution of an exercise hands to its own check."""
        if exercise.number not in self._expected:
            handed: list[Any] = []
            scope = {
                **self._scope,
                "show": lambda *given, **options: None,
                "check": lambda number, answer: handed.append(answer),
            }
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(exercise.solution, self._chapter.name, "exec"), scope)
            except Exception as error:
                raise CjkitError(
                    f"Exercise {exercise.number} of {self._chapter.name} cannot be solved on this "
                    f"log; it is made for the sample company. {type(error).__name__}: {error}"
                ) from error
            self._expected[exercise.number] = handed[-1]
        return self._expected[exercise.number]

    def _names(self) -> dict[str, list[str]]:
        """Return the words that readers see for a value: of the company, else of the kit."""
        found: dict[str, list[str]] = {}
        for term, words in terms().items():
            if "." in term:
                found.setdefault(term.split(".", 1)[1], []).extend(words.values())
        log = self._scope.get("log")
        for kind in (log.project.names if log else {}).values():
            for value, words in kind.items():
                found.setdefault(value, []).extend(words.values())
        return found
