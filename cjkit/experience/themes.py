"""Themes: what people write about, found in their own words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table, text
from cjkit.events import Period, emotion_sql
from cjkit.experience.asking import during
from cjkit.experience.emotion import stage_sql
from cjkit.labels import (
    MISSING,
    Language,
    display_name,
    format_number,
    format_percent,
    format_sizes,
    label,
)
from cjkit.plots.rates import draw_rates
from cjkit.statistics import mean_interval, one_thread, wilson_interval

_TERMS_OF_A_THEME = 3
_WEAKEST_TERM = 0.2  # of the strongest one's weight
_FEWEST_TEXTS = 50
_LONGEST_QUOTE = 80

# Japanese has no spaces: runs of kanji or katakana are its nouns, near enough to name a theme.
_TERM = re.compile(r"[一-龯々]{2,}|[ァ-ヴー]{2,}|[a-z][a-z'’]{2,}")
_PRIVATE = (
    (re.compile(r"\S+@\S+|https?://\S+|www\.\S+"), "●"),
    (re.compile(r"[0-9０-９][0-9０-９,，.．\-－ー‐ ]*"), "●"),
    (re.compile(r"[一-龯々ァ-ヴーA-Za-z]{1,8}(?=様|さん|氏|くん|君|ちゃん)"), "●"),
    (re.compile(r"\b(Mr|Mrs|Ms|Dr)\.? +[A-Z]\w*"), r"\1 ●"),
)


@dataclass(frozen=True)
class Themes:
    """What `find_themes` found: what people write about, and how they feel then.

    Attributes
    ----------
    table : DataFrame, one row for each language and theme
        `text_language`, `theme` (its three strongest words), `answers` (texts of which it is the
        main theme), `customers` (people who wrote them), `share` of all texts of the language (0 to
        1) with `share_low` and `share_high` (Wilson), `emotion` (mean from -1 to 1 of those with a
        score) with `emotion_low` and `emotion_high` (Student), `touchpoint` and `stage` (those that
        most of them are about) and `example` (the most typical text without figures, addresses and
        names; empty unless it was asked for). Most frequent first within each language.
    texts : int
        The texts that were read, also those without a theme.
    by : None
        Themes are of everybody.
    sql : tuple of str
        The statement that drew the texts.
    method : str
        What follows it.
    """

    table: pd.DataFrame
    texts: int
    by: None
    sql: tuple[str, ...]
    method: str = "TF-IDF of words and non-negative matrix factorisation"

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "customers": (
            *("theme", "answers", "share", "share_low", "share_high"),
            *("emotion", "emotion_low", "emotion_high", "touchpoint", "stage", "example"),
        )
    }
    formats: ClassVar[dict[str, str]] = {
        "text_language": "text_language",
        "theme": "text",
        "example": "text",
    }

    def finding(self, language: Language) -> str:
        """Say which frequent theme goes with the worst emotion."""
        known = self.table.dropna(subset="emotion")
        if known.empty:
            return label("no_themes", language)
        row = known.nsmallest(1, "emotion").iloc[0]
        return label(
            "worst_theme",
            language,
            theme=row["theme"],
            answers=format_number(row["answers"], language),
            share=format_percent(row["share"], language),
            emotion=format_number(row["emotion"], language, digits=2),
            low=format_number(row["emotion_low"], language, digits=2),
            high=format_number(row["emotion_high"], language, digits=2),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw each theme's share of the texts of its language."""
        rows = self.table.dropna(subset="share")
        several = rows["text_language"].nunique() > 1
        ax = draw_rates(
            [
                f"{theme} ({display_name(spoken, 'text_language', language)})" if several else theme
                for theme, spoken in zip(rows["theme"], rows["text_language"], strict=True)
            ],
            rows["share"].tolist(),
            rows["share_low"].tolist(),
            rows["share_high"].tolist(),
            format_sizes(rows["answers"], language),
            ax=ax,
        )
        ax.set_title(label("themes_title", language))
        return ax


def find_themes(
    feedback: Table,
    *,
    themes: int = 8,
    most: int = 20_000,
    fewest: int = 5,
    quotes: bool = False,
    stage_of: Mapping[str, str] | None = None,
    period: Period | None = None,
    seed: int = 0,
) -> Themes:
    """Find what people write about, in each language by itself.

    Words that often stand in one text make a theme; a text's main theme is the one that explains
    most of it. English words count in lower case without the commonest; of Japanese, which has no
    spaces, runs of two or more kanji or katakana. Words in fewer than 0.5% of the texts, or in more
    than half, are left out, and so are languages with fewer than 50 texts.

    Parameters
    ----------
    feedback : Table
        The answers. Reads `feedback_id`, `customer_id`, `touchpoint`, `text`, `text_language`,
        `given_us` and what `measure_emotion` reads.
    themes : int, default 8
        How many themes to look for in a language; where it has fewer words, as many as these.
    most : int, default 20_000
        The most texts of a language, drawn by a hash of their ids.
    fewest : int, default 5
        The fewest people who write about a theme: the words of fewer may tell who they are.
    quotes : bool, default False
        Whether a typical text of each theme is shown, shortened, without figures, addresses and
        what stands before a title such as 様. Texts may name people in other ways: ask for quotes
        only where that is agreed.
    stage_of : mapping from touchpoint to stage, optional
        Which stage each touchpoint belongs to; without it stages are missing.
    period : Period, optional
        Only answers given in it count.
    seed : int, default 0
        Which texts are drawn.

    Returns
    -------
    Themes

    Raises
    ------
    CjkitError
        When `themes` is below 2 or `most` below 50.

    Notes
    -----
    Lee and Seung 1999, Nature 401, 788-791; started from the singular vectors (NNDSVDa), so that
    the same texts give the same themes.
    """
    if themes < 2 or most < _FEWEST_TEXTS:
        raise CjkitError(
            f"themes={themes!r}, most={most!r}: ask for 2 themes or more of {_FEWEST_TEXTS} texts "
            "or more."
        )
    sql = f"""
        select feedback_id, customer_id, touchpoint, stage, text, text_language, felt from (
            select *, row_number() over (partition by text_language
                order by md5(feedback_id || {text(f" {seed}")}), feedback_id) as place
            from (select feedback_id, customer_id, touchpoint, text, {stage_sql(stage_of)} as stage,
                    coalesce(text_language, {text(MISSING)}) as text_language,
                    {emotion_sql()} as felt
                from {feedback} as feedback
                where text is not null and {during(period, "given_us")}) as spoken) as numbered
        where place <= {int(most)} order by text_language, place"""
    drawn = feedback.engine.query(sql)
    found = [
        row
        for language, own in drawn.groupby("text_language")
        if len(own) >= _FEWEST_TEXTS
        for row in _themes_of(str(language), own.reset_index(drop=True), themes, fewest, quotes)
    ]
    return Themes(pd.DataFrame(found, columns=_COLUMNS), len(drawn), None, (sql,))


_COLUMNS = [
    *("text_language", "theme", "answers", "customers", "share", "share_low", "share_high"),
    *("emotion", "emotion_low", "emotion_high", "touchpoint", "stage", "example"),
]


def _words(written: str) -> list[str]:
    """Return the words of a text that may name a theme."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return [word for word in _TERM.findall(written.lower()) if word not in ENGLISH_STOP_WORDS]


def _themes_of(
    language: str, texts: pd.DataFrame, themes: int, fewest: int, quotes: bool
) -> list[dict[str, Any]]:
    """Return a row for each theme of the texts of one language, the most frequent first."""
    from sklearn.decomposition import NMF
    from sklearn.feature_extraction.text import TfidfVectorizer

    reader = TfidfVectorizer(analyzer=_words, min_df=max(2, len(texts) // 200), max_df=0.5)
    try:
        weights = reader.fit_transform(texts["text"])
    except ValueError:  # no word is frequent enough
        return []
    number = min(themes, *weights.shape)
    if number < 2:
        return []
    model = NMF(number, init="nndsvda", max_iter=400, tol=1e-3)
    # What is left of a perfect fit may come out a hair below 0, whose root the library takes.
    with one_thread(), np.errstate(invalid="ignore"):
        strength = model.fit_transform(weights)
    names = reader.get_feature_names_out()
    main = np.where(strength.max(axis=1) > 0, strength.argmax(axis=1), -1)
    rows = []
    for place, words in enumerate(model.components_):
        own = texts[main == place]
        if own["customer_id"].nunique() < max(fewest, 1):
            continue
        typical = own.loc[own.index[strength[own.index, place].argmax()], "text"]
        felt = own["felt"].dropna().astype(float)
        low, high = wilson_interval(len(own), len(texts))
        mean_low, mean_high = mean_interval(felt.sum(), (felt**2).sum(), len(felt))
        rows.append(
            {
                "text_language": language,
                "theme": " · ".join(_strongest(names, words)),
                "answers": len(own),
                "customers": own["customer_id"].nunique(),
                "share": len(own) / len(texts),
                "share_low": float(low),
                "share_high": float(high),
                "emotion": felt.mean() if len(felt) else np.nan,
                "emotion_low": max(float(mean_low), -1.0),
                "emotion_high": min(float(mean_high), 1.0),
                "touchpoint": own["touchpoint"].mode().get(0),
                "stage": own["stage"].mode().get(0),
                "example": _redacted(typical) if quotes else "",
            }
        )
    return sorted(rows, key=lambda row: (-row["answers"], row["theme"]))


def _strongest(names: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> list[str]:
    """Return the words that a theme stands on, the strongest first."""
    first = weights.argsort()[::-1][:_TERMS_OF_A_THEME]
    return list(names[first[weights[first] >= _WEAKEST_TERM * weights.max()]])


def _redacted(written: str) -> str:
    """Return a text without figures, addresses and names before a title, shortened."""
    for pattern, instead in _PRIVATE:
        written = pattern.sub(instead, written)
    written = " ".join(written.split())
    return written if len(written) <= _LONGEST_QUOTE else written[: _LONGEST_QUOTE - 1] + "…"
