from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.scoring.overlap import LONGEST, common_subsequence, text_overlap, tokens

words = st.text("ab肺", max_size=60)
# Where a text begins or ends with a point, the tokenizers for Chinese and English differ; ours is that for English.
chinese = st.text("两肺纹理增多，。：；（）3.5×2cm-CT未见 \n", max_size=80).map(lambda text: f"影{text}。")
english = st.text("abc T2-weighted, 3.5 x 2.1 cm; (no) 'mass'/\"node\" 1,000.\n", max_size=80)


def by_table(first: str, second: str) -> int:
    row = [0] * (len(second) + 1)
    for a in first:
        before = 0
        for j, b in enumerate(second, 1):
            before, row[j] = row[j], before + 1 if a == b else max(row[j], row[j - 1])
    return row[-1]


@given(words, words)
def test_the_longest_common_subsequence_is_that_of_the_table(first, second):
    assert common_subsequence(first, second) == by_table(first, second) == common_subsequence(second, first)


@pytest.fixture(scope="module")
def sacrebleu():
    return pytest.importorskip("sacrebleu", reason="dev dependency sacrebleu is not installed")


def reference_bleu(sacrebleu, answer: str, reference: str, tokenizer: str) -> float:
    return sacrebleu.sentence_bleu(answer, [reference], tokenize=tokenizer).score / 100


@given(answer=chinese, reference=chinese)
def test_bleu_of_chinese_is_sacrebleus(sacrebleu, answer, reference):
    assert dict(text_overlap(answer, reference))["bleu"] == pytest.approx(
        reference_bleu(sacrebleu, plain(answer), plain(reference), "zh"), abs=1e-9
    )


@given(answer=english, reference=english)
def test_bleu_of_english_is_sacrebleus(sacrebleu, answer, reference):
    assert dict(text_overlap(answer, reference))["bleu"] == pytest.approx(
        reference_bleu(sacrebleu, answer, reference, "13a"), abs=1e-9
    )


def plain(text: str) -> str:
    """NFKC, which sacrebleu leaves to its caller."""
    from unicodedata import normalize

    return normalize("NFKC", text)


def test_chinese_goes_by_characters_and_english_by_words():
    assert tokens("右肺见3.5cm结节，CT复查。") == [*"右肺见", "3.5cm", *"结节,", "CT", *"复查。"]
    assert tokens("No mass (3.5 cm), T2-weighted.") == [
        "No",
        "mass",
        "(",
        "3.5",
        "cm",
        ")",
        ",",
        "T2",
        "-",
        "weighted",
        ".",
    ]


@pytest.mark.parametrize(
    ("answer", "reference", "rouge_l"),
    [
        ("两肺未见异常", "两肺未见异常", 1.0),
        ("", "两肺未见异常", 0.0),
        ("无", "两肺未见异常", 0.0),
        ("两肺见异常", "两肺未见异常", 10 / 11),
        ("no mass seen", "no pleural mass", 4 / 6),
    ],
)
def test_rouge_l(answer, reference, rouge_l):
    found = dict(text_overlap(answer, reference))
    assert found["rouge_l"] == pytest.approx(rouge_l)
    assert (found["bleu"] == 1.0) == (rouge_l == 1.0)
    assert (found["bleu"] == 0.0) == (rouge_l == 0.0)


def test_long_answers_take_no_longer_than_the_first_characters():
    report = "".join(chr(0x4E00 + place * 7 % 5000) for place in range(LONGEST))
    started = time.perf_counter()
    assert text_overlap(report + "不" * 10**6, report) == (("bleu", 1.0), ("rouge_l", 1.0))
    assert time.perf_counter() - started < 5
