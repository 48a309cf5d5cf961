"""Three synthetic hospital databases and questions about them, some of which they can't answer.

Each database is filled twice by the same rules. The agent works with the first; its final statement also runs on the
second, which only a statement that says what was asked gets right.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import msgspec

from medbench.errors import WorkError
from medbench.store.sql import SqlDatabase, SqlTable, run_sql
from medbench.text import say

Item = dict[str, Any]
Cell = int | float | str | None

WARDS = ("cardiology", "surgery", "paediatrics", "neurology", "oncology")
DRUGS = ("amoxicillin", "metformin", "warfarin", "ibuprofen", "insulin", "atorvastatin")
TESTS = (("sodium", "mmol/L", 125, 155), ("potassium", "mmol/L", 2.5, 6.5), ("creatinine", "umol/L", 40, 300))
START = date(2023, 1, 1)


class Asked(NamedTuple):
    """A question; `{x}` in it and in its statement is a value of `values`."""

    english: str
    chinese: str
    sql: str
    values: tuple[str, ...] = ("",)
    ordered: bool = False


class Hospital(NamedTuple):
    """A database: how it is filled, and what is asked of it."""

    name: str
    fill: Callable[[random.Random], dict[str, SqlTable]]
    questions: tuple[Asked, ...]
    unanswerable: tuple[tuple[str, str], ...]


def make(chance: random.Random) -> tuple[list[Item], dict[str, bytes]]:
    """Questions with their keys, and the databases that they name.

    Raises:
        WorkError: A statement of ours can't be run on this machine.
    """
    items: list[Item] = []
    files: dict[str, bytes] = {}
    for hospital in HOSPITALS:
        databases = [SqlDatabase(hospital.fill(chance)) for _ in range(2)]
        names = [f"{hospital.name}.json", f"{hospital.name}-twin.json"]
        files |= {name: msgspec.json.encode(database) for name, database in zip(names, databases, strict=True)}
        for question in hospital.questions:
            for value in chance.sample(question.values, min(2, len(question.values))):
                language = "zh" if len(items) % 2 else "en"
                text = (question.chinese if language == "zh" else question.english).replace("{x}", value)
                tables = [_rows(database, question.sql.replace("{x}", value)) for database in databases]
                key = {"tables": tables, "ordered": question.ordered}
                items.append(_item(hospital.name, len(items), text, language, key, names, "answerable"))
        for english, chinese in hospital.unanswerable:
            language = "zh" if len(items) % 2 else "en"
            text = chinese if language == "zh" else english
            items.append(_item(hospital.name, len(items), text, language, {"abstain": True}, names, "unanswerable"))
    return items, files


def _rows(database: SqlDatabase, sql: str) -> list[tuple[Cell, ...]]:
    result = run_sql(database, sql)
    if result.error:
        raise WorkError(say("agents.statement_failed", sql=sql, reason=f"{result.error} {result.detail}".strip()))
    return list(result.rows)


def _item(hospital: str, number: int, text: str, language: str, key: Item, names: list[str], tag: str) -> Item:
    return {
        "id": f"{hospital}-{number + 1:02}",
        "question": text,
        "language": language,
        "answer": key,
        "family": f"{hospital}-{number + 1:02}",
        "media": names,
        "meta": {"environment": "sql", "tags": [tag]},
    }


def _day(chance: random.Random, days: int = 365) -> date:
    return START + timedelta(days=chance.randrange(days))


def _inpatients(chance: random.Random) -> dict[str, SqlTable]:
    patients = [(number, chance.choice("FM"), chance.randrange(1930, 2020)) for number in range(1, 61)]
    stays = []
    for number in range(1, 121):
        admitted = _day(chance, 330)
        left = admitted + timedelta(days=chance.randrange(1, 30))
        stays.append(
            (
                number,
                chance.randrange(1, 61),
                chance.choice(WARDS),
                admitted.isoformat(),
                left.isoformat() if chance.random() < 0.9 else None,
                chance.choice(["home", "transfer", "died"]) if chance.random() < 0.9 else None,
            )
        )
    return {
        "patients": SqlTable((("patient_id", "INTEGER"), ("sex", "TEXT"), ("birth_year", "INTEGER")), tuple(patients)),
        "admissions": SqlTable(
            (
                ("admission_id", "INTEGER"),
                ("patient_id", "INTEGER"),
                ("ward", "TEXT"),
                ("admitted", "TEXT"),
                ("discharged", "TEXT"),
                ("outcome", "TEXT"),
            ),
            tuple(stays),
        ),
    }


def _laboratory(chance: random.Random) -> dict[str, SqlTable]:
    results = []
    for number in range(1, 241):
        test, unit, low, high = chance.choice(TESTS)
        value = round(chance.uniform(low, high), 1)
        results.append(
            (number, chance.randrange(1, 41), test, value, unit, _day(chance).isoformat(), chance.choice([0, 0, 0, 1]))
        )
    ranges = [("sodium", 135.0, 145.0), ("potassium", 3.5, 5.2), ("creatinine", 45.0, 104.0)]
    return {
        "results": SqlTable(
            (
                ("result_id", "INTEGER"),
                ("patient_id", "INTEGER"),
                ("test", "TEXT"),
                ("value", "REAL"),
                ("unit", "TEXT"),
                ("taken", "TEXT"),
                ("emergency", "INTEGER"),
            ),
            tuple(results),
        ),
        "reference_ranges": SqlTable((("test", "TEXT"), ("low", "REAL"), ("high", "REAL")), tuple(ranges)),
    }


def _pharmacy(chance: random.Random) -> dict[str, SqlTable]:
    stock = [(drug, chance.randrange(0, 400), round(chance.uniform(0.1, 20), 2)) for drug in DRUGS]
    dispensed = [
        (number, chance.randrange(1, 41), chance.choice(DRUGS), chance.randrange(1, 60), _day(chance).isoformat())
        for number in range(1, 181)
    ]
    return {
        "stock": SqlTable((("drug", "TEXT"), ("units", "INTEGER"), ("unit_price", "REAL")), tuple(stock)),
        "dispensed": SqlTable(
            (
                ("dispense_id", "INTEGER"),
                ("patient_id", "INTEGER"),
                ("drug", "TEXT"),
                ("units", "INTEGER"),
                ("day", "TEXT"),
            ),
            tuple(dispensed),
        ),
    }


HOSPITALS = (
    Hospital(
        "inpatients",
        _inpatients,
        (
            Asked(
                "How many admissions were there to the ward {x}?",
                "病区 {x} 共有多少次住院？",
                "SELECT COUNT(*) FROM admissions WHERE ward = '{x}'",
                WARDS,
            ),
            Asked(
                "How many different patients were admitted to {x}?",
                "有多少名不同的患者住过 {x} 病区？",
                "SELECT COUNT(DISTINCT patient_id) FROM admissions WHERE ward = '{x}'",
                WARDS,
            ),
            Asked(
                "What is the mean length of stay in days of the discharged admissions to {x}?",
                "{x} 病区已出院住院的平均住院天数是多少？",
                "SELECT AVG(julianday(discharged) - julianday(admitted)) FROM admissions "
                "WHERE ward = '{x}' AND discharged IS NOT NULL",
                WARDS,
            ),
            Asked(
                "How many admissions to each ward ended in death? Give ward and number, wards without one left out.",
                "各病区各有多少次以死亡结束的住院？请给出病区与次数，没有的病区不列。",
                "SELECT ward, COUNT(*) FROM admissions WHERE outcome = 'died' GROUP BY ward",
            ),
            Asked(
                "Give the number of women and of men admitted to {x}, by sex, each patient counted once.",
                "请按性别给出住过 {x} 病区的患者人数，每名患者只计一次。",
                "SELECT sex, COUNT(DISTINCT patient_id) FROM admissions JOIN patients USING (patient_id) "
                "WHERE ward = '{x}' GROUP BY sex",
                WARDS,
            ),
            Asked(
                "How many admissions are without a discharge date?",
                "有多少次住院没有出院日期？",
                "SELECT COUNT(*) FROM admissions WHERE discharged IS NULL",
            ),
        ),
        (
            ("Which nurse was on duty most often in surgery?", "外科病区哪位护士值班最多？"),
            ("What was the mean body mass index of the admitted patients?", "住院患者的平均体重指数是多少？"),
        ),
    ),
    Hospital(
        "laboratory",
        _laboratory,
        (
            Asked(
                "How many results of {x} are above the upper reference limit?",
                "{x} 有多少个结果高于参考上限？",
                "SELECT COUNT(*) FROM results JOIN reference_ranges USING (test) WHERE test = '{x}' AND value > high",
                ("sodium", "potassium", "creatinine"),
            ),
            Asked(
                "What is the highest value of {x} measured as an emergency?",
                "急诊测得的 {x} 最高值是多少？",
                "SELECT MAX(value) FROM results WHERE test = '{x}' AND emergency = 1",
                ("sodium", "potassium", "creatinine"),
            ),
            Asked(
                "Give the patient numbers of all who ever had potassium below the reference range.",
                "请给出曾有钾低于参考范围的全部患者编号。",
                "SELECT DISTINCT patient_id FROM results JOIN reference_ranges USING (test) "
                "WHERE test = 'potassium' AND value < low",
            ),
            Asked(
                "List the tests with the number of their results, the most frequent first.",
                "请列出各检验项目及其结果数，最多的在前。",
                "SELECT test, COUNT(*) FROM results GROUP BY test ORDER BY COUNT(*) DESC, test",
                ordered=True,
            ),
            Asked(
                "How many results of {x} were taken in March 2023?",
                "2023 年 3 月采集的 {x} 结果有多少个？",
                "SELECT COUNT(*) FROM results WHERE test = '{x}' AND taken LIKE '2023-03-%'",
                ("sodium", "potassium", "creatinine"),
            ),
        ),
        (
            ("Which physician requested most tests?", "哪位医生申请的检验最多？"),
            ("How many blood cultures were positive?", "有多少份血培养为阳性？"),
        ),
    ),
    Hospital(
        "pharmacy",
        _pharmacy,
        (
            Asked(
                "How many units of {x} were dispensed in all?",
                "{x} 总共发出了多少单位？",
                "SELECT SUM(units) FROM dispensed WHERE drug = '{x}'",
                DRUGS,
            ),
            Asked(
                "Which drugs have less in stock than was dispensed of them? Give their names.",
                "哪些药品的库存少于其已发出的数量？请给出名称。",
                "SELECT drug FROM stock WHERE units < "
                "(SELECT SUM(units) FROM dispensed WHERE dispensed.drug = stock.drug)",
            ),
            Asked(
                "How many patients got both {x} and warfarin?",
                "同时领取过 {x} 与 warfarin 的患者有多少名？",
                "SELECT COUNT(*) FROM (SELECT patient_id FROM dispensed WHERE drug = '{x}' "
                "INTERSECT SELECT patient_id FROM dispensed WHERE drug = 'warfarin')",
                ("amoxicillin", "ibuprofen", "metformin"),
            ),
            Asked(
                "What is the value of the whole stock, in units times price?",
                "全部库存按数量乘单价合计的金额是多少？",
                "SELECT SUM(units * unit_price) FROM stock",
            ),
            Asked(
                "Which drug was dispensed most often? Give its name and the number of times; several where they tie.",
                "哪种药品发出次数最多？请给出名称与次数；并列时全部给出。",
                "SELECT drug, COUNT(*) FROM dispensed GROUP BY drug HAVING COUNT(*) = "
                "(SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM dispensed GROUP BY drug))",
            ),
        ),
        (
            ("Which patients are allergic to amoxicillin?", "哪些患者对 amoxicillin 过敏？"),
            ("When does the oldest package of insulin expire?", "最早一批 insulin 何时过期？"),
        ),
    ),
)
