"""How far executable checks reach on real data: the official release, BFCL and EHRSQL."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlglot
from sqlglot import exp

from medbench.scoring.executable.api_description import Api, read_apis
from medbench.scoring.executable.calls import Call, extract_calls, validate_calls
from medbench.scoring.executable.schema_prose import Column, Schema, Table, read_schema
from medbench.scoring.executable.sql import run_sql
from support.json_lines import json_lines

CALL_DATASETS = ("MedCallAPI", "MedRetAPI", "MedPathPlan")
BFCL_FILES = ("simple_python", "multiple", "parallel")
_TYPES = {"dict": "object", "float": "number", "tuple": "array"}


def release_coverage(folder: Path) -> dict[str, dict[str, int]]:
    """Of each dataset with a check: items, and those whose description was read whole, with what is in them."""
    found: dict[str, dict[str, int]] = {}
    for name in CALL_DATASETS:
        described = [read_apis(row["question"]) for row in json_lines(folder / f"{name}.jsonl")]
        apis = [api for each in described for api in each.apis]
        found[name] = {
            "items": len(described),
            "read": sum(not each.gaps for each in described),
            "apis": len(apis),
            "parameters": sum(len(api.parameters["properties"]) for api in apis),
            "not_said_whether_required": sum(len(api.unstated) for api in apis),
        }
    schemas = [read_schema(row["question"]) for row in json_lines(folder / "MedDBOps.jsonl")]
    tables = [table for schema in schemas for table in schema.tables]
    found["MedDBOps"] = {
        "items": len(schemas),
        "read": sum(not schema.gaps for schema in schemas),
        "tables": len(tables),
        "columns": sum(len(table.columns) for table in tables),
    }
    return found


def bfcl_agreement(folder: Path) -> dict[str, Any]:
    """Gold calls of BFCL in five forms: how many come back as they were, how many are valid, which faults are found."""
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for name in BFCL_FILES:
        rows = json_lines(folder / "data" / f"BFCL_v4_{name}.json")
        golds = json_lines(folder / "possible_answer" / f"BFCL_v4_{name}.json")
        for row, gold in zip(rows, golds, strict=True):
            assert row["id"] == gold["id"]
            apis = [Api(each["name"], _schema(each["parameters"])) for each in row["function"]]
            made = [Call(n, _first(a), 0) for truth in gold["ground_truth"] for n, a in truth.items()]
            counts["items"] += 1
            for form, text in _forms(made).items():
                read = [(call.name, call.arguments) for call in extract_calls(text, apis)]
                counts[f"read_from_{form}"] += read == [(call.name, call.arguments) for call in made]
            counts["gold_valid"] += not list(validate_calls(made, apis))
            for fault, call in _faults(made[0], apis):
                faults[f"{fault}_made"] += 1
                faults[f"{fault}_found"] += fault in {each.code for each in validate_calls([call], apis)}
    return dict(counts) | {"faults": dict(faults)}


def ehrsql_agreement(folder: Path, step: int = 1) -> dict[str, int]:
    """Gold queries of EHRSQL on synthetic rows, each its own reference; and with a column that is not there."""
    schema = _mimic(folder / "mimic_iv.sql")
    columns = {column.name for table in schema.tables for column in table.columns}
    counts: Counter[str] = Counter()
    queries = [row for row in json_lines(folder / "valid.jsonl") if row["sql"] not in (None, "null")]
    for row in queries[::step]:
        reply = run_sql(schema, row["sql"], reference=row["sql"], question=row["question"])
        counts["queries"] += 1
        counts[reply.code or "found_rows"] += 1
        counts["same_as_itself"] += reply.compared and reply.code != "result_differs"
        used = (each.name for each in sqlglot.parse_one(row["sql"], read="sqlite").find_all(exp.Column))
        column = next(name for name in used if name in columns)
        broken = run_sql(schema, re.sub(rf"\b{column}\b", f"{column}_x", row["sql"]), question=row["question"])
        counts["unknown_column_found"] += broken.code in ("unknown_column", "unknown_table")
    return dict(counts)


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    """BFCL's types as JSON Schema names them; `any` is no type at all."""
    made = {key: value for key, value in schema.items() if key in ("enum", "required")}
    if (kind := schema.get("type")) != "any":
        made["type"] = _TYPES.get(kind, kind)
    if "items" in schema:
        made["items"] = _schema(schema["items"])
    if "properties" in schema:
        made["properties"] = {name: _schema(each) for name, each in schema["properties"].items()}
        made["additionalProperties"] = False
    return made


def _first(allowed: dict[str, list[Any]]) -> dict[str, Any]:
    """The first allowed value of each parameter that is not left out."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each[0]) for name, each in value.items() if each and each[0] != ""}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return {name: plain(values[0]) for name, values in allowed.items() if values and values[0] != ""}


def _forms(calls: list[Call]) -> dict[str, str]:
    pairs = [(call.name, call.arguments or {}) for call in calls]
    return {
        "json": json.dumps([{"name": name, "arguments": given} for name, given in pairs]),
        "keyed_json": json.dumps([{name: given} for name, given in pairs]),
        "python": "["
        + ", ".join(f"{n}({', '.join(f'{key}={value!r}' for key, value in given.items())})" for n, given in pairs)
        + "]",
        "prose": "\n".join(
            f"{i}. Call `{n}` with:\n```json\n{json.dumps(g)}\n```" for i, (n, g) in enumerate(pairs, 1)
        ),
        "lists": "\n".join(
            f"Step {i}: **{name}**\n" + "\n".join(f"- `{key}`: {json.dumps(value)}" for key, value in given.items())
            for i, (name, given) in enumerate(pairs, 1)
        ),
    }


def _faults(call: Call, apis: list[Api]) -> Iterator[tuple[str, Call]]:
    api = next(each for each in apis if each.name == call.name)
    given = dict(call.arguments or {})
    yield "unknown_api", Call(f"{call.name}_x", given, 0)
    yield "unknown_parameter", Call(call.name, given | {"no_such_parameter": 1}, 0)
    for name in api.parameters.get("required", [])[:1]:
        yield "missing_parameter", Call(call.name, {key: each for key, each in given.items() if key != name}, 0)
    for name, schema in api.parameters["properties"].items():
        if schema.get("type") in ("integer", "number", "boolean", "array", "object") and name in given:
            yield "wrong_type", Call(call.name, given | {name: "three"}, 0)
            break


def _mimic(path: Path) -> Schema:
    tables = []
    for tree in sqlglot.parse(path.read_text("utf-8"), read="sqlite"):
        if not isinstance(tree, exp.Create):
            continue
        refers = {}
        for key in tree.find_all(exp.ForeignKey):
            target = key.args["reference"].this
            refers[key.expressions[0].name] = (target.this.name, target.expressions[0].name)
        columns = []
        for column in tree.this.find_all(exp.ColumnDef):
            kind = column.kind.sql().upper()
            of = "date" if "TIME" in kind else "number" if kind.startswith(("INT", "DOUBLE", "FLOAT")) else "text"
            key = "PRIMARY KEY" in column.sql().upper()
            columns.append(Column(column.name, of, key=key, references=refers.get(column.name)))
        tables.append(Table(tree.this.this.name, tuple(columns)))
    return Schema(tuple(tables))
