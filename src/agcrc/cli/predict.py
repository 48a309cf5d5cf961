"""`agcrc predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from agcrc.cli.output import Device, Json, device_named, print_json, progress, say


def predict(
    model: Annotated[Path, typer.Option(help="Folder of a training run.")],
    out: Annotated[Path, typer.Option(help="Mask to write (NAME.nii.gz), or with --data a folder.")],
    ct: Annotated[Path | None, typer.Option(help="CT in HU: NIfTI, or the folder of a DICOM series.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Organ masks on the CT's grid.")] = None,
    data: Annotated[Path | None, typer.Option(help="Dataset folder: predict its test cases instead.")] = None,
    class_map: Annotated[str | None, typer.Option(help="Numbering of --labels; by default as in training.")] = None,
    fast: Annotated[bool, typer.Option("--fast", help="Fewest windows that see the whole organ of interest.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Look everywhere, for comparison.")] = False,
    flips: Annotated[bool, typer.Option("--flips", help="Average over mirror images; eight times the work.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where no abdomen is in view.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find lesions: a mask, the probabilities, a JSON of the lesions and a picture.

    \b
    Examples:
      agcrc predict --model run --ct ct.nii.gz --labels organs.nii.gz --out lesion.nii.gz
      agcrc predict --model run --ct dicom/series --labels organs.nii.gz --out lesion.nii.gz --fast
      agcrc predict --model run --data data --out predictions
    """
    from agcrc.errors import InputError, Problem, WorkError
    from agcrc.predict import predict_files
    from agcrc.train import load_model
    from agcrc.train.windows import Mode
    from agcrc.volumes.dataset import open_dataset

    if fast and full:
        raise InputError("Give --fast or --full, not both.")
    if (data is None) == (ct is None or labels is None):
        raise InputError("Give --ct and --labels, or --data.")
    mode: Mode = "fast" if fast else "full" if full else "filtered"
    net, plan = load_model(model)
    where = device_named(device)
    jobs: list[tuple[Path, Path, Path]] = []
    if data is not None:
        dataset = open_dataset(data)
        without = [case.name for case in dataset.test if case.organs is None]
        if without or not dataset.test:
            raise InputError(f"test cases without organ masks: {', '.join(without) or 'there are no test cases'}.")
        jobs = [(case.image, case.organs, out / f"{case.name}.nii.gz") for case in dataset.test if case.organs]
        class_map = class_map or dataset.class_map
    elif ct is not None and labels is not None:
        jobs = [(ct, labels, out)]
    results: list[tuple[Path, dict[str, Any]]] = []
    problems: list[Problem] = []
    with progress("predict") as advance:
        for number, (image, organs, target) in enumerate(jobs):
            try:
                result = predict_files(
                    *(net, plan, image, organs, target),
                    class_map=class_map,
                    mode=mode,
                    flips=flips,
                    device=where,
                    force=force,
                )
                results.append((target, result))
            except InputError as error:  # the other cases don't wait for this one to be mended
                problems += error.problems
            advance(number + 1, len(jobs))
    if problems and results:
        said = "\n".join(map(str, problems))
        raise WorkError(f"{len(results)} of {len(jobs)} cases are predicted, the others can't be:\n{said}")
    if problems:
        raise InputError(*problems)
    if as_json:
        every = [result for _, result in results]
        print_json(every[0] if data is None else {"out": str(out), "cases": len(every), "results": every})
    else:
        for target, result in results:
            sure = ", ".join(f"{each['volume_ml']:.1f} mL ({each['confidence']:.2f})" for each in result["lesions"][:3])
            say(f"{target}: {sure or 'nothing found'}; {result['windows']} windows, {result['seconds']['all']:.1f} s")
