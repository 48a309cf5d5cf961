"""`agcrc evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agcrc.cli.output import Json, print_json, say


def evaluate(
    pred: Annotated[Path, typer.Option(help="Folder of predicted masks.")],
    truth: Annotated[Path, typer.Option(help="Folder of true masks with the same names.")],
    organs: Annotated[Path | None, typer.Option(help="Folder of organ masks: tells where false positives lie.")] = None,
    against: Annotated[Path | None, typer.Option(help="Predictions of another model, compared case by case.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of CTs, for the pictures.")] = None,
    class_map: Annotated[str, typer.Option(help="Numbering of the organ masks.")] = "totalsegmentator_v2",
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, cases.csv and evaluation.json.")] = None,
    as_json: Json = False,
) -> None:
    """Evaluate predictions: Dice, surface distances, lesions found, false positives, each with its interval.

    \b
    Examples:
      agcrc evaluate --pred predictions --truth data/labelsTs --json
      agcrc evaluate --pred guided --against plain --truth data/labelsTs --images data/imagesTs --out report
    """
    from agcrc.evaluate import evaluate_folders, write_report
    from agcrc.evaluate.page import pages

    found = evaluate_folders(pred, truth, organs=organs, against=against, class_map=class_map, out=out)
    if out is not None:
        write_report(found, out, images=images)
    if as_json:
        print_json(found.to_dict())
        return
    page = pages(found, ["en"])[0]
    for row in page.rows():
        figure = row.figures[0]
        change = ""
        if row.difference:
            difference = page.difference(row.difference, row.places)
            change = f"; {page.t('compared', difference=difference, other=page.arms[1][0])}"
        why = f", {figure.reason}" if figure.reason else ""
        say(f"{page.t(row.metric)}: {page.figure(figure, row.places)}{why}{change}")
    if out is not None:
        say(f"report: {out / 'report.html'}")
