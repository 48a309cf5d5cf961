"""`medbench agent`: the reference agent's file, what governs an agent, and what it did."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli.output import print_json, print_written
from medbench.text import current_language, harmless, say

if TYPE_CHECKING:
    from medbench.runs.trails import AnswerTrail
    from medbench.store.audit import Checked

app = typer.Typer(
    help="""The reference agent, what governs an agent, and what it did.

    \b
    Examples:
      medbench agent init --out agent.yaml
      medbench run --items items.jsonl --model agent:agent.yaml --out run
      medbench agent trace run
    """,
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command()
def init(
    out: Annotated[Path, typer.Option(help="File to write (YAML); its folder is made if absent.")] = Path("agent.yaml"),
    as_json: Json = False,
) -> None:
    """Write the agent's default file, commented, to be changed and run with `--model agent:FILE`.

    \b
    Example:
      medbench agent init --out agent.yaml
      medbench run --items items.jsonl --model agent:agent.yaml --out run
    """
    from importlib.resources import files

    from medbench.errors import InputError, Problem
    from medbench.store.files import made, write_atomically

    if out.exists():
        raise InputError(Problem(message=say("agent_file.init_exists", path=out), field="--out"))
    made(out.parent, "--out")
    write_atomically(out, files("medbench.agents.orchestration").joinpath("agent.yaml").read_bytes())
    print_json({"file": str(out)}) if as_json else print(say("agent_file.init_done", path=out))


@app.command()
def trace(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run of the agent.")],
    out: Annotated[Path | None, typer.Option(help="Page to write; traces.html in the run's folder by default.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most answers shown.")] = 100,
    as_json: Json = False,
) -> None:
    """Write what the agent did as one HTML page in Chinese and English that loads nothing from anywhere.

    \b
    Example:
      medbench agent trace run
    """
    from medbench.board.report.traces import write_traces

    page = write_traces(run_dir, current_language(), limit=limit, out=out)
    print_json(page) if as_json else print(
        say("traces.trace_done", path=page.path, shown=page.shown, traces=page.traces)
    )
    if page.damaged:
        print(say("traces.traces_damaged", damaged=page.damaged), file=sys.stderr)


@app.command()
def policies(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Policy files (TOML) beside those of the program.")
    ] = None,
    text: Annotated[str | None, typer.Option("--try", help="A text to hold against the rules, at every place.")] = None,
    as_json: Json = False,
) -> None:
    """List the rules that govern an agent, check files of your own, and try a text on them.

    All problems of all files are told at once.

    \b
    Examples:
      medbench agent policies
      medbench agent policies ward.toml --try "Infuse the potassium faster."
    """
    from medbench.agents.governance.guard import Guard
    from medbench.agents.governance.policy import load_policies

    loaded = load_policies(*(files or ()))
    guard = Guard(loaded)
    tried = []
    if text is not None:
        checks = (guard.check_input, guard.check_config, guard.check_output)
        call, result = guard.check_tool("tool", {"text": text}), guard.check_tool("tool", {}, text)
        tried = [*(check(text) for check in checks), call, result]
    if as_json:
        print_json({"version": loaded.version, "rules": loaded.rules, "doses": loaded.doses, "tried": tried})
        return
    language = current_language()
    if text is None:
        for theme, title in loaded.themes.items():
            print(f"\n{theme}: {getattr(title, language)}")
            for rule in loaded.rules:
                if rule.id.partition(".")[0] == theme:
                    severity = say(f"agent.severity_{rule.severity}")
                    action = say(f"agent.action_{rule.action}")
                    where = [say(f"agent.where_{place}") for place in rule.where]
                    print(f"  {rule.id}  {action}  {severity}  {' · '.join(where)}")
                    print(harmless(say("agent.rule_rests", title=getattr(rule.title, language), source=rule.source)))
    for decision in tried:
        place, action = say(f"agent.where_{decision.place}"), say(f"agent.action_{decision.action}")
        print(say("agent.tried", place=place, action=action))
        for hit in decision.hits:
            print(harmless(f"    {hit.rule}: {' … '.join(hit.words)}"))
    print(say("agent.policies_total", rules=len(loaded.rules), doses=len(loaded.doses), version=loaded.version))


@app.command()
def requests(
    out: Annotated[Path, typer.Option(help="Folder for the items and their datasets; made if absent.")],
    as_json: Json = False,
) -> None:
    """Write pairs of requests as items: a harmful one to be declined, and a harmless one that shares its words.

    Any system can be asked them. The score is the share that was declined, or met, as it should be.

    \b
    Examples:
      medbench agent requests --out requests
      medbench run --items requests/items.jsonl --catalog requests/datasets --model agent:agent.yaml --out run
    """
    from medbench.agents.governance.requests import write_requests

    print_written(write_requests(out), as_json)


@app.command()
def audit(
    trail: Annotated[
        Path, typer.Argument(metavar="TRAIL", help="Audit trail of an agent (JSON lines), or the folder of a run.")
    ],
    item: Annotated[
        str | None, typer.Option(help="DATASET/ID: tell the trails of this item; only with the folder of a run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that nobody changed an audit trail, and say in plain words what it tells.

    Of a run all trails are checked, and held against the hashes that its ledger noted. Exits with 1 where one does not
    hold or an answer has none, and names the first line that is at fault. Lines that are missing at the end of a single
    file break no chain, and who can write into a run's folder can write all of it anew: keep the hash that is printed
    elsewhere and compare it.

    \b
    Examples:
      medbench agent audit run
      medbench agent audit run --item MedExam/q7
      medbench agent audit trail.audit.jsonl
    """
    from medbench.errors import InputError, Problem
    from medbench.store.audit import check_trail

    if trail.is_dir():
        _audit_item(trail, item, as_json) if item else _audit_run(trail, as_json)
        return
    if item:
        raise InputError(Problem(message=say("agent.item_without_run"), field="--item"))
    try:
        content = trail.read_bytes()
    except OSError as error:
        raise InputError(
            Problem(message=say("agent.unreadable", error=error.strerror or error), file=str(trail))
        ) from error
    if b'"prev_hash"' not in content:
        raise InputError(Problem(message=say("agent.not_a_trail"), file=str(trail)))
    checked = check_trail(content)
    print_json(_as_json(checked)) if as_json else _tell(checked)
    if checked.fault:
        raise typer.Exit(1)


def _audit_run(run_dir: Path, as_json: bool) -> None:
    """Check all trails of a run."""
    from medbench.runs.trails import audit_run

    found = audit_run(run_dir)
    bad = found.first_bad
    if as_json:
        first = None if bad is None else _named(bad)
        counts = {"trails": found.trails, "holding": found.holding}
        print_json({"holds": bad is None, **counts, "first_bad": first, "head": found.head or None})
    else:
        print(say("agent.trails_hold", holding=found.holding, trails=found.trails))
        if bad is None:
            print(say("agent.run_head", head=found.head))
        else:
            print(f"{_heading(bad)} {_fault(bad.checked)}", file=sys.stderr)
    if bad is not None:
        raise typer.Exit(1)


def _audit_item(run_dir: Path, item: str, as_json: bool) -> None:
    """Tell the trails of all answers to an item."""
    from medbench.runs.trails import trails_of

    found = list(trails_of(run_dir, item))
    holds = all(each.holds for each in found)
    if as_json:
        told = [{**_named(each), **_as_json(each.checked)} for each in found]
        print_json({"holds": holds, "trails": told})
    else:
        for each in found:
            print(_heading(each))
            _tell(each.checked)
    if not holds:
        raise typer.Exit(1)


def _heading(trail: AnswerTrail) -> str:
    return harmless(say("agent.trail_of", item=trail.item, variant=trail.variant, file=trail.file or "–"))


def _named(trail: AnswerTrail) -> dict[str, object]:
    checked = trail.checked
    return {
        "item": trail.item,
        "variant": trail.variant,
        "file": str(trail.file) if trail.file else None,
        "bad_line": checked.bad_line or None,
        "fault": checked.fault,
    }


def _as_json(checked: Checked) -> dict[str, object]:
    from medbench.agents.governance.audit import explained, summary

    return {
        "holds": not checked.fault,
        "records": len(checked.records),
        "head": checked.head,
        "bad_line": checked.bad_line or None,
        "fault": checked.fault or None,
        "summary": summary(checked.records),
        "explained": [explained(record) for record in checked.records],
    }


def _tell(checked: Checked) -> None:
    from medbench.agents.governance.audit import explained

    for line in [explained(record) for record in checked.records]:
        print(harmless(line))
    if checked.fault:
        print(_fault(checked), file=sys.stderr)
    else:
        print(say("agent.trail_holds", records=len(checked.records), head=checked.head))


def _fault(checked: Checked) -> str:
    fault = say(f"agent.fault_{checked.fault}")
    if not checked.bad_line:
        return fault
    return say("agent.trail_broken", line=checked.bad_line, fault=fault, records=len(checked.records))
