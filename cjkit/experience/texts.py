"""Emotion from text: learned from a company's own scored answers, used where it has proved good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cjkit.checks import CjkitError
from cjkit.engine import Table, column, text
from cjkit.events import emotion_sql
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
from cjkit.privacy import Relation, Rest
from cjkit.statistics import one_thread, wilson_interval

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

BETTER_BY = 0.1
"""By how much macro-F1 must beat that of guessing."""

_GOOD, _LOW = 0.5, -0.5
_FEWEST_IN_CLASS = 10


@dataclass(frozen=True)
class TextEmotion:
    """What `learn_emotion` found: how far texts tell the emotion that scores tell.

    Attributes
    ----------
    table : DataFrame, one row for each language
        `text_language`, `texts` (answers with a text), `scored` (those with a score or an emotion
        too, of which at most `most` were learned from), `accuracy` (share of held-out texts whose
        class was found, 0 to 1) with `accuracy_low` and `accuracy_high` (Wilson), `macro_f1` (mean
        of F1 over the classes good, neutral and bad, 0 to 1), `guess_f1` (the same of guessing each
        class as often as it occurs: one by the number of classes), `is_reliable` and `estimated`
        (texts without a score that were given an emotion). Missing where too few texts were scored
        to try.
    whose : DataFrame, the same rows
        How many people wrote the `texts`, the `scored` and the `estimated` ones, and those without
        a score (`unscored`); who is not known counts once a text.
    answers : Table
        The answers as they were given, but `emotion` estimated for texts without a score in each
        language that is reliable: what `measure_emotion` and the others read.
    sql : tuple of str
        The statements, in order.
    method : str
        What follows them.
    """

    table: pd.DataFrame
    whose: pd.DataFrame
    answers: Table
    sql: tuple[str, ...]
    method: str = (
        "TF-IDF of 1 to 4 characters and logistic regression, tried on texts that were held out"
    )

    counts: ClassVar[dict[str, tuple[str, ...]]] = {
        "texts": ("scored",),
        "scored": (
            *("accuracy", "accuracy_low", "accuracy_high"),
            *("macro_f1", "guess_f1", "is_reliable"),
        ),
        "estimated": (),
    }
    adds_up: ClassVar[tuple[Relation, ...]] = (Rest("scored", "texts", "unscored"),)
    formats: ClassVar[dict[str, str]] = {
        "text_language": "text_language",
        "macro_f1": "number",
        "guess_f1": "number",
    }

    def finding(self, language: Language) -> str:
        """Say in which languages texts can be trusted."""
        tried = self.table.dropna(subset="macro_f1")
        if tried.empty:
            return label("no_scored_texts", language)
        good = tried[tried["is_reliable"].astype(bool)]
        best = (tried if good.empty else good).nlargest(1, "macro_f1").iloc[0]
        return label(
            "texts_unreliable" if good.empty else "texts_reliable",
            language,
            text_language=display_name(best["text_language"], "text_language", language),
            accuracy=format_percent(best["accuracy"], language),
            f1=format_number(best["macro_f1"], language, digits=2),
            guess=format_number(best["guess_f1"], language, digits=2),
            scored=format_number(best["scored"], language),
            estimated=format_number(good["estimated"].sum(), language),
        )

    def plot(self, *, ax: Axes | None = None, language: Language = "en") -> Axes:
        """Draw how often each language's held-out texts were understood."""
        rows = self.table.dropna(subset="accuracy")
        ax = draw_rates(
            [display_name(value, "text_language", language) for value in rows["text_language"]],
            rows["accuracy"].tolist(),
            rows["accuracy_low"].tolist(),
            rows["accuracy_high"].tolist(),
            format_sizes(rows["scored"], language),
            ax=ax,
        )
        ax.set_xlim(0, 1)
        ax.set_title(label("text_accuracy_title", language))
        return ax


def learn_emotion(
    feedback: Table, *, most: int = 4_000, folds: int = 5, seed: int = 0
) -> TextEmotion:
    """Learn from answers that have a score and a text what texts without a score say.

    A text is good, neutral or bad as its score is: from 0.5 up, between, or to -0.5 on the scale of
    `measure_emotion`. Each language learns by itself, and is tried on texts that it has not seen:
    equal texts stay in one fold. It is reliable where macro-F1 is at least 0.1 above that of
    guessing, which is never below that of always saying the commonest class. Then each text
    without a score gets the mean emotion of the classes, weighted with how likely each is. Classes
    of fewer than 10 texts are left out; with fewer than two classes nothing is learned.

    Parameters
    ----------
    feedback : Table
        The answers. Reads `feedback_id`, `customer_id`, `text`, `text_language` and what
        `measure_emotion` reads.
    most : int, default 4_000
        The most texts of a language to learn from, drawn by a hash of their ids.
    folds : int, default 5
        In how many parts the texts are tried, 2 or more.
    seed : int, default 0
        Which texts are drawn, and which fold each is in.

    Returns
    -------
    TextEmotion

    Raises
    ------
    CjkitError
        When `folds` is below 2, or `most` is below ten times `folds`.

    Notes
    -----
    Texts are estimates for many together: the class of a single text is wrong too often to act on.
    """
    if folds < 2 or most < _FEWEST_IN_CLASS * folds:
        raise CjkitError(
            f"folds={folds!r}, most={most!r}: use 2 folds or more, and "
            f"{_FEWEST_IN_CLASS} texts or more for each."
        )
    engine = feedback.engine
    spoken = f"""
        select feedback_id, customer_id, text,
            coalesce(text_language, {text(MISSING)}) as text_language, {emotion_sql()} as felt
        from {feedback} as feedback where text is not null"""
    wrote = "coalesce(customer_id, feedback_id)"
    count_sql = f"""
        select text_language, count(*) as texts, count(felt) as scored,
            count(distinct {wrote}) as people,
            count(distinct case when felt is not null then {wrote} end) as scored_people,
            count(distinct case when felt is null then {wrote} end) as unscored_people
        from ({spoken}) as spoken group by text_language order by text_language"""
    drawn_sql = f"""
        select text_language, text, felt from (
            select *, row_number() over (partition by text_language
                order by md5(feedback_id || {text(f" {seed}")}), feedback_id) as place
            from ({spoken}) as spoken where felt is not null) as drawn
        where place <= {int(most)} order by text_language, place"""
    table = engine.query(count_sql)
    whose = pd.DataFrame(
        {
            "texts": table.pop("people"),
            "scored": table.pop("scored_people"),
            "estimated": table["unscored_people"],
            "unscored": table.pop("unscored_people"),
        }
    )
    drawn = engine.query(drawn_sql)
    models: dict[str, tuple[Pipeline, pd.Series[Any]]] = {}
    tried = []
    for language in table["text_language"]:
        known = drawn[drawn["text_language"] == language]
        model, means, measured = _learn(known, folds, seed)
        tried.append(measured)
        if model is not None and measured["is_reliable"]:
            models[language] = model, means
    table = table.join(pd.DataFrame(tried, columns=[*_MEASURED]))

    wanted = f"felt is null and text_language in ({', '.join(map(text, models)) or 'null'})"
    unscored = f"select feedback_id, text_language, text from ({spoken}) as spoken where {wanted}"
    estimated = engine.write_table("text emotion", _estimates(engine.batches(unscored), models))
    columns = ", ".join(
        "coalesce(answers.emotion, estimates.estimate) as emotion"
        if name == "emotion"
        else f"answers.{column(name)}"
        for name in feedback.columns
    )
    answers_sql = f"""
        select {columns} from {feedback} as answers
        left join {estimated} as estimates on estimates.feedback_id = answers.feedback_id"""
    answers = engine.materialize("understood feedback", answers_sql)
    per_language = engine.query(
        f"select text_language, count(*) as estimated from {estimated} group by text_language"
    )
    table = table.merge(per_language, "left", "text_language")
    table["estimated"] = table["estimated"].fillna(0).astype("int64")
    return TextEmotion(table, whose, answers, (count_sql, drawn_sql, unscored))


_MEASURED = ("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "guess_f1", "is_reliable")


def _learn(
    known: pd.DataFrame, folds: int, seed: int
) -> tuple[Pipeline | None, pd.Series[Any], dict[str, Any]]:
    """Return what was learned from the texts of one language, each class's mean, and its trial."""
    from sklearn.metrics import accuracy_score, f1_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    unknown = dict.fromkeys(_MEASURED[:-1], np.nan) | {"is_reliable": False}
    felt = known["felt"].to_numpy(float)
    classes = pd.Series(np.where(felt >= _GOOD, 1, np.where(felt <= _LOW, -1, 0)), known.index)
    # A class whose texts are all alike cannot be in two folds.
    distinct = known["text"].groupby(classes).nunique()
    kept = classes.isin(distinct.index[distinct >= max(_FEWEST_IN_CLASS, folds)])
    classes, known = classes[kept], known[kept]
    means = known["felt"].astype(float).groupby(classes).mean()
    if len(means) < 2:
        return None, means, unknown
    texts, truth = known["text"].to_numpy(object), classes.to_numpy()
    parts = list(
        StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(texts, truth, texts)
    )
    with one_thread():
        guessed = cross_val_predict(_model(), texts, truth, cv=parts)
        model = _model().fit(texts, truth)
    low, high = wilson_interval(int((guessed == truth).sum()), len(truth))
    f1, guess_f1 = f1_score(truth, guessed, average="macro"), 1 / len(means)
    measured = {
        "accuracy": accuracy_score(truth, guessed),
        "accuracy_low": float(low),
        "accuracy_high": float(high),
        "macro_f1": f1,
        "guess_f1": guess_f1,
        "is_reliable": bool(f1 >= guess_f1 + BETTER_BY),
    }
    return model, means, measured


def _model() -> Pipeline:
    """Return what learns: characters rather than words, since Japanese has no spaces."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 4), min_df=2, sublinear_tf=True),
        LogisticRegression(C=3, class_weight="balanced", tol=1e-3, max_iter=300),
    )


def _estimates(
    batches: Iterator[pd.DataFrame], models: dict[str, tuple[Pipeline, pd.Series[Any]]]
) -> Iterator[pd.DataFrame]:
    """Give each text the mean emotion of the classes, weighted with how likely each is."""
    columns = {"feedback_id": "str", "text_language": "str", "estimate": "float64"}
    yield pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in columns.items()})
    for batch in batches:
        for language, (model, means) in models.items():
            own = batch[batch["text_language"] == language]
            if len(own):
                likely = model.predict_proba(own["text"].to_numpy(object))
                estimate = likely @ means.reindex(model.classes_).to_numpy(float)
                yield own[["feedback_id", "text_language"]].assign(estimate=estimate)
