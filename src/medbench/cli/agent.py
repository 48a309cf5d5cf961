"""`medbench agent`: the reference agent's file, what governs an agent, and what it did."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medbench.cli.output import harmless, print_json
from medbench.text import current_language, say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command()
def init(
    out: Annotated[Path, typer.Option(help="File to write (YAML).")] = Path("agent.yaml"),
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
    from medbench.store.files import write_atomically

    if out.exists():
        raise InputError(Problem(message=say("agent_file.init_exists", path=out), field="--out"))
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
                    print(f"  {rule.id}  {rule.action}  {severity}  {', '.join(rule.where)}")
                    print(harmless(f"      {getattr(rule.title, language)}. {rule.source}"))
    for decision in tried:
        print(f"{decision.place}: {decision.action}")
        for hit in decision.hits:
            print(harmless(f"    {hit.rule}: {' … '.join(hit.words)}"))
    print(say("agent.policies_total", rules=len(loaded.rules), doses=len(loaded.doses), version=loaded.version))


@app.command()
def audit(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Audit trail of an agent (JSON lines).")],
    as_json: Json = False,
) -> None:
    """Check that nobody changed an audit trail, and say in plain words what it tells.

    Exits with 1 where the chain is broken, and names the first line that does not hold. Lines that are missing at the
    end break no chain: keep the last hash elsewhere and compare it.

    \b
    Example:
      medbench agent audit trail.audit.jsonl
    """
    from medbench.agents.governance.audit import explained, summary
    from medbench.errors import InputError, Problem
    from medbench.store.audit import check_trail

    try:
        content = trace.read_bytes()
    except OSError as error:
        message = say("agent.unreadable", error=error.strerror or error)
        raise InputError(Problem(message=message, file=str(trace), field="TRACE")) from error
    checked = check_trail(content)
    if not checked.records and not checked.bad_line:
        raise InputError(Problem(message=say("agent.not_a_trail"), file=str(trace), field="TRACE"))
    lines = [explained(record) for record in checked.records]
    if as_json:
        print_json(
            {
                "holds": not checked.bad_line,
                "records": len(checked.records),
                "head": checked.head,
                "bad_line": checked.bad_line or None,
                "fault": checked.fault or None,
                "summary": summary(checked.records),
                "explained": lines,
            }
        )
    else:
        for line in lines:
            print(harmless(line))
        if not checked.bad_line:
            print(say("agent.trail_holds", records=len(checked.records), head=checked.head))
    if checked.bad_line:
        fault = say(f"agent.fault_{checked.fault}")
        print(
            say("agent.trail_broken", line=checked.bad_line, fault=fault, records=len(checked.records)),
            file=sys.stderr,
        )
        raise typer.Exit(1)
