"""A dataset folder in the manner of the Medical Segmentation Decathlon and nnU-Net.

    imagesTr/ labelsTr/ organsTr/    CT, lesions (0 background, 1 lesion) and organ masks of the training cases
    imagesTs/ labelsTs/ organsTs/    the same of the test cases; labels and organs where there are any
    dataset.json                     says which files belong together, and the class map of the organ masks

Three forms of dataset.json are read: with a list of {"image", "label", "organs"} (ours), with the Decathlon's list of
{"image", "label"} and of test images, and without lists as nnU-Net writes it; then the folders are listed. Labels and
organ masks that are not named are looked for beside the images, by the name of the case.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from agcrc.errors import InputError, Problem
from agcrc.volumes.nifti import SUFFIXES

DATASET_FILE = "dataset.json"
CLASS_MAP = "totalsegmentator_v2"
"""Of organ masks about which dataset.json says nothing, as in the Decathlon."""
FIRST_CHANNEL = "_0000"
"""nnU-Net ends the names of images by their channel."""


@dataclass(frozen=True, slots=True)
class Case:
    """The files of one patient.

    Attributes:
        name: Without folder and suffix; unique in a dataset.
        image: The CT.
        label: Its lesions, 0 background and 1 lesion; None where nobody drew them.
        organs: Its organ masks, numbered by the class map of the dataset; None where there are none yet.
    """

    name: str
    image: Path
    label: Path | None
    organs: Path | None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset folder.

    Attributes:
        folder: Where it is.
        name: Its name.
        description: What it holds.
        class_map: How its organ masks are numbered: a name, or the path of a JSON file.
        training: Cases to train on.
        test: Cases to test on.
    """

    folder: Path
    name: str
    description: str
    class_map: str
    training: tuple[Case, ...]
    test: tuple[Case, ...]


def open_dataset(folder: Path) -> Dataset:
    """Read dataset.json; the volumes are not looked at (see `check_dataset`).

    Raises:
        InputError: No dataset, or a description that makes no sense; every problem of it at once.
    """
    path = folder / DATASET_FILE
    content = _content(path)
    problems = _label_problems(content.get("labels"), path)
    channels = content.get("channel_names", {})
    if len(channels) > 1:
        problems.append(Problem(f"has {len(channels)} channels.", "Give a dataset of CT alone.", str(path)))
    parts: dict[str, tuple[Case, ...]] = {}
    for part, ending in (("training", "Tr"), ("test", "Ts")):
        entries = content.get(part)
        if entries is None:
            entries = _listed(folder, ending)
        if not isinstance(entries, list):
            problems.append(Problem(f"{part!r} is no list.", 'Give [{"image": "...", "label": "..."}].', str(path)))
            entries = []
        reader = _EntryReader(folder, ending, "channel_names" in content, problems)
        parts[part] = tuple(case for number, entry in enumerate(entries) if (case := reader.read(part, number, entry)))
    if not problems and not parts["training"] and not parts["test"]:
        problems.append(Problem("names no case.", "Put CTs into imagesTr and name them in it.", str(path)))
    counts = Counter(case.name for cases in parts.values() for case in cases)
    problems += [
        Problem(f"{count} cases are called {name!r}.", "Every case needs a name of its own.", str(path))
        for name, count in counts.items()
        if count > 1
    ]
    class_map = str(content.get("class_map", CLASS_MAP))
    if class_map.endswith(".json"):
        class_map = str(_inside(folder, class_map, "class_map", path, problems) or class_map)
    if problems:
        raise InputError(*problems)
    return Dataset(
        folder,
        str(content.get("name") or folder.resolve().name),
        str(content.get("description", "")),
        class_map,
        parts["training"],
        parts["test"],
    )


def stem(path: str | PurePosixPath | Path) -> str | None:
    """The name of a NIfTI file without its suffix; None for another file, or a hidden one such as macOS leaves."""
    name = PurePosixPath(path).name
    suffix = next((each for each in SUFFIXES if name.endswith(each)), None)
    return None if suffix is None or name.startswith(".") or name == suffix else name.removesuffix(suffix)


@dataclass(frozen=True, slots=True)
class _EntryReader:
    """Reads what dataset.json says about a case; what is wrong with it goes to `problems`."""

    folder: Path
    ending: str
    channels: bool
    problems: list[Problem]

    def read(self, part: str, number: int, entry: object) -> Case | None:
        file = self.folder / DATASET_FILE
        place = f"{part}[{number}]"
        named: dict[str, Any] = {"image": entry} if isinstance(entry, str) else {}
        if isinstance(entry, dict):
            named = entry
        before = len(self.problems)
        if not named.get("image"):
            self.problems.append(Problem(f"{place} names no image.", 'Give {"image": "imagesTr/..."}.', str(file)))
            return None
        paths = {
            key: _inside(self.folder, named[key], f"{place}.{key}", file, self.problems)
            for key in ("image", "label", "organs")
            if named.get(key) is not None
        }
        for key, path in paths.items():
            if path is not None and stem(path) is None:
                self.problems.append(
                    Problem(f"{place}.{key} is {named[key]!r}.", "Name a file that ends in .nii.gz or .nii.", str(file))
                )
        image = paths["image"]
        if len(self.problems) > before or image is None:
            return None
        name = self._name(image, paths.get("label"))
        return Case(
            name,
            image,
            paths.get("label") or self._beside("labels", name, image),
            paths.get("organs") or self._beside("organs", name, image),
        )

    def _name(self, image: Path, label: Path | None) -> str:
        """Without nnU-Net's channel, where it is one: a case may be called `case_0000` as well."""
        name = stem(image) or ""
        short = name.removesuffix(FIRST_CHANNEL)
        if label is not None:
            return short if stem(label) == short else name
        return short if self.channels or self._beside("labels", short, None) else name

    def _beside(self, kind: str, name: str, image: Path | None) -> Path | None:
        """A label map of a case in the folder of its kind, under the name of the case or of its image."""
        for each in dict.fromkeys((name, stem(image) if image else name)):
            for suffix in SUFFIXES:
                path = self.folder / f"{kind}{self.ending}" / f"{each}{suffix}"
                if path.is_file():
                    return path
        return None


def _content(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            Problem(
                "there is no such file.",
                "A dataset folder holds imagesTr, labelsTr, organsTr and dataset.json; "
                "`agcrc phantom` and `agcrc prepare msd10` write one.",
                str(path),
            )
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(Problem(f"can't be read as JSON: {error}.", "Mend or write it again.", str(path))) from error
    if not isinstance(content, dict):
        raise InputError(Problem("is no JSON object.", 'It begins as {"name": "...".', str(path)))
    return content


def _label_problems(labels: object, path: Path) -> list[Problem]:
    """Both {"background": 0, "lesion": 1} and the Decathlon's {"0": "background", "1": "cancer"}; absent is allowed."""
    if labels is None:
        return []
    numbers: list[str] = []
    if isinstance(labels, dict):
        numbers = [str(key) if isinstance(value, str) else str(value) for key, value in labels.items()]
    if sorted(numbers) == ["0", "1"]:
        return []
    return [
        Problem(
            f"'labels' are {json.dumps(labels, ensure_ascii=False)}.",
            "Two are possible: 0 is background and 1 is lesion.",
            str(path),
        )
    ]


def _inside(folder: Path, value: object, place: str, file: Path, problems: list[Problem]) -> Path | None:
    """A path of dataset.json, which may name nothing outside the folder.

    Links that the folder's owner put into it are followed: `prepare_msd10` makes them.
    """
    if isinstance(value, str) and value and "\\" not in value and "\0" not in value:
        relative = PurePosixPath(value)
        if not relative.is_absolute() and ".." not in relative.parts:
            return folder / relative
    problems.append(
        Problem(f"{place} is {value!r}.", "Name a file inside the dataset folder, with forward slashes.", str(file))
    )
    return None


def _listed(folder: Path, ending: str) -> list[str]:
    """The images of a folder, as nnU-Net finds them."""
    return sorted(
        f"images{ending}/{path.name}" for path in (folder / f"images{ending}").glob("*") if stem(path) is not None
    )
