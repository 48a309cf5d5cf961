"""SQL in answers, run on synthetic rows in a locked process that it can't get out of."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.items.model import Key, Question
from medbench.models.model import Response
from medbench.scoring.executable import sql
from medbench.scoring.executable.schema_prose import read_schema
from medbench.scoring.executable.sql import check_sql, run_sql
from support.agent_items import TABLES

SCHEMA = read_schema(TABLES)
QUESTION = Question(id="1", dataset="MedDBOps", text=TABLES)


def run(answer, reference="", **more):
    return run_sql(SCHEMA, answer, reference=reference, question=TABLES, **more)


RIGHT = {
    "join": "SELECT p.name, l.item FROM patient p JOIN DIAGNOSIS d ON p.patient_id = d.patient_id "
    "JOIN lab l ON l.diagnosis_id = d.diagnosis_id WHERE d.disease = '肺炎' AND l.result > 10",
    "fence with words": "思路如下：\n```sql\nSELECT name AS 姓名 FROM patient WHERE age > 60 -- 年龄\n"
    "ORDER BY age DESC;\n```\n说明：完成。",
    "words behind": "SELECT name FROM patient WHERE age > 60;\n\n以上查询返回 60 岁以上患者。",
    "nvl, decode": "SELECT NVL(note, '无'), DECODE(disease, '肺炎', 1, 0) FROM DIAGNOSIS",
    "dates": "SELECT TRUNC(made_on), made_on + 30, TO_CHAR(made_on, 'YYYY-MM') FROM DIAGNOSIS "
    "WHERE made_on >= TO_DATE('2024-01-01', 'YYYY-MM-DD') AND made_on < ADD_MONTHS(DATE '2024-01-01', 12)",
    "since today": "SELECT COUNT(*) FROM DIAGNOSIS WHERE made_on >= TRUNC(SYSDATE) - 30 HAVING COUNT(*) > 0",
    "many": "SELECT patient_id FROM DIAGNOSIS GROUP BY patient_id HAVING COUNT(*) > 40",
    "none of": "SELECT name FROM patient p WHERE NOT EXISTS "
    "(SELECT 1 FROM DIAGNOSIS d WHERE d.patient_id = p.patient_id)",
    "both": "SELECT patient_id FROM DIAGNOSIS WHERE disease IN ('肺炎', '哮喘') GROUP BY patient_id "
    "HAVING COUNT(DISTINCT disease) = 2",
    "last of each": "SELECT * FROM (SELECT d.*, ROW_NUMBER() OVER (PARTITION BY patient_id ORDER BY made_on DESC) rn "
    "FROM DIAGNOSIS d) WHERE rn = 1",
    "first rows": "SELECT * FROM (SELECT name FROM patient ORDER BY age DESC) WHERE ROWNUM <= 3",
    "old outer join": "SELECT p.name, d.disease FROM patient p, DIAGNOSIS d WHERE p.patient_id = d.patient_id(+)",
    "lists": "SELECT patient_id, LISTAGG(disease, ',') WITHIN GROUP (ORDER BY disease) "
    "FROM DIAGNOSIS GROUP BY patient_id",
    "expression": "SELECT name FROM patient WHERE REGEXP_LIKE(name, '^[[:alpha:]]')",
    "shares": "SELECT disease, ROUND(RATIO_TO_REPORT(COUNT(*)) OVER () * 100, 2) FROM DIAGNOSIS GROUP BY disease",
    "mysql": "SELECT `name`, DATE_FORMAT(born, '%Y') FROM `patient` WHERE born < DATE_SUB(CURDATE(), INTERVAL 3 DAY)",
    "postgres": "SELECT name, born::date FROM patient WHERE born < now() - INTERVAL '3 days'",
    "other schema": "SELECT name FROM his.patient FETCH FIRST 2 ROWS ONLY",
    "hint": "SELECT /*+ FULL(p) */ name FROM patient p",
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_answers_find_something(name):
    reply = run(RIGHT[name])
    assert (reply.code, reply.detail, reply.wrong) == ("", "", False)
    assert reply.rows > 0
    assert reply.dialect == ("mysql" if name == "mysql" else "oracle")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("SELECT nome FROM patient", "unknown_column"),
        ('SELECT name FROM patient WHERE name = "张三"', "unknown_column"),
        ("SELECT name，age FROM patient", "unknown_column"),
        ("SELECT name FROM patients", "unknown_table"),
        ("SELECT patient_id FROM patient p JOIN DIAGNOSIS d ON p.patient_id = d.patient_id", "ambiguous_column"),
        ("SELECT name FROM patient WHERE COUNT(*) > 1", "misused_aggregate"),
        ("SELECT a.item FROM lab a, lab b, lab c", "too_many_rows"),
        ("SELECT COUNT(*) FROM lab a, lab b, lab c, lab d, lab e", "too_much_work"),
        ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT MAX(n) FROM r", "too_much_work"),
        ("SELECT zeroblob(1000000000) FROM dual", "too_big"),
        ("SELECT zeroblob(200000) FROM dual", "too_big"),
        ("SELECT * FROM sqlite_master", "forbidden"),
    ],
)
def test_what_is_wrong_is_named(answer, code):
    reply = run(answer)
    assert (reply.code, reply.wrong) == (code, True)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("请提供表结构。", "no_sql"),
        ("SELECT FROM WHERE", "not_parsed"),
        ("UPDATE patient SET age = 1", "writes"),
        ("WITH x AS (SELECT 1 FROM dual) DELETE FROM patient", "writes"),
        ("SELECT name FROM patient; DROP TABLE patient", "writes"),
        ("SELECT name FROM patient WHERE age = :age", "not_transpiled"),
        ("SELECT LEVEL FROM dual CONNECT BY LEVEL <= 5", "not_transpiled"),
        ("SELECT ROWNUM, name FROM patient", "not_transpiled"),
        ("SELECT MEDIAN(age) OVER () FROM patient", "not_run"),
        ("SELECT name FROM patient WHERE age > 5 AND age < 3", "empty_result"),
        ("SELECT " + "(" * 5_000 + "1" + ")" * 5_000 + " FROM dual", "too_long"),
        ("SELECT 1 FROM dual;" * 6, "too_long"),
        ("SELECT '" + "x" * 20_000 + "' FROM dual", "too_long"),
    ],
)
def test_what_can_not_be_run_is_not_called_wrong(answer, code):
    reply = run(answer)
    assert (reply.code, reply.wrong) == (code, False)


REFERENCE = "SELECT name, age FROM patient WHERE age > 60 ORDER BY age DESC"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (REFERENCE, ""),
        ("SELECT p.age AS 年龄, p.name FROM patient p WHERE p.age >= 61 ORDER BY p.age DESC, p.name", ""),
        ("SELECT name, age FROM patient WHERE age > 60", "result_differs"),  # in another order
        ("SELECT name, age FROM patient WHERE age >= 60 ORDER BY age DESC", "result_differs"),
        ("SELECT name FROM patient WHERE age > 60 ORDER BY age DESC", "result_differs"),
        ("SELECT DISTINCT name, age FROM patient WHERE age > 600 ORDER BY age DESC", "result_differs"),
    ],
)
def test_the_result_is_held_against_that_of_a_reference(answer, code):
    reply = run(answer, REFERENCE)
    assert (reply.code, reply.wrong, reply.compared) == (code, bool(code), True)


@pytest.mark.parametrize("key", ["a", "2", "age + 0", "d.age"])
def test_rows_that_a_reference_ranks_the_same_may_come_in_any_order(key):
    reference = f"SELECT d.name, d.age AS a FROM patient d WHERE d.age > 1 ORDER BY {key}"
    both = [
        run(f"SELECT name, age FROM patient WHERE age > 1 ORDER BY age, name {way}", reference) for way in ("", "DESC")
    ]
    assert [(reply.code, reply.compared) for reply in both] == [("", True)] * 2
    assert run("SELECT name, age FROM patient WHERE age > 1 ORDER BY age DESC", reference).code == "result_differs"


def test_without_an_order_in_the_reference_the_order_is_free():
    free = "SELECT name, age FROM patient WHERE age > 60"
    assert run(f"{free} ORDER BY age", free).code == ""
    assert run(f"{free} ORDER BY age DESC", free).code == ""
    assert run(free, "SELECT LEVEL FROM dual CONNECT BY LEVEL < 3").compared is False


def test_a_check_says_what_it_ran():
    answer = Response(status="ok", text=f"<think>SELECT 1</think>{RIGHT['join']}")
    checked = check_sql(QUESTION, answer, Key(uid="MedDBOps/1", answer=RIGHT["join"]))
    assert checked.status == "passed"
    assert checked.evidence["tables"] == ["patient", "DIAGNOSIS", "lab"]
    assert checked.evidence["dialect"] == "oracle"
    assert checked.evidence["columns"] == ("name", "item")
    assert checked.evidence["compared"] is True
    assert checked == check_sql(QUESTION, answer, Key(uid="MedDBOps/1", answer=RIGHT["join"]))
    wrong = check_sql(QUESTION, Response(status="ok", text="SELECT x FROM patient"), None)
    assert (wrong.status, wrong.findings[0].text("zh")) == ("failed", "不存在的字段: no such column: x")
    assert check_sql(QUESTION, Response(status="failed"), None).findings[0].code == "no_answer"
    odd = Question(id="2", dataset="MedDBOps", text=TABLES.replace("CLOB", "XMLTYPE"))
    assert check_sql(odd, answer, None).findings[0].code == "unknown_type"


HOSTILE = [
    "SELECT load_extension('/tmp/x.so') FROM dual",
    "SELECT writefile('{}', 'x') FROM dual",
    "SELECT readfile('/etc/passwd') FROM dual",
    "SELECT fts3_tokenizer('simple', x'00') FROM dual",
    "SELECT * FROM pragma_database_list",
    "SELECT 1 FROM dual; ATTACH DATABASE '{}' AS e",
    "SELECT 1 FROM dual; PRAGMA query_only = OFF",
    "SELECT 1 FROM dual; VACUUM INTO '{}'",
    "CREATE TABLE z (a); SELECT 1 FROM dual",
    "SELECT * INTO OUTFILE '{}' FROM patient",
    "SELECT LOAD_FILE('/etc/passwd') FROM dual",
    "SELECT pg_read_file('/etc/passwd') FROM dual",
    "SELECT UTL_HTTP.REQUEST('http://127.0.0.1') FROM dual",
    "SELECT randomblob(1000000000) FROM dual",
    "SELECT hex(zeroblob(900000)) FROM dual",
    "SELECT printf('%1000000000d', 1) FROM dual",
    "SELECT REPLACE(REPLACE(REPLACE(printf('%.1000d', 1), '0', '0000000000'), '0', '0000000000'), '0', '0000000000')",
    "SELECT LPAD('x', 1000000000, 'y') FROM dual",
    "SELECT GROUP_CONCAT(a.note) FROM lab b, DIAGNOSIS a, lab c",
    "WITH RECURSIVE r(n) AS (SELECT 'a' UNION ALL SELECT n || n FROM r) SELECT MAX(LENGTH(n)) FROM r",
    "SELECT zeroblob(900000) FROM lab a, lab b",
    "SELECT SUM(a.result * b.result) OVER (ORDER BY c.result) FROM lab a, lab b, lab c",
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_no_answer_gets_out_or_takes_more_than_its_limits(number, tmp_path):
    target = tmp_path / "evil"
    began = time.monotonic()
    reply = run(HOSTILE[number].format(target))
    assert time.monotonic() - began < 60  # the clock at 10 s, and a start
    assert not target.exists()
    assert not any("root:" in value for row in reply.sample for value in row)
    assert sum(len(value) for row in reply.sample for value in row) < 10_000
    assert run(RIGHT["join"]).code == ""  # the next answer is none the worse


def test_a_statement_that_holds_on_in_one_step_ends_by_the_clock():
    began = time.monotonic()
    reply = run(
        "SELECT * FROM patient WHERE REGEXP_LIKE('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!', '^(a+)+$')", seconds=1.5
    )
    assert (reply.code, reply.wrong) == ("stopped", False)
    assert time.monotonic() - began < 30
    assert run(RIGHT["join"]).code == ""


def test_the_process_has_no_files_no_secrets_and_little_memory(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    sql._PROCESS.end()
    assert run(RIGHT["join"]).code == ""
    process = sql._PROCESS._process
    assert process is not None
    place = Path("/proc") / str(process.pid)
    assert b"secret" not in (place / "environ").read_bytes()
    limits = (place / "limits").read_text()
    rows = {line[:26].strip(): line[26:].split()[:2] for line in limits.splitlines()}
    assert rows["Max open files"] == ["0", "0"]
    assert rows["Max file size"] == ["0", "0"]
    assert rows["Max address space"] == [str(1024**3)] * 2
    assert sorted(each.name for each in (place / "fd").iterdir()) == ["0", "1", "2"]


def test_a_process_that_was_killed_is_replaced():
    assert run(RIGHT["join"]).code == ""
    process = sql._PROCESS._process
    process.kill()
    process.wait()
    assert run(RIGHT["join"]).code == ""


WORDS = """
SELECT FROM WHERE AND OR NOT IN ( ) , * = < > || + - / patient DIAGNOSIS lab name age result 'x' 1 1000000000
NULL JOIN LEFT ON USING GROUP BY HAVING COUNT(*) ORDER WITH RECURSIVE r AS UNION ALL EXCEPT LIMIT CASE WHEN
THEN END ATTACH PRAGMA VACUUM INTO '/tmp/medbench-escape' load_extension( zeroblob( randomblob( printf( hex(
replace( substr( char( group_concat( ROWNUM REGEXP_LIKE( TO_DATE( SYSDATE sqlite_master dual ; -- /* */ :x ? "
`
"""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=25))
def test_no_words_of_sql_get_out_or_break_the_process(words):
    began = time.monotonic()
    reply = run("SELECT " + " ".join(words))
    assert reply.code != "crashed"
    assert time.monotonic() - began < 60
    assert not Path("/tmp/medbench-escape").exists()
