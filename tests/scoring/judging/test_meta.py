from __future__ import annotations

import csv
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import InputError
from medbench.scoring.judging.calibrate import measure
from medbench.scoring.judging.meta import by_group, evaluate, family_of
from medbench.scoring.ratings import Rating, read_all, read_ratings, write_ratings


def rating(item: str, rater: str, score: float, kind: str = "human", **more: object) -> Rating:
    return Rating(
        item, str(more.pop("response", "m")), rater, kind, str(more.pop("criterion", "c")), score, (0.0, 4.0), **more
    )


def test_a_judge_that_says_what_people_say_agrees_fully_and_one_that_says_the_same_always_has_no_kappa():
    ratings = [rating(f"q{n}", "p", n % 5, text="x" * (n + 1)) for n in range(60)]
    ratings += [rating(f"q{n}", "same", n % 5, "judge") for n in range(60)]
    ratings += [rating(f"q{n}", "constant", 3, "judge") for n in range(60)]
    (found,) = evaluate(ratings)
    same, constant = found.judges
    assert (same.agreement.n, same.agreement.exact.value, same.agreement.kappa.value) == (60, 1.0, 1.0)
    assert same.agreement.kappa.low < 1.0
    assert constant.agreement.kappa.value is None
    assert "3" in constant.agreement.kappa.reason
    assert constant.agreement.exact.value == pytest.approx(0.2)
    assert constant.bias.mean.value == pytest.approx((3 - 2) / 4)
    assert [step.judge for step in same.curve] == [0, 1, 2, 3, 4]
    assert [step.people for step in same.curve] == [0, 1, 2, 3, 4]
    assert all(0 <= step.low <= step.people <= step.high <= 4 for step in same.curve)
    assert found.people.kappa.value is None
    assert "two people" in found.people.kappa.reason


def test_bias_is_shown_by_length_and_by_who_wrote_the_answer():
    ratings = []
    for n in range(80):
        model, long = ("own", 400) if n % 2 else ("other", 20)
        ratings.append(rating(f"q{n}", "p", 2, text="a" * long, model=model))
        ratings.append(rating(f"q{n}", "j", 3 if n % 2 else 2, "judge"))
    (found,) = evaluate(ratings)
    bias = found.judges[0].bias
    assert bias.by_model["own"].value == pytest.approx(0.25)
    assert bias.by_model["other"].value == pytest.approx(0.0)
    assert "resamples agree" in bias.per_length.reason, "a correlation of 1 on some answers is no certain one"
    ratings[1] = rating("q0", "j", 3, "judge")
    length = evaluate(ratings)[0].judges[0].bias.per_length
    assert 0.9 < length.low < length.value < length.high <= 1.0


def test_thirds_by_length_and_the_judges_own_family_have_intervals_or_a_reason():
    ratings = []
    for n in range(90):
        model, chars = ("Qwen/Qwen3-8B", "gpt-4o")[n % 2], (10, 100, 1_000)[n % 3]
        ratings.append(rating(f"q{n}", "p", 1 + n % 5 % 2, text="a" * chars, model=model))
        higher = (n % 2 == 0) + (chars == 1_000)
        for judge in ("qwen3-32b", "0f1e2d"):
            ratings.append(rating(f"q{n}", judge, ratings[-1].score if judge != "qwen3-32b" else 1 + n % 5 % 2 + higher,
                                  "judge"))  # fmt: skip
    own, nameless = evaluate(ratings, {"0f1e2d": "gpt-oss"})[0].judges
    assert [(each.shortest, each.longest, each.n) for each in own.bias.by_length] == [
        (10, 10, 30), (100, 100, 30), (1_000, 1_000, 30),
    ]  # fmt: skip
    short, middle, long = (each.apart for each in own.bias.by_length)
    assert long.value - middle.value == pytest.approx(0.25)
    assert short.low < 0.125 < short.high
    assert own.bias.own_family.value == pytest.approx(0.25)
    assert own.bias.own_family.low < 0.25 < own.bias.own_family.high
    # The second judge repeats the first, so on answers by its own family it is the less kind one.
    assert nameless.bias.own_family.value == pytest.approx(-0.25)
    unknown = evaluate(ratings)[0].judges[1].bias.own_family
    assert "no answer is by a model of the judge's family" in unknown.reason
    alone = evaluate([each for each in ratings if int(each.item[1:]) % 2 == 0], {"0f1e2d": "gpt-oss"})[0].judges
    assert "another family than the judge's, qwen" in alone[0].bias.own_family.reason


def test_bias_and_reliability_hold_the_judge_against_the_mean_of_several_people():
    ratings = []
    for n in range(40):
        ratings += [rating(f"q{n}", "p1", 1), rating(f"q{n}", "p2", 2), rating(f"q{n}", "j", 2, "judge")]
    (judge,) = evaluate(ratings)[0].judges
    assert judge.bias.mean.value == pytest.approx(0.5 / 4)
    assert [(step.judge, step.people) for step in judge.curve] == [(2.0, 1.5)]


@pytest.mark.parametrize(
    ("name", "family"),
    [("Qwen/Qwen3-32B", "qwen"), ("gpt-4o", "gpt"), ("meta-llama/Llama-3-8B", "llama"), ("4o", ""), ("", "")],
)
def test_a_family_is_what_a_name_begins_with(name, family):
    assert family_of(name) == family


def test_wrong_ratings_are_told_all_at_once(tmp_path):
    path = tmp_path / "ratings.jsonl"
    write_ratings(path, [rating("a", "p", 1), rating("b", "p", 2, criterion="d")])
    assert len(read_ratings(path)) == 2
    good = json.loads(path.read_text().splitlines()[0])
    rows = [good, {**good, "score": 9}, {**good, "item": "x", "scale": [0, 5]}, good, {"item": "a"}, [1]]
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n{broken\n")
    with pytest.raises(InputError) as caught:
        read_ratings(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5, 6, 7]


def test_the_published_agreement_of_three_physicians_is_reproduced(shared):
    path = shared / "data" / "human_ratings" / "kqa" / "NLI_medical_annotator.csv"
    labels: dict[str, float] = {}
    ratings = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            for rater in range(3):
                score = labels.setdefault(row[f"label_{rater}"], float(len(labels)))
                ratings.append(
                    Rating(row["Question"], str(number), f"physician {rater}", "human", "nli", score, (0.0, 9.0))
                )
    (found,) = evaluate(ratings)
    assert found.people.n == 399
    assert found.people.kappa.value == pytest.approx(0.719, abs=0.0005)
    assert [pair.kappa.value for pair in found.pairs] == [
        pytest.approx(each, abs=0.0005) for each in (0.670, 0.761, 0.732)
    ]


@pytest.mark.parametrize(
    ("criterion", "n", "kappa", "rho"),
    [("Correctness", 460, 0.618, 0.642), ("Accuracy", 340, 0.459, 0.543)],
)
def test_an_existing_judge_of_chinese_answers_is_measured(shared, criterion, n, kappa, rho):
    ratings = ratings_of(shared, criterion)
    found = next(each for each in evaluate(ratings) if each.criterion == criterion)
    agreement = found.judges[0].agreement
    assert agreement.n == n
    assert agreement.quadratic_kappa.value == pytest.approx(kappa, abs=0.0005)
    assert agreement.spearman.value == pytest.approx(rho, abs=0.0005)
    assert len(found.judges[0].bias.by_model) > 5


def ratings_of(shared, criterion: str) -> list[Rating]:
    path = shared / "data" / "human_ratings" / "llmeval2_medicine" / "Medicine.jsonl"
    ratings = []
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        for rater, kind in (("human", "human"), ("gpt4", "judge")):
            if criterion in row[rater]:
                where = (row["question_uuid"], row["dialog_uuid"], rater, kind)
                score = float(row[rater][criterion])
                ratings.append(Rating(*where, criterion, score, (0.0, 5.0), model=row["llm_name"]))
    return ratings


@pytest.mark.parametrize("criterion", ["Correctness", "Accuracy"])
def test_calibration_lowers_the_error_on_items_it_has_not_seen(shared, criterion):
    found = measure(ratings_of(shared, criterion), "gpt4", criterion)
    assert found.squared_after < found.squared_before
    # One person rated each answer, so there is no ceiling, and the absolute gate holds this judge back.
    assert found.people.quadratic_kappa.reason
    assert (found.gate, found.admitted) == (0.6, False)
    scores = found.map_of().predict([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(scores[1:] >= scores[:-1])


def test_fewer_than_fifty_rated_answers_are_no_calibration(shared):
    ratings = ratings_of(shared, "Accuracy")
    few = [rating for rating in ratings if rating.item in sorted({rating.item for rating in ratings})[:2]]
    with pytest.raises(InputError, match="50 are needed"):
        measure(few, "gpt4", "Accuracy")
    with pytest.raises(InputError, match="gpt4"):
        measure(ratings, "gpt5", "Accuracy")


def test_a_judge_as_good_as_people_passes_the_gate():
    ratings = []
    for n in range(200):
        truth = n % 5
        ratings += [rating(f"q{n}", "p1", truth), rating(f"q{n}", "p2", min(4, truth + (n % 3 == 0)))]
        ratings.append(rating(f"q{n}", "j", truth, "judge"))
    found = measure(ratings, "j", "c")
    assert found.admitted
    assert found.gate == pytest.approx(0.8 * found.people.quadratic_kappa.value)
    shuffled = [
        each if each.kind == "human" else rating(each.item, "j", int(each.item[1:]) * 7 % 11 % 5, "judge")
        for each in ratings
    ]
    assert not measure(shuffled, "j", "c").admitted


def figures_in(value: object) -> list[dict[str, object]]:
    """Every object of a JSON value that is a figure: it has a value or a reason, and limits at most."""
    if isinstance(value, list | tuple):
        return [found for each in value for found in figures_in(each)]
    if not isinstance(value, dict):
        return []
    mine = [value] if value and set(value) <= {"value", "low", "high", "reason"} else []
    return mine + [found for each in value.values() for found in figures_in(each)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12),
       st.integers(1, 3))  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_a_figure_has_a_value_with_both_limits_or_a_reason(scores, answers):
    ratings = []
    for n, several in enumerate(scores):
        where = {"response": str(n), "text": "x" * (1 + n), "model": f"m{n % 2}"}
        for rater, score in zip(("p1", "p2", "j"), several, strict=True):
            ratings.append(rating(f"q{n // answers}", rater, score, "judge" if rater == "j" else "human", **where))
    found = figures_in(msgspec.to_builtins(evaluate(ratings)))
    assert len(found) > 20
    for each in found:
        assert set(each) in ({"value", "low", "high"}, {"reason"})
        assert each.get("reason", "told") != ""
        if "value" in each:
            assert each["low"] <= each["value"] <= each["high"]


def test_judges_that_share_no_answer_with_people_are_named():
    ratings = [rating(f"q{n}", "p", n % 3) for n in range(5)] + [rating(f"x{n}", "j", n % 3, "judge") for n in range(5)]
    (found,) = evaluate(ratings)
    assert (found.judges, set(found.unshared)) == ((), {"j"})
    with pytest.raises(InputError, match="no answer in common"):
        measure(ratings, "j", "c")


def preference(item: str, rater: str, response: tuple[str, str], score: int, first: str, kind: str = "judge") -> Rating:
    return Rating(item, response, rater, kind, "better", float(score), (-1.0, 1.0), order=first)


def test_a_pair_is_the_same_pair_in_either_order():
    one, other = preference("q", "j", ("b", "a"), 1, "b"), preference("q", "j", ("a", "b"), -1, "b")
    assert one == other
    assert (one.response, one.score) == (("a", "b"), -1.0)


def test_agreement_on_preferences_and_bias_by_position():
    # People prefer "a" on 30 items and "z" on 30. One judge says what they say, in both orders; one always likes the
    # first place, so that its two orders contradict each other and are a tie.
    ratings = []
    for n in range(60):
        item, better = f"q{n}", 1 if n % 2 else -1
        ratings.append(preference(item, "p", ("a", "z"), better, "a", "human"))
        for first in "az":
            ratings.append(preference(item, "fair", ("a", "z"), better, first))
            ratings.append(preference(item, "likes first", ("a", "z"), 1 if first == "a" else -1, first))
    (found,) = evaluate(ratings)
    fair, likes = found.judges
    assert (found.n, fair.agreement.n) == (60, 60)
    assert (fair.agreement.exact.value, fair.agreement.kappa.value) == (1.0, 1.0)
    assert likes.agreement.exact.value == 0.0
    assert (fair.bias.position.first.value, fair.bias.position.n) == (0.5, 120)
    assert (likes.bias.position.first.value, likes.bias.position.n) == (1.0, 120)
    assert likes.bias.position.first.low > 0.9
    assert "pairs" in fair.bias.mean.reason
    assert (fair.curve, fair.balanced) == ((), None)
    with pytest.raises(InputError, match="pairs of answers"):
        measure(ratings, "fair", "better")


def test_pairs_are_read_and_wrong_ones_told(tmp_path):
    good = {"item": "q", "response": ["m2", "m1"], "rater": "j", "kind": "judge", "criterion": "better",
            "score": 1, "scale": [-1, 1], "order": "m2"}  # fmt: skip
    path = tmp_path / "ratings.jsonl"
    rows = [good, {**good, "order": "m1"}, {**good, "rater": "k", "order": ""}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_ratings(path)
    assert [(each.response, each.score, each.order) for each in found] == [
        (("m1", "m2"), -1.0, "m2"), (("m1", "m2"), -1.0, "m1"), (("m1", "m2"), -1.0, ""),
    ]  # fmt: skip
    write_ratings(tmp_path / "again.jsonl", found)
    assert read_ratings(tmp_path / "again.jsonl") == found
    wrong = [
        good,
        {**good, "score": 0.5},
        {**good, "order": "m3"},
        {**good, "response": ["m1", "m1"], "order": "m1"},
        {**good, "scale": [0, 1]},
        {**good, "response": ["m1", "m2"], "score": -1},
        {**good, "response": "m1", "order": ""},
        {**good, "response": "m1"},
        {**good, "response": ["m1", "m2", "m3"]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in wrong))
    with pytest.raises(InputError) as caught:
        read_ratings(path)
    assert [problem.line for problem in caught.value.problems] == [2, 3, 4, 5, 6, 7, 8, 9]


def test_one_criterion_has_one_scale_in_all_files(tmp_path):
    files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    write_ratings(files[0], [rating("a", "p", 1)])
    write_ratings(files[1], [Rating("b", "m", "p", "human", "c", 7.0, (0.0, 10.0))])
    with pytest.raises(InputError, match="two scales") as caught:
        read_all(files)
    assert caught.value.problems[0].file == str(files[1])


def test_items_are_grouped_by_what_any_of_their_ratings_tells():
    def rating(item: str, kind: str, score: float, **more: str) -> Rating:
        return Rating(item, "r", kind, kind, "c", score, (0.0, 1.0), **more)

    ratings = [
        rating("a", "human", 1.0), rating("a", "judge", 1.0, language="zh"),
        rating("b", "human", 0.0, language="en"), rating("b", "judge", 1.0),
        rating("c", "human", 0.0), rating("c", "judge", 0.0),
    ]  # fmt: skip
    groups = by_group(ratings, lambda each: each.language)
    assert {name: [each.item for each in several] for name, several in groups.items()} == {
        "en": ["b", "b"], "zh": ["a", "a"],
    }  # fmt: skip
    assert by_group(ratings, lambda each: each.dataset) == {}
