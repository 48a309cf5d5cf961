"""From folders to an evaluation: read, check, measure case by case, summarise, compare, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from agcrc.anatomy.ooi import organ_of_interest
from agcrc.anatomy.organs import ClassMap, Organs, load_class_map
from agcrc.errors import InputError, Problem
from agcrc.evaluate.case import Case, measure_case
from agcrc.evaluate.compare import Difference, compare
from agcrc.evaluate.folders import (
    Folder,
    Record,
    component_confidences,
    list_folder,
    read_json,
    read_mask,
    read_probability,
    read_record,
    write_whole,
)
from agcrc.evaluate.places import Surroundings
from agcrc.evaluate.summary import Summary, summarise
from agcrc.evaluate.tables import case_rows, cases_csv
from agcrc.evaluate.words import rules
from agcrc.volumes import Volume, read_labels, require_same_grid

Found = TypeVar("Found")
Given = ParamSpec("Given")
DATASET_FILE = "dataset.json"
SHOWN = 10
SIMULATION_KEYS = ("phantom", "simulation")
"""Keys that only a simulation has; `agcrc phantom` writes the first."""
SIMULATION_WORDS = ("simulat", "phantom")


@dataclass(frozen=True, slots=True)
class DatasetNote:
    """What the dataset says of itself.

    Attributes:
        name: Its name.
        description: Its description.
        simulation: Whether it says that it is a simulation.
    """

    name: str
    description: str
    simulation: bool


@dataclass(frozen=True, eq=False)
class Arm:
    """One folder of predictions, evaluated.

    Attributes:
        path: The folder.
        cases: By name.
        summary: Their figures.
        confidence: What ranks the candidates of the FROC curve: `probability`, `json` or `volume`.
    """

    path: Path
    cases: tuple[Case, ...]
    summary: Summary
    confidence: str


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The outcome of `evaluate_folders`.

    Attributes:
        pred: The predictions that were evaluated.
        truth: Folder of the truth.
        organs: Folder of the organ masks.
        against: The predictions that they were compared with.
        differences: `pred` minus `against`, by metric.
        dataset: What dataset.json beside the truth says.
        truth_files: Case -> its mask.
    """

    pred: Arm
    truth: Path
    organs: Path | None
    against: Arm | None
    differences: tuple[Difference, ...]
    dataset: DatasetNote | None
    truth_files: Mapping[str, Path]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: the figures of `pred`, those of `against` and the comparison where there is one, and rows."""
        comparison = None
        if self.against is not None:
            comparison = {
                "against": str(self.against.path),
                "figures": self.against.summary.to_dict(),
                "froc_confidence": self.against.confidence,
                "differences": [each.to_dict() for each in self.differences],
                "per_case": case_rows(self.against.cases),
            }
        return {
            **self.pred.summary.to_dict(),
            "froc_confidence": self.pred.confidence,
            "comparison": comparison,
            "pred": str(self.pred.path),
            "truth": str(self.truth),
            "organs": None if self.organs is None else str(self.organs),
            "dataset": None if self.dataset is None else asdict(self.dataset),
            "rules": rules("en"),
            "per_case": case_rows(self.pred.cases),
        }

    def to_csv(self) -> str:
        """One row per case, and per case of `against`."""
        arms: list[tuple[str, Sequence[Case]]] = [(self.pred.path.name, self.pred.cases)]
        if self.against is not None:
            arms.append((self.against.path.name, self.against.cases))
        return cases_csv(arms)


def evaluate_folders(
    pred: Path,
    truth: Path,
    *,
    organs: Path | None = None,
    against: Path | None = None,
    class_map: str = "totalsegmentator_v2",
    out: Path | None = None,
) -> Evaluation:
    """Evaluate a folder of lesion masks.

    Args:
        pred: `<case>.nii.gz`, with `<case>_prob.nii.gz` or `<case>.json` beside it where the predictor wrote them.
        truth: `<case>.nii.gz`: 1 lesion, 0 elsewhere. dataset.json in it or in the folder above is read for its
            description.
        organs: `<case>.nii.gz` label maps, for where false positives lie; the organ of interest is taken from
            `<case>_ooi.nii.gz` beside, or made from the label map.
        against: A second folder of masks, which is compared case by case.
        class_map: How the organ masks are numbered; see `load_class_map`.
        out: Folder to write evaluation.json and cases.csv to.

    Raises:
        InputError: Folders that don't hold the same cases, files that can't be read, other grids, labels beyond 0
            and 1, probabilities outside [0, 1]: all of them at once.
        WorkError: `out` can't be written.
    """
    problems: list[Problem] = []
    folders = {
        path: _gathered(problems, list_folder, path) for path in dict.fromkeys((pred, truth, against, organs)) if path
    }
    classes = _gathered(problems, load_class_map, class_map) if organs else None
    note = _gathered(problems, dataset_note, truth)
    true = folders[truth]
    arms = [folder for path in (pred, against) if path and (folder := folders[path])]
    names: list[str] = []
    if true is not None:
        for folder in arms:
            problems += _differing_cases(folder, true)
        located = folders[organs] if organs else None
        if located is not None:
            problems += _lacking(located, true)
        names = [name for name in sorted(true.masks) if all(name in folder.masks for folder in arms)]
    readers = [_Predictions.of(folder, names, problems) for folder in arms]
    cases: list[list[Case]] = [[] for _ in readers]
    for name in names:
        assert true is not None
        known = _gathered(problems, _read_truth, name, true, folders[organs] if organs else None, classes)
        mask, surroundings = known or (None, None)
        for reader, done in zip(readers, cases, strict=True):
            case = _gathered(problems, reader.measured, name, mask, surroundings, only_read=bool(problems))
            done += [case] if case else []
    if problems:
        # A folder that is given twice has the same problems twice.
        raise InputError(*dict.fromkeys(problems))
    measured = [
        Arm(reader.folder.path, tuple(done), summarise(done), reader.source)
        for reader, done in zip(readers, cases, strict=True)
    ]
    other = measured[1] if against else None
    assert true is not None
    evaluation = Evaluation(
        measured[0],
        truth,
        organs,
        other,
        compare([measured[0].cases], [other.cases]) if other else (),
        note,
        true.masks,
    )
    if out is not None:
        text = json.dumps(evaluation.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        write_whole(out / "evaluation.json", text + "\n")
        write_whole(out / "cases.csv", evaluation.to_csv())
    return evaluation


@dataclass(frozen=True)
class _Predictions:
    """Reads the predictions of a folder.

    Attributes:
        folder: Where they are.
        records: Case -> what the JSON beside it says.
        source: What ranks candidates: `probability`, `json` or `volume`; the same for all cases, or their
            confidences could not be compared.
    """

    folder: Folder
    records: Mapping[str, Record]
    source: str

    @staticmethod
    def of(folder: Folder, names: Sequence[str], problems: list[Problem]) -> _Predictions:
        records = {
            name: record
            for name in names
            if name in folder.records and (record := _gathered(problems, read_record, folder.records[name]))
        }
        without = [name for name in names if name not in folder.probabilities]
        if without and len(without) < len(names):
            problems.append(
                Problem(
                    f"{len(without)} of {len(names)} cases have no probability map: {_listed(without)}.",
                    "Give all of them one, or none.",
                    str(folder.path),
                )
            )
        if not without:
            return _Predictions(folder, records, "probability")
        told = all(name in records and records[name].lesions is not None for name in names)
        return _Predictions(folder, records, "json" if told else "volume")

    def measured(
        self, name: str, truth: Volume | None, surroundings: Surroundings | None, *, only_read: bool
    ) -> Case | None:
        """Read a prediction and measure it; once something is wrong it is only read, to find whatever else is."""
        path = self.folder.masks[name]
        mask = read_mask(path)
        if truth is not None:
            require_same_grid(mask, truth, (str(path), f"the truth of {name}"))
        record = self.records.get(name, Record(None, None, None))
        probability = read_probability(self.folder.probabilities[name], mask) if self.source == "probability" else None
        confidences = None
        if self.source == "json" and record.lesions is not None:
            confidences = component_confidences(mask, record.lesions, self.folder.records[name])
        if truth is None or only_read:
            return None
        return measure_case(
            name,
            np.asarray(mask.array, dtype=np.bool_),
            np.asarray(truth.array, dtype=np.bool_),
            truth.grid,
            probability=probability,
            confidences=confidences,
            surroundings=surroundings,
            windows=record.windows,
            seconds=record.seconds,
        )


def _read_truth(
    name: str, truth: Folder, organs: Folder | None, classes: ClassMap | None
) -> tuple[Volume, Surroundings | None]:
    mask = read_mask(truth.masks[name])
    if organs is None or classes is None or name not in organs.masks:
        return mask, None
    labels = read_labels(organs.masks[name])
    require_same_grid(mask, labels, (f"the truth of {name}", str(organs.masks[name])))
    try:
        known = Organs(labels, classes)
    except InputError as error:
        problems = [Problem(each.message, each.advice, str(organs.masks[name])) for each in error.problems]
        raise InputError(*problems) from error
    if name in organs.regions:
        region = read_labels(organs.regions[name])
        require_same_grid(mask, region, (f"the truth of {name}", str(organs.regions[name])))
        return mask, Surroundings(known, np.asarray(region.array, dtype=np.bool_))
    return mask, Surroundings(known, organ_of_interest(known).mask > 0)


def _differing_cases(folder: Folder, truth: Folder) -> list[Problem]:
    ours, theirs = set(folder.masks), set(truth.masks)
    problems = []
    if missing := sorted(theirs - ours):
        problems.append(
            Problem(
                f"lacks {len(missing)} of the {len(theirs)} cases of {truth.path}: {_listed(missing)}.",
                "Predict them, or take their truth out.",
                str(folder.path),
            )
        )
    if extra := sorted(ours - theirs):
        problems.append(
            Problem(
                f"has cases without a truth in {truth.path}, {len(extra)} of {len(ours)}: {_listed(extra)}.",
                "Give their truth, or take them out.",
                str(folder.path),
            )
        )
    return problems


def _lacking(organs: Folder, truth: Folder) -> list[Problem]:
    missing = sorted(set(truth.masks) - set(organs.masks))
    if not missing:
        return []
    return [
        Problem(
            f"lacks the organ masks of {len(missing)} of {len(truth.masks)} cases: {_listed(missing)}.",
            "Make them, or leave --organs out.",
            str(organs.path),
        )
    ]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def dataset_note(truth: Path) -> DatasetNote | None:
    """From dataset.json in the folder of the truth or above it; None where there is none.

    Raises:
        InputError: It can't be read.
    """
    path = next((each for each in (truth / DATASET_FILE, truth.parent / DATASET_FILE) if each.is_file()), None)
    if path is None:
        return None
    content = read_json(path)
    name, description = (str(content.get(key) or "") for key in ("name", "description"))
    told = f"{name} {description}".lower()
    simulation = any(content.get(key) for key in SIMULATION_KEYS) or any(word in told for word in SIMULATION_WORDS)
    return DatasetNote(name, description, simulation)


def _gathered(
    problems: list[Problem], call: Callable[Given, Found], *args: Given.args, **kwargs: Given.kwargs
) -> Found | None:
    """The result of a call; None where it raised InputError, whose problems are kept."""
    try:
        return call(*args, **kwargs)
    except InputError as error:
        problems.extend(error.problems)
        return None
