"""A folder of phantom cases in the manner of the Medical Segmentation Decathlon."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem, WorkError
from agcrc.phantom.contact_sheet import MOST_ROWS, Row, sheet_row, write_contact_sheet
from agcrc.phantom.make import GENERATOR, PhantomCase, make_case
from agcrc.phantom.settings import PhantomSettings
from agcrc.volumes import read_ct, read_labels, write_volume

Split = Literal["Tr", "Ts"]
INDEX, SHEET = "dataset.json", "contact_sheet.png"
LISTS = {"Tr": "training", "Ts": "test"}
KINDS = {
    # Key of a case in dataset.json -> folder, to which the split is added.
    "image": "images",
    "label": "labels",
    "organs": "organs",
    "organs_true": "organsTrue",
    "distractors": "distractors",
}
DESCRIPTION = (
    "SIMULATED phantom, not patients: procedural abdominal CT with lesions on the colon wall, distractors outside it "
    "and damaged organ masks. Results on it show that mechanisms work as coded; they say nothing about clinical use."
)

Index = dict[str, Any]


def write_dataset(
    out: Path,
    settings: PhantomSettings,
    *,
    cases: int,
    seed: int,
    split: Split = "Tr",
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write cases of seeds `seed`, `seed` + 1, ... into a folder; go on where an earlier call stopped.

    The folder holds `imagesTr/phantom_SEED.nii.gz` (int16 HU), `labelsTr` (1 is lesion), `organsTr` (damaged, numbers
    of TotalSegmentator v2), `organsTrueTr` (undamaged), `distractorsTr` (1 is a mass outside the colon), the same with
    `Ts` for the test part, `dataset.json` and `contact_sheet.png`. Every file is written as a whole or not at all, and
    a case is listed once all of its files are there.

    Args:
        out: The folder; made where it does not exist.
        settings: The population.
        cases: How many the split should have.
        seed: Of the first one.
        split: `Tr` for training, `Ts` for test.
        progress: Called with the number of cases that are there and the number wanted.

    Returns:
        The path of `dataset.json`.

    Raises:
        InputError: The folder holds something else: another dataset, other settings, seeds that are not asked for, or
            the same seeds in the other split.
        WorkError: It can't be written.
    """
    if cases < 1 or seed < 0:
        raise InputError(Problem(f"{cases} cases from seed {seed}.", "Ask for at least 1, with a seed of at least 0."))
    seeds = list(range(seed, seed + cases))
    index = _opened(out, settings, seeds, split)
    done = {_seed_of(entry) for entry in index[LISTS[split]]}
    for count, each in enumerate(seeds, start=1):
        if each not in done:
            case = make_case(settings, each)
            entry = _write_case(out, case, split)
            index[LISTS[split]] = sorted([*index[LISTS[split]], entry], key=_seed_of)
            index["phantom"]["seeds"][split] = [_seed_of(entry) for entry in index[LISTS[split]]]
            index["phantom"]["cases"][_name(each)] = _facts(case)
            _write_index(out, index)
        if progress is not None:
            progress(count, cases)
    _write_sheet(out, index)
    return out / INDEX


def _name(seed: int) -> str:
    return f"phantom_{seed}"


def _seed_of(entry: dict[str, str]) -> int:
    return int(entry["image"].rsplit("_", 1)[1].removesuffix(".nii.gz"))


def _described(settings: PhantomSettings) -> dict[str, Any]:
    """Settings as JSON gives them back."""
    described: dict[str, Any] = json.loads(json.dumps(asdict(settings)))
    return described


def _opened(out: Path, settings: PhantomSettings, seeds: list[int], split: Split) -> Index:
    """The folder's index without cases whose files are gone; a new one, written, for a new folder."""
    path = out / INDEX
    if not path.exists():
        taken = sorted(
            folder for kind in KINDS.values() for part in LISTS if (out / (folder := f"{kind}{part}")).exists()
        )
        if taken or (out.exists() and not out.is_dir()):
            what = f"holds {', '.join(taken)} but no {INDEX}" if taken else "is no folder"
            raise InputError(Problem(f"{what}.", "Give an empty or a new folder.", str(out)))
        index = _new_index(settings)
        _write_index(out, index)
        return index
    index = _read_index(path)
    problems = _conflicts(index, settings, seeds, split, path)
    if problems:
        raise InputError(*problems)
    for part, name in LISTS.items():
        index[name] = [entry for entry in index[name] if all((out / entry[kind]).is_file() for kind in KINDS)]
        index["phantom"]["seeds"][part] = [_seed_of(entry) for entry in index[name]]
    return index


def _new_index(settings: PhantomSettings) -> Index:
    return {
        "name": f"agcrc phantom, tier {settings.tier.name}",
        "description": DESCRIPTION,
        "labels": {"background": 0, "lesion": 1},
        "class_map": "totalsegmentator_v2",
        "training": [],
        "test": [],
        "phantom": {
            "generator": GENERATOR,
            "tier": settings.tier.name,
            "seeds": {"Tr": [], "Ts": []},
            "settings": _described(settings),
            "cases": {},
        },
    }


def _read_index(path: Path) -> Index:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(Problem(f"can't be read: {error}.", "Give an empty or a new folder.", str(path))) from error
    if not _is_phantom(index):
        raise InputError(
            Problem("belongs to another dataset, not to a phantom.", "Give an empty or a new folder.", str(path))
        )
    found: Index = index
    return found


def _is_phantom(index: object) -> bool:
    held = index.get("phantom") if isinstance(index, dict) else None
    if not isinstance(held, dict) or not all(isinstance(held.get(key), dict) for key in ("seeds", "settings", "cases")):
        return False
    lists = [held["seeds"].get(part) for part in LISTS]
    return all(isinstance(each, list) for each in lists)


def _conflicts(index: Index, settings: PhantomSettings, seeds: list[int], split: Split, path: Path) -> list[Problem]:
    held, wanted = index["phantom"], _described(settings)
    problems: list[Problem] = []
    if held.get("generator") != GENERATOR:
        problems.append(
            Problem(
                f"was made by generator {held.get('generator')} of the phantom, this is {GENERATOR}.",
                "Give a new folder.",
                str(path),
            )
        )
    if held["settings"] != wanted:
        was = held["settings"]
        changed = [
            f"{key} is {json.dumps(was.get(key))}, not {json.dumps(value)}"
            for key, value in wanted.items()
            if was.get(key) != value
        ]
        problems.append(
            Problem(f"has other settings: {'; '.join(changed)}.", "Give a new folder, or those settings.", str(path))
        )
    other: Split = "Ts" if split == "Tr" else "Tr"
    shared = sorted(set(seeds) & set(held["seeds"][other]))
    if shared:
        problems.append(
            Problem(
                f"holds seeds {_few(shared)} as {LISTS[other]} cases already.",
                "Choose seeds that no other part has, or the test would be seen in training.",
                str(path),
            )
        )
    strange = sorted(set(held["seeds"][split]) - set(seeds))
    if strange:
        problems.append(
            Problem(
                f"holds {LISTS[split]} cases of seeds {_few(strange)} that were not asked for.",
                "Ask for them as well, or give a new folder.",
                str(path),
            )
        )
    return problems


def _few(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds[:5])) + (f" and {len(seeds) - 5} more" if len(seeds) > 5 else "")


def _write_case(out: Path, case: PhantomCase, split: Split) -> dict[str, str]:
    arrays: dict[str, NDArray[Any]] = {
        "organs_true": case.organs_true,
        "organs": case.organs,
        "distractors": case.distractors,
        "label": case.lesion,
        "image": case.ct.astype(np.int16),
    }
    entry = {kind: f"{folder}{split}/{_name(case.seed)}.nii.gz" for kind, folder in KINDS.items()}
    for kind, array in arrays.items():
        write_volume(out / entry[kind], array, case.grid)
    return entry


def _facts(case: PhantomCase) -> dict[str, Any]:
    return {
        "lesions": [asdict(lesion) for lesion in case.lesions],
        "distractors": [asdict(distractor) for distractor in case.distractor_list],
        "damage": asdict(case.damage),
    }


def _write_index(out: Path, index: Index) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=".json", dir=out)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(index, file, indent=1)
                file.write("\n")
            Path(name).chmod(0o644)
            Path(name).replace(out / INDEX)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise WorkError(f"{out / INDEX}: can't be written: {error.strerror or error}") from error


def _write_sheet(out: Path, index: Index) -> None:
    """The first cases, training before test, as they stand on disk."""
    rows = [
        _row(out, entry, part, index["phantom"]["cases"].get(_name(_seed_of(entry)), {}))
        for part, entry in [(part, entry) for part in LISTS for entry in index[LISTS[part]]][:MOST_ROWS]
    ]
    title = (
        f"SIMULATED phantom, no patients. Tier {index['phantom']['tier']}: {len(index['training'])} training and "
        f"{len(index['test'])} test cases, {len(rows)} shown"
    )
    write_contact_sheet(out / SHEET, rows, title)


def _row(out: Path, entry: dict[str, str], part: str, facts: dict[str, Any]) -> Row:
    ct = read_ct(out / entry["image"])
    masks = {kind: read_labels(out / entry[kind]).array for kind in KINDS if kind != "image"}
    lesions = [f"{each['shape']} {each['volume_ml']:.0f} mL" for each in facts.get("lesions", [])]
    note = f"{LISTS[part]}: {', '.join(lesions) or 'healthy'}"
    return sheet_row(
        _name(_seed_of(entry)), note, ct=ct.array, organs_true=masks["organs_true"], organs=masks["organs"],
        lesion=masks["label"], distractors=masks["distractors"], grid=ct.grid,
    )  # fmt: skip
