"""What people write: emotion learned from their own scores, and themes in their own words."""

import numpy as np
import pandas as pd
import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.experience import find_themes, learn_emotion, measure_emotion
from cjkit.privacy import mask

GOOD = ("とても親切でした", "座り心地が最高です", "早く届いて助かりました", "色がきれいです")
LOW = ("対応が冷たかった", "電話がつながらない", "壊れて届きました", "二度と買いません")
PLAIN = ("昨日の昼に行きました", "棚を一つ買いました", "駅前の店です", "三人で行きました")


def answers(texts, felt, *, languages="ja", touchpoint="store"):
    size = len(texts)
    return DuckDB(threads=1).add(
        "feedback",
        pd.DataFrame(
            {
                "feedback_id": [f"f{number:05d}" for number in range(size)],
                "customer_id": [f"c{number % 1000}" for number in range(size)],
                "given_us": 0,
                "touchpoint": touchpoint,
                "metric": "csat",
                "score": pd.Series([], dtype="float64").reindex(range(size)),
                "score_max": 5.0,
                "emotion": pd.Series(felt, dtype="float64"),
                "text": texts,
                "text_language": languages,
            }
        ),
    )


def spoken(rng, size):
    """Texts of three moods, each with a tail of its own so that few are alike."""
    moods = rng.choice([-1.0, 0.0, 1.0], size)
    sayings = {-1.0: LOW, 0.0: PLAIN, 1.0: GOOD}
    tails = ["".join(rng.choice(list("あいうえおかきくけこ"), 4)) for _ in range(size)]
    return [
        rng.choice(sayings[mood]) + tail for mood, tail in zip(moods, tails, strict=True)
    ], moods


@pytest.mark.parametrize(
    ("most", "accuracy", "macro_f1"),
    [(2_000, 0.74, 0.66), pytest.param(10_000, 0.78, 0.72, marks=pytest.mark.long)],
)
def test_a_published_set_of_japanese_sentences_is_understood(real_data, most, accuracy, macro_f1):
    jalan = pd.read_parquet(real_data / "jalan_sentiment_ja" / "pn.parquet")
    found = learn_emotion(answers(jalan["2"], jalan["1"].to_numpy(float)), most=most)
    row = found.table.iloc[0]
    assert row["texts"] == row["scored"] == 5553
    assert row["accuracy"] >= accuracy and row["macro_f1"] >= macro_f1
    assert row["is_reliable"]
    assert "Japanese" in found.finding("en") and "日本語" in found.finding("ja")


def test_texts_without_a_score_get_the_emotion_that_their_words_have():
    texts, moods = spoken(np.random.default_rng(1), 900)
    shown = np.where(np.arange(900) % 3 == 0, np.nan, moods)
    feedback = answers(texts, shown)
    found = learn_emotion(feedback)
    assert found.table.loc[0, ["texts", "scored", "estimated"]].tolist() == [900, 600, 300]
    read = feedback.engine.query(f"select feedback_id, emotion from {found.answers} order by 1")
    assert np.array_equal(read["emotion"][shown == shown], moods[shown == shown])
    hidden = np.isnan(shown)
    assert np.corrcoef(read["emotion"][hidden], moods[hidden])[0, 1] > 0.95
    assert read["emotion"].between(-1, 1).all()
    assert feedback.engine.query("select count(emotion) as n from feedback")["n"].iloc[0] == 600
    assert measure_emotion(found.answers).table["answers"].sum() == 900


def test_words_that_say_nothing_are_not_used():
    rng = np.random.default_rng(2)
    texts, moods = spoken(rng, 600)
    shown = np.where(np.arange(600) % 3 == 0, np.nan, rng.permutation(moods))
    found = learn_emotion(answers(texts, shown))
    row = found.table.iloc[0]
    assert not row["is_reliable"] and row["estimated"] == 0
    assert row["macro_f1"] < row["guess_f1"] + 0.1 == 1 / 3 + 0.1
    assert "No estimate is used" in found.finding("en")


def test_equal_texts_do_not_pass_for_texts_that_were_not_seen():
    """With 15 different texts of random mood, seeing a text before would give its mood away."""
    rng = np.random.default_rng(3)
    mood = dict(zip(range(30), rng.permutation([-1.0] * 15 + [1.0] * 15), strict=True))
    which = rng.integers(0, 30, 600)
    words = ["".join(rng.choice(list("日月火水木金土"), 6)) for _ in range(30)]
    found = learn_emotion(answers([words[n] for n in which], [mood[n] for n in which]))
    assert not found.table.loc[0, "is_reliable"]


def test_too_few_scored_texts_are_not_learned_from():
    found = learn_emotion(answers(list(GOOD), [1, 1, 1, None]))
    row = found.table.iloc[0]
    assert (row["texts"], row["scored"], row["estimated"]) == (4, 3, 0)
    assert np.isnan(row["accuracy"]) and not row["is_reliable"]
    assert found.finding("en").startswith("Too few")
    assert found.plot(language="ja").get_title()


def test_the_same_answers_give_the_same_estimates():
    texts, moods = spoken(np.random.default_rng(4), 300)
    shown = np.where(np.arange(300) % 3 == 0, np.nan, moods)
    tables = []
    for _ in range(2):
        feedback = answers(texts, shown)
        found = learn_emotion(feedback, most=100)
        tables.append(feedback.engine.query(f"from {found.answers} order by feedback_id"))
    pd.testing.assert_frame_equal(*tables)


THEMES = {
    "配送 遅延": (["配送が遅延しました", "遅延した配送に困りました"], -0.8, "delivery"),
    "店員 説明": (["店員の説明が丁寧でした", "説明する店員に感謝します"], 0.8, "store"),
    "価格 納得": (["価格に納得です", "納得の価格だと思います"], 0.4, "site"),
}


def test_planted_themes_are_found_with_how_people_feel():
    rng = np.random.default_rng(5)
    which = rng.choice(list(THEMES), 600, p=[0.45, 0.32, 0.23])
    texts = [rng.choice(THEMES[name][0]) for name in which]
    feedback = answers(
        texts, [THEMES[name][1] for name in which], touchpoint=[THEMES[name][2] for name in which]
    )
    found = find_themes(feedback, themes=3)
    words = set(" ".join(THEMES).split())
    named = [set(theme.split(" · ")) & words for theme in found.table["theme"]]
    assert named == [set(name.split()) for name in THEMES]
    assert found.table["answers"].tolist() == [(which == name).sum() for name in THEMES]
    assert found.table["emotion"].tolist() == pytest.approx([-0.8, 0.8, 0.4])
    assert found.table["touchpoint"].tolist() == ["delivery", "store", "site"]
    assert (found.table["example"] == "").all()
    assert "配送" in found.finding("ja") and "delivery" not in found.finding("ja")
    for language in ("en", "ja"):
        assert found.plot(language=language).get_title()


def test_quotes_are_without_names_figures_and_addresses():
    texts = ["配送の山田様へ 遅延 090-1234-5678 taro@example.jp 第３回"] * 60 + ["店員 説明"] * 60
    found = find_themes(answers(texts, np.zeros(120)), themes=2, quotes=True)
    quote = found.table.loc[found.table["theme"].str.contains("遅延"), "example"].item()
    assert "遅延" in quote and quote.count("●") >= 3
    for private in ("山田", "090", "5678", "taro", "example.jp", "３"):
        assert private not in quote


def test_themes_of_few_people_are_left_out():
    texts = ["配送 遅延"] * 49 + ["価格 納得"] * 48 + ["店員 説明"] * 3
    for fewest, words in ((5, {"遅延", "納得"}), (3, {"遅延", "納得", "説明"})):
        found = find_themes(answers(texts, np.zeros(100)), themes=3, quotes=True, fewest=fewest)
        shown = " ".join(found.table["theme"])
        assert {word for word in ("遅延", "納得", "説明") if word in shown} == words
        assert mask(found, fewest).table["customers"].notna().all()
    assert found.texts == 100


@pytest.mark.parametrize("texts", [[], ["短い"] * 10, ["ああああ"] * 60, ["同一 同一"] * 60])
def test_texts_without_themes_say_so(texts):
    found = find_themes(answers(texts, np.zeros(len(texts))))
    assert found.table.empty
    assert found.finding("en").startswith("There are too few")


def test_errors_say_what_to_do():
    feedback = answers(list(GOOD), np.zeros(4))
    with pytest.raises(CjkitError, match="2 folds or more"):
        learn_emotion(feedback, folds=1)
    with pytest.raises(CjkitError, match="2 themes or more"):
        find_themes(feedback, themes=1)
