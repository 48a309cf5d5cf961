"""Statements of somebody else: what they may not do, what they may not take, and that honest ones run."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import time
from pathlib import Path

import openpyxl
import pytest

from medbench.store.sql import SqlDatabase, SqlLimits, SqlTable, run_sql

DATABASE = SqlDatabase(
    {
        "stays": SqlTable(
            (("id", "INTEGER"), ("ward", "TEXT"), ("since", "TEXT")),
            tuple((number, "ABC"[number % 3], f"2023-0{1 + number % 9}-01") for number in range(3000)),
        ),
        "odd name": SqlTable((("a b", "REAL"),), ((1.5,), (None,))),
    }
)
SHORT = SqlLimits(seconds=1.0)


def test_an_honest_statement_gives_its_rows():
    found = run_sql(DATABASE, "SELECT ward, COUNT(*) AS n FROM stays GROUP BY ward ORDER BY ward")
    assert (found.error, found.columns) == ("", ("ward", "n"))
    assert found.rows == (("A", 1000), ("B", 1000), ("C", 1000))
    assert run_sql(DATABASE, 'SELECT "a b" FROM "odd name"').rows == ((1.5,), (None,))


def test_dates_that_are_given_can_be_reckoned_with():
    found = run_sql(
        DATABASE, "SELECT date('2023-01-31', '+1 month'), strftime('%Y', '2023-05-06'), unixepoch('1970-01-02')"
    )
    assert found.rows == (("2023-03-03", "2023", 86400),)


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '/tmp/other.db' AS other",
        "VACUUM INTO '/tmp/medbench-escaped'",
        "PRAGMA hard_heap_limit = 0",
        "SELECT * FROM pragma_database_list",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c",
        "INSERT INTO stays VALUES (1, 'A', '')",
        "UPDATE stays SET ward = 'X'",
        "DELETE FROM stays",
        "DROP TABLE stays",
        "CREATE TABLE mine (a)",
        "CREATE TEMP TABLE mine AS SELECT 1",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "BEGIN IMMEDIATE",
        "SELECT load_extension('/tmp/evil.so')",
        "SELECT randomblob(100000000)",
        "SELECT LENGTH(zeroblob(1000000000))",
        "SELECT random()",
        "SELECT date('now')",
        "SELECT date('n' || 'ow')",
        "SELECT datetime()",
        "SELECT strftime('%Y')",
        "SELECT CURRENT_TIMESTAMP",
        "SELECT unixepoch()",
        "SELECT unixepoch('now')",
        "SELECT timediff('now', '2020-01-01')",
        "SELECT datetime('subsec')",
        "SELECT date(x'6e6f77')",
        "SELECT date('now' || char(0))",
        "SELECT strftime('%s', CAST('now' AS BLOB))",
        "SELECT fts3_tokenizer('simple')",
    ],
)
def test_what_is_not_reading_is_refused(sql):
    found = run_sql(DATABASE, sql)
    assert (found.error, found.rows) == ("not_allowed", ())
    assert found.detail
    assert not Path("/tmp/medbench-escaped").exists()


@pytest.mark.parametrize(
    ("sql", "errors"),
    [
        ("SELECT COUNT(*) FROM stays a, stays b, stays c, stays d", {"timeout"}),
        ("SELECT a.ward || b.ward || c.ward FROM stays a, stays b, stays c ORDER BY 1", {"timeout", "too_large"}),
        ("SELECT GROUP_CONCAT(a.since || b.since) FROM stays a, stays b", {"too_large", "timeout"}),
        (
            "SELECT MAX(p) FROM (SELECT printf('%90000s', b.ward) AS p FROM stays a, stays b ORDER BY p)",
            {"too_large", "timeout"},
        ),
        ("SELECT replace(hex(printf('%90000s', 'a')), '2', '22222222')", {"too_large"}),
        ("SELECT 1" + " UNION ALL SELECT 1" * 100, {"sql_error"}),
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, {"sql_error"}),
        ("SELECT 1; SELECT 2", {"sql_error"}),
        ("SELEC 1", {"sql_error"}),
        ("SELECT '\ud800'", {"sql_error"}),
    ],
)
def test_a_statement_that_takes_too_much_ends_soon_with_its_status(sql, errors):
    began = time.monotonic()
    found = run_sql(DATABASE, sql, SHORT)
    assert found.error in errors
    assert time.monotonic() - began < 15


def test_a_long_result_is_cut_and_says_so():
    found = run_sql(DATABASE, "SELECT id FROM stays", SqlLimits(rows=10))
    assert (len(found.rows), found.more) == (10, True)
    found = run_sql(DATABASE, "SELECT printf('%999s', id) FROM stays", SqlLimits(characters=5000))
    assert (len(found.rows), found.more) == (4, True)
    assert not run_sql(DATABASE, "SELECT id FROM stays", SqlLimits(rows=3000)).more


def test_tables_that_can_not_be_are_no_fault_of_the_statement():
    twice = SqlDatabase({"t": SqlTable((("a", "TEXT"), ("A", "TEXT")))})
    with pytest.raises(ValueError, match="duplicate"):
        run_sql(twice, "SELECT 1")


NOW = "2100-12-31 23:59:00"
"""What EHRSQL takes for the present."""


def ehrsql(shared: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Tables with their columns, and the statements of the questions that can be answered."""
    folder = shared / "data" / "agent" / "ehrsql_2024"
    if not folder.exists():
        pytest.skip("ehrsql_2024 is not here")
    schema = (folder / "mimic_iv.sql").read_text()
    columns = {
        name.lower(): re.findall(r"^\s*(?!FOREIGN)(\w+) [A-Z]+(?:\(\d+\))?", body, re.M)
        for name, body in re.findall(r"CREATE TABLE (\w+)\s*\((.*?)\n\);", schema, re.S)
    }
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    statements = [row["sql"] for row in rows if row["sql"] != "null"]
    return columns, [re.sub(r"\bcurrent_time\b", f"'{NOW}'", sql) for sql in statements]


def test_no_statement_of_ehrsql_is_refused_or_takes_too_much(shared):
    """On empty tables: those that it was made on are not published with it."""
    columns, statements = ehrsql(shared)
    assert len(statements) > 900
    tables = {name: SqlTable(tuple((column, "TEXT") for column in names)) for name, names in columns.items()}
    database = SqlDatabase(tables)
    found = {sql: run_sql(database, sql) for sql in statements[::12]}
    # Some name bounds of vital signs that EHRSQL fills in by its own code.
    wrong = {sql: each for sql, each in found.items() if each.error and "_lower" not in sql and "_upper" not in sql}
    assert wrong == {}
    assert sum(each.error == "" for each in found.values()) > 70


def test_statements_on_real_tables_give_what_sqlite_gives_without_limits(shared):
    folder = shared / "data" / "agent" / "mimic3_demo_tables"
    if not folder.exists():
        pytest.skip("mimic3_demo_tables is not here")
    _, statements = ehrsql(shared)
    tables = {
        "patients": read_csv(folder / "PATIENTS_T.csv"),
        "admissions": read_xlsx(folder / "ADDMISSIONS_T.xlsx"),
        "diagnoses_icd": read_xlsx(folder / "DIAGNOSES_ICD_T.xlsx"),
        "icustays": read_xlsx(folder / "ICUSTAYS_T.xlsx"),
    }
    plain = sqlite3.connect(":memory:")
    for name, table in tables.items():
        plain.execute(f"CREATE TABLE {name} ({', '.join(f'{column} {kind}' for column, kind in table.columns)})")
        plain.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(table.columns))})", table.rows)
    rows_given = 0
    for sql in statements:
        try:
            expected = plain.execute(sql).fetchall()
        except sqlite3.Error:
            continue  # of tables or columns that are not among these four
        found = run_sql(SqlDatabase(tables), sql)
        assert (found.error, found.rows) == ("", tuple(expected)), sql
        rows_given += bool(expected)
    assert rows_given >= 10


def read_csv(path: Path) -> SqlTable:
    with path.open(newline="") as file:
        names, *rows = csv.reader(file)
    return SqlTable(tuple((name, "TEXT") for name in names), tuple(tuple(cell or None for cell in row) for row in rows))


def read_xlsx(path: Path) -> SqlTable:
    sheet = openpyxl.load_workbook(path, read_only=True).worksheets[0]
    names, *rows = sheet.iter_rows(values_only=True)
    cells = tuple(tuple(None if cell is None else str(cell) for cell in row) for row in rows)
    return SqlTable(tuple((str(name).lower(), "TEXT") for name in names), cells)
