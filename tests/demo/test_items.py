from __future__ import annotations

import re
import unicodedata
from collections import Counter
from decimal import Decimal
from importlib.resources import as_file, files
from typing import get_args

import msgspec
import pytest

from medbench.catalog import ChoiceForm, LabelForm, Part, default_instruction, load_catalog
from medbench.items.model import Basis, ItemLanguage, KeyPoint, Variant
from medbench.items.render import render
from medbench.items.source import FileSource, open_source

LETTERS = "ABCDEF"
# (dataset, part) -> fewest items, for every part of the language and agent tracks that code alone can score.
CLOSED = {
    ("MedExam", ""): 16,
    ("MedSafety", ""): 11,
    ("MedEthics", ""): 11,
    ("MedRxCheck", "SCQ"): 6,
    ("MedRxCheck", "MSQ"): 6,
    ("MedHG", ""): 8,
    ("DDx-advanced", ""): 8,
    ("MedOutcome", ""): 6,
    ("SMDoc", ""): 6,
    ("MedInsureCalc", ""): 6,
    ("MedReportQC", ""): 6,
    ("MedIntentID", ""): 8,
}
OPEN = {"MedHC", "MedMC", "MedSpeQA", "MedExplain", "MedTerm", "MedShield", "MedPopular"}
SINGLE = {("MedExam", ""), ("MedSafety", ""), ("MedEthics", ""), ("MedRxCheck", "SCQ")}
MULTIPLE = {("MedRxCheck", "MSQ"), ("DDx-advanced", "")}
NONE_OF_THE_ABOVE = {"以上都不是", "None of the above"}
LISTED = {("MedOutcome", ""), ("MedReportQC", ""), ("MedIntentID", "")}


class DemoItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the item file contract, as strict as the file should be."""

    id: str
    dataset: str
    question: str
    options: tuple[str, ...] | None
    answer: list[str] | dict[str, str] | str
    language: ItemLanguage
    specialty: str
    basis: tuple[Basis, ...]
    source: str
    meta: dict[str, object]
    part: str = ""
    key_points: tuple[KeyPoint, ...] = ()
    rubric: str = ""

    @property
    def place(self) -> tuple[str, str]:
        return self.dataset, self.part


def resource(name: str) -> str:
    return files("medbench.demo").joinpath(name).read_text(encoding="utf-8")


ITEMS = [msgspec.json.decode(line, type=DemoItem) for line in resource("items.jsonl").splitlines()]


def items_in(*places: tuple[str, str]) -> list[DemoItem]:
    chosen = [item for item in ITEMS if item.place in places]
    assert chosen
    return chosen


def part_of(item: DemoItem) -> Part:
    return load_catalog().datasets[item.dataset].part(item.part)


def normalised(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def each(*places: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("item", items_in(*places), ids=lambda item: item.id)


def test_ids_are_unique_and_every_item_says_that_it_is_illustrative() -> None:
    assert len(ITEMS) >= 120
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    for item in ITEMS:
        assert item.source == "medbench demo, illustrative"
        assert item.meta["illustrative"] is True
        assert item.meta["reviewed_by_clinician"] is False


def test_the_item_reader_takes_every_item_without_a_warning() -> None:
    with as_file(files("medbench.demo").joinpath("items.jsonl")) as path:
        source = open_source(path)
        assert isinstance(source, FileSource)
        assert source.warnings == ()
        assert source.count == len(ITEMS)
        assert [question.id for question in source.questions()] == [item.id for item in ITEMS]


def test_what_is_asked_names_every_option_label_and_field() -> None:
    with as_file(files("medbench.demo").joinpath("items.jsonl")) as path:
        questions = list(open_source(path).questions())
    for item, question in zip(ITEMS, questions, strict=True):
        part = part_of(item)
        asked = render(question, Variant(), part, default_instruction(part, item.language))
        labels = part.answer.labels if isinstance(part.answer, LabelForm) else ()
        fields = item.answer if isinstance(item.answer, dict) else ()
        assert [text for text in (*question.options, *labels, *fields) if text not in asked] == [], item.id


def test_no_item_occurs_twice() -> None:
    texts = Counter(normalised(item.question + "".join(sorted(item.options or ()))) for item in ITEMS)
    assert [text for text, count in texts.items() if count > 1] == []
    stems = Counter((item.place, normalised(item.question)) for item in ITEMS)
    assert [stem for stem, count in stems.items() if count > 1] == []


def test_both_languages_are_well_represented() -> None:
    languages = Counter(item.language for item in ITEMS)
    assert set(languages) == set(get_args(ItemLanguage))
    assert 0.55 <= languages["zh"] / len(ITEMS) <= 0.7
    for item in ITEMS:
        # A Chinese item has Chinese characters in its question; an English one has none anywhere that is asked.
        asked = item.question + "".join(item.options or ())
        assert bool(re.search(r"[\u4e00-\u9fff]", asked)) == (item.language == "zh"), item.id


def test_every_closed_set_dataset_is_covered() -> None:
    counts = Counter(item.place for item in ITEMS)
    assert {place: counts[place] for place in CLOSED if counts[place] < CLOSED[place]} == {}
    assert counts["MedRxCheck", "SQ"] >= 2
    assert {item.dataset for item in ITEMS} == {dataset for dataset, _ in CLOSED} | OPEN
    assert sum(item.dataset in OPEN for item in ITEMS) >= 14


def test_the_closed_set_parts_are_those_of_the_catalogue() -> None:
    parts = [
        (dataset.name, part)
        for dataset in load_catalog().datasets.values()
        if dataset.track in {"llm", "agent"}
        for part in dataset.parts
        if part.closed_metrics
    ]
    assert {(name, part.name) for name, part in parts} == set(CLOSED)
    choices = {(name, part.name): part.answer for name, part in parts if isinstance(part.answer, ChoiceForm)}
    assert {place for place, form in choices.items() if form.multiple} == MULTIPLE
    assert {place for place, form in choices.items() if not form.multiple} == SINGLE


@each(*SINGLE, *MULTIPLE)
def test_letters_are_within_distinct_options(item: DemoItem) -> None:
    assert item.options is not None
    assert isinstance(item.answer, list)
    assert 4 <= len(item.options) <= len(LETTERS)
    assert len({normalised(option) for option in item.options}) == len(item.options)
    assert set(item.answer) <= set(LETTERS[: len(item.options)])
    assert item.answer == sorted(set(item.answer))
    if item.place in SINGLE:
        assert len(item.answer) == 1
    else:
        assert 2 <= len(item.answer) < len(item.options)
    # An option about the others is the last one, where no rotation moves it.
    assert not NONE_OF_THE_ABOVE & set(item.options[:-1])


def test_a_fixed_letter_or_the_longest_option_is_a_poor_guess() -> None:
    for places in (SINGLE, *({place} for place in SINGLE)):
        items = items_in(*places)
        letters = Counter(item.answer[0] for item in items if isinstance(item.answer, list))
        assert set("ABCD") <= set(letters) <= set("ABCDE")
        assert max(letters.values()) <= 0.4 * len(items)
    single = items_in(*SINGLE)
    longest = 0
    for item in single:
        assert item.options is not None
        assert isinstance(item.answer, list)
        lengths = [len(option) for option in item.options]
        right = lengths[LETTERS.index(item.answer[0])]
        longest += right == max(lengths)
    assert longest <= 0.4 * len(single)


def test_sets_of_letters_vary() -> None:
    items = items_in(*MULTIPLE)
    assert max(Counter("".join(item.answer) for item in items).values()) <= 0.3 * len(items)
    assert {len(item.answer) for item in items} == {2, 3, 4}


@each(("MedHG", ""))
def test_departments_come_from_the_options(item: DemoItem) -> None:
    assert item.options is not None
    assert isinstance(item.answer, list)
    assert item.answer
    assert len(set(item.options)) == len(item.options)
    assert set(item.answer) <= set(item.options)


@each(*LISTED)
def test_labels_come_from_the_closed_list_of_the_catalogue(item: DemoItem) -> None:
    form = part_of(item).answer
    assert isinstance(form, LabelForm)
    assert isinstance(item.answer, list)
    assert len(set(item.answer)) == len(item.answer)
    assert set(item.answer) <= set(form.labels)
    assert len(item.answer) == 1 or form.multiple


def test_labels_vary() -> None:
    assert {len(item.answer) for item in items_in(("MedReportQC", ""))} == {0, 1, 2}
    outcomes = [label for item in items_in(("MedOutcome", "")) for label in item.answer]
    assert set(outcomes) == {"治愈", "好转", "未愈", "死亡"}
    intents = [label for item in items_in(("MedIntentID", "")) for label in item.answer]
    assert len(set(intents)) == len(intents)


@each(("SMDoc", ""))
def test_fields_are_asked_for_and_stated_or_unknown(item: DemoItem) -> None:
    assert isinstance(item.answer, dict)
    record, request = item.question.split("\n")
    stated_as = {"X线有无骨折（有/无）": "X线片未见骨折"}
    for field, value in item.answer.items():
        assert field in request
        assert value == "未知" or stated_as.get(field, value) in record
    assert "未知" in item.answer.values()


@each(("MedInsureCalc", ""))
def test_amounts_follow_from_the_stated_rule(item: DemoItem) -> None:
    given = item.meta["inputs"]
    assert isinstance(given, dict)
    number = {name: Decimal(str(value)) for name, value in given.items() if value is not None}
    for name, value in number.items():
        assert value == 0 or str(value) in item.question, name

    beds = number["bed_days"] * number["bed_price_per_day"]
    insured_beds = number["bed_days"] * min(
        number["bed_price_per_day"], number.get("bed_limit_per_day", number["bed_price_per_day"])
    )
    copay = number["class_b"] * number["class_b_copay_percent"] / 100
    covered = number["class_a"] + insured_beds + number["class_b"] - copay
    left = number["deductible_total"] - number["deductible_used"]
    reimbursed = max(Decimal(0), covered - left) * number["rate_percent"] / 100
    own = number["class_c"] + beds - insured_beds
    total = number["class_a"] + number["class_b"] + number["class_c"] + beds
    expected = {
        "总费用": total,
        "纳入报销范围金额": covered,
        "医保报销金额": reimbursed,
        "乙类项目自负金额": copay,
        "完全自费金额": own,
        "个人支付总金额": total - reimbursed,
        "结算后起付线剩余": max(Decimal(0), left - covered),
    }
    assert isinstance(item.answer, dict)
    assert {name: Decimal(amount) for name, amount in item.answer.items()} == expected
    assert covered + copay + own == total


def test_every_closed_item_names_what_it_rests_on() -> None:
    for item in ITEMS:
        assert item.basis, item.id
        for basis in item.basis:
            assert basis.guideline
            assert basis.issuer


def test_open_items_have_a_reference_and_weighted_key_points() -> None:
    open_items = [item for item in ITEMS if item.dataset in OPEN or item.part == "SQ"]
    for item in open_items:
        assert isinstance(item.answer, str)
        assert item.answer
        assert item.rubric
        assert {point.kind for point in item.key_points} >= {"must", "must_not"}, item.id
    for item in ITEMS:
        assert all(point.weight > 0 for point in item.key_points)
        assert len({point.text for point in item.key_points}) == len(item.key_points)


def test_items_are_short_enough_for_a_small_model() -> None:
    for item in ITEMS:
        asked = item.question + " " + " ".join(item.options or ())
        if item.language == "en":
            assert len(asked.split()) <= 120, item.id
        else:
            assert len(asked) <= 220, item.id


def test_the_datasheet_counts_agree_with_the_file() -> None:
    sheet = resource("DATASHEET.md")
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in sheet.splitlines() if "|" in line]
    datasets = {(row[0], row[1]): row[2:] for row in rows if len(row) == 5 and row[4].isdigit()}
    total = datasets.pop(("Total 合计", ""))
    counts = {place: Counter(item.language for item in items_in(place)) for place in {item.place for item in ITEMS}}
    assert datasets == {
        place: (str(count["zh"]), str(count["en"]), str(count.total())) for place, count in counts.items()
    }
    languages = Counter(item.language for item in ITEMS)
    assert total == (str(languages["zh"]), str(languages["en"]), str(len(ITEMS)))

    specialties = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
    assert specialties == dict(Counter(item.specialty for item in ITEMS))


def test_the_datasheet_names_every_document_that_an_item_rests_on() -> None:
    sheet = resource("DATASHEET.md")
    assert sorted({basis.guideline for item in ITEMS for basis in item.basis if basis.guideline not in sheet}) == []
