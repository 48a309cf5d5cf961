"""`medbench agent`: what an agent did, and whether that is what was written down."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from medbench.cli.output import harmless, print_json
from medbench.text import say

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def agent() -> None:
    """Agents and their audit trails."""


@app.command()
def audit(
    trace: Annotated[Path, typer.Argument(metavar="TRACE", help="Audit trail of an agent (JSON lines).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
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
