from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections import Counter
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from medbench.items.model import Basis, ItemLanguage, Key, KeyPoint, Question

LETTERS = "ABCDEF"
CLOSED_METRICS = {"accuracy", "accuracy_circular", "accuracy_field", "micro_f1"}
# (dataset, part) -> fewest items, for everything that code alone can score.
CLOSED = {
    ("MedExam", ""): 24,
    ("MedSafety", ""): 14,
    ("MedEthics", ""): 14,
    ("MedRxCheck", "SCQ"): 8,
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
CLOSED_LISTS = {
    "MedOutcome": "治愈、好转、未愈、死亡",
    "MedReportQC": "多字或少字、错别字、单位错误、方位错误、用词不当、检查项目与报告不符、描述与诊断不符、性别错误",
    "MedIntentID": "病情咨询、用药咨询、康复咨询、检查咨询、预约挂号、预约复诊、预约检查、预约手术、"
    "服务态度投诉、诊疗质量投诉、费用争议投诉、检验报告解读、单次费用查询、门急诊费用查询、住院费用查询、"
    "医保费用查询、自费费用查询、主动随访确认、随访内容确认、随访时间调整",
}
NONE_OF_THE_ABOVE = {"以上都不是", "None of the above"}


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


def normalised(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def each(*places: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("item", items_in(*places), ids=lambda item: item.id)


def test_ids_are_unique_and_every_item_says_that_it_is_illustrative() -> None:
    assert len(ITEMS) >= 130
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    for item in ITEMS:
        assert item.source == "medbench demo, illustrative"
        assert item.meta["illustrative"] is True
        assert item.meta["reviewed_by_clinician"] is False


def test_items_fit_the_question_and_key_contracts() -> None:
    for item in ITEMS:
        question = Question(
            id=item.id, dataset=item.dataset, text=item.question, part=item.part, options=item.options or ()
        )
        key = Key(uid=question.uid, answer=item.answer, key_points=item.key_points, rubric=item.rubric)
        assert msgspec.convert(msgspec.to_builtins(key), Key) == key


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


def test_the_closed_set_datasets_are_those_of_the_release(shared: Path) -> None:
    with (shared / "facts" / "medbench_v4_datasets.csv").open(encoding="utf-8") as file:
        closed = {
            row["dataset"]
            for row in csv.DictReader(file)
            if row["track"] in {"llm", "agent"} and CLOSED_METRICS & set(row["metrics"].split(";"))
        }
    assert closed == {dataset for dataset, _ in CLOSED}


def test_specialties_are_in_the_catalogue_of_departments(shared: Path) -> None:
    path = shared / "facts" / "taxonomy_cn_departments" / "departments.json"
    catalogue = json.loads(path.read_text(encoding="utf-8"))["catalogue"]
    names = {entry["name"] for primary in catalogue for entry in (primary, *primary["secondary"])}
    assert {item.specialty for item in ITEMS} <= names


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
    for option in item.options[:-1]:
        assert option not in NONE_OF_THE_ABOVE


def test_a_fixed_letter_or_the_longest_option_is_a_poor_guess() -> None:
    for places in (SINGLE, *({place} for place in SINGLE)):
        items = items_in(*places)
        letters = Counter(item.answer[0] for item in items if isinstance(item.answer, list))
        assert set(letters) == set("ABCDE")
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


@each(*((dataset, "") for dataset in CLOSED_LISTS))
def test_labels_come_from_the_closed_list_that_the_question_states(item: DemoItem) -> None:
    listed = CLOSED_LISTS[item.dataset]
    assert isinstance(item.answer, list)
    assert set(item.answer) <= set(listed.split("、"))
    assert listed in item.question
    assert len(item.answer) == 1 or item.dataset == "MedReportQC"


def test_some_reports_have_no_error_and_some_have_two() -> None:
    assert {len(item.answer) for item in items_in(("MedReportQC", ""))} == {0, 1, 2}
    assert {str(item.answer[0]) for item in items_in(("MedOutcome", "")) if isinstance(item.answer, list)} == set(
        CLOSED_LISTS["MedOutcome"].split("、")
    )


@each(("SMDoc", ""))
def test_fields_are_asked_for_and_stated_or_unknown(item: DemoItem) -> None:
    assert isinstance(item.answer, dict)
    record, request = item.question.split("\n")
    unknown = "未知" if item.language == "zh" else "unknown"
    stated_as = {"X线有无骨折（有/无）": "X线片未见骨折"}
    for field, value in item.answer.items():
        assert field in request
        assert value == unknown or stated_as.get(field, value) in record
    assert unknown in item.answer.values()


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
    for name in expected:
        assert name in item.question


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
            assert len(asked) <= 250, item.id


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
