"""Organ label maps, read by the names of their classes and never by hard-coded numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from agcrc.anatomy.groups import BODY, COLON
from agcrc.errors import InputError, Problem
from agcrc.volumes import Grid, Volume
from agcrc.volumes.grid import slabs
from agcrc.volumes.resample import resample_labels

BUNDLED = ("totalsegmentator_v2", "totalsegmentator_v1", "gca")
OTHER = "other_"
"""Names that start so are organs that nobody else knows; they count as organs that are not the colon."""
HIGHEST_LABEL = 65535


@dataclass(frozen=True)
class ClassMap:
    """The number of each class in a label map.

    Attributes:
        name: The bundled map's name, or the file's.
        numbers: Class name -> label, 1 to 65535; has `colon`.
    """

    name: str
    numbers: Mapping[str, int]

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def __getitem__(self, name: str) -> int:
        return self.numbers[name]


@dataclass(frozen=True, eq=False)
class Organs:
    """A label map with the names of its classes.

    Attributes:
        volume: uint8 or uint16, shape (z, y, x); 0 is no organ.
        class_map: Names of its labels.
        voxels: Class name -> number of voxels; only classes that have some.

    Raises:
        InputError: The volume has labels that the class map does not name.
    """

    volume: Volume
    class_map: ClassMap
    voxels: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        counts = _label_counts(self.volume.array)
        names = {number: name for name, number in self.class_map.numbers.items()}
        unknown = {label: count for label, count in counts.items() if label not in names and label != 0}
        if unknown:
            shown = ", ".join(f"{label} ({count:,} voxels)" for label, count in sorted(unknown.items())[:10])
            more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            raise InputError(
                Problem(
                    f"the label map has labels that the class map {self.class_map.name} does not name: {shown}{more}; "
                    f"the class map names {len(names)} labels from {min(names)} to {max(names)}.",
                    f"Give the class map that the labels were made with: {', '.join(BUNDLED)} or a JSON file.",
                )
            )
        voxels = {names[label]: count for label, count in sorted(counts.items()) if label != 0}
        object.__setattr__(self, "voxels", voxels)

    @property
    def grid(self) -> Grid:
        """Where the voxels stand."""
        return self.volume.grid

    def has(self, name: str) -> bool:
        """Whether any voxel carries this class."""
        return name in self.voxels

    def millilitres(self, name: str) -> float:
        """Volume of a class; 0 where it has no voxel."""
        return self.voxels.get(name, 0) * self.grid.voxel_ml

    def mask(self, name: str) -> NDArray[np.bool_]:
        """The voxels of a class, shape (z, y, x); none where it has no voxel.

        Raises:
            InputError: The class map does not have this name.
        """
        if name not in self.class_map:
            close = get_close_matches(name, self.class_map.numbers, n=3)
            advice = f"Did you mean {' or '.join(close)}?" if close else "See its names in the class map."
            raise InputError(Problem(f"the class map {self.class_map.name} has no class {name!r}.", advice))
        found: NDArray[np.bool_] = self.volume.array == self.class_map[name]
        return found

    def any(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """The voxels of several classes together, shape (z, y, x); names that the class map lacks add nothing."""
        table = np.zeros(max(self.class_map.numbers.values()) + 1, dtype=np.bool_)
        table[[self.class_map[name] for name in names if name in self.class_map]] = True
        found = np.empty(self.grid.shape, dtype=np.bool_)
        for part in slabs(self.grid.shape):
            found[part] = table[self.volume.array[part].astype(np.intp)]
        return found

    def resampled(self, grid: Grid) -> Organs:
        """The same map on another grid along the same axes, nearest neighbour."""
        labels = resample_labels(self.volume.array, self.volume.grid, grid)
        return Organs(Volume(labels, grid), self.class_map)


def load_class_map(name_or_path: str) -> ClassMap:
    """A bundled class map, or one from a JSON file such as {"colon": 20, "small_bowel": 18}.

    The numbers of TotalSegmentator v1 (104 classes) and v2 (117) are those of its class maps, those of `gca` of the
    colon models of the Edinburgh Gut Cell Atlas. Names are TotalSegmentator's, `body` and `uterus`, or begin with
    `other_`; in a file, an entry `background` of 0 is passed over.

    Raises:
        InputError: Every problem of the map at once: no such map, no JSON object, numbers that are no labels or stand
            twice, names that nobody knows, no colon.
    """
    if name_or_path in BUNDLED:
        return ClassMap(name_or_path, _bundled(name_or_path))
    path = Path(name_or_path)
    if not path.is_file():
        raise InputError(
            Problem(
                f"there is no class map {name_or_path!r}.",
                f'Give {", ".join(BUNDLED)} or a JSON file such as {{"colon": 20, "small_bowel": 18}}.',
            )
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(Problem(f"can't be read as JSON: {error}.", "", str(path))) from error
    if not isinstance(content, list) or not all(isinstance(entry, tuple) for entry in content) or not content:
        raise InputError(
            Problem("is no JSON object of names and numbers.", 'An example: {"colon": 20}.', str(path)),
        )
    pairs = [entry for entry in cast(list[tuple[str, object]], content) if entry != ("background", 0)]
    problems = [Problem(message, advice, str(path)) for message, advice in _complaints(pairs)]
    if problems:
        raise InputError(*problems)
    return ClassMap(path.name, {name: cast(int, number) for name, number in pairs})


@cache
def known_names() -> frozenset[str]:
    """The class names that this package knows."""
    return frozenset({BODY, "uterus"}.union(*(_bundled(name) for name in BUNDLED)))


def _complaints(pairs: list[tuple[str, object]]) -> list[tuple[str, str]]:
    """What is wrong with the entries of a class map: message and advice."""
    found: list[tuple[str, str]] = []
    owner: dict[int, str] = {}
    names: set[str] = set()
    for name, number in pairs:
        if name in names:
            found.append((f"names {name!r} twice.", "Keep one of them."))
        names.add(name)
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= HIGHEST_LABEL:
            shown = json.dumps(number)[:40]
            found.append(
                (f"gives {name!r} the number {shown}.", f"Labels are whole numbers from 1 to {HIGHEST_LABEL}.")
            )
        elif number in owner:
            found.append(
                (f"gives {number} to both {owner[number]!r} and {name!r}.", "Each class needs its own number.")
            )
        else:
            owner[number] = name
        if name not in known_names() and not name.startswith(OTHER):
            close = get_close_matches(name, known_names(), n=2)
            advice = f"Did you mean {' or '.join(close)}? " if close else ""
            found.append(
                (f"names an unknown class {name!r}.", f"{advice}Call an organ that is not listed {OTHER}{name}.")
            )
    if COLON not in names:
        found.append((f"has no {COLON!r}; it has {', '.join(sorted(names)[:5]) or 'no names'}.", "Add its number."))
    return found


@cache
def _bundled(name: str) -> Mapping[str, int]:
    text = resources.files("agcrc.anatomy").joinpath("data", f"{name}.json").read_text(encoding="utf-8")
    return cast(dict[str, int], json.loads(text))


def _label_counts(labels: NDArray[np.generic]) -> dict[int, int]:
    """Label -> voxels, with memory that does not grow with the volume."""
    if labels.dtype not in (np.dtype(np.uint8), np.dtype(np.uint16)):
        raise InputError(
            Problem(f"the label map is of type {labels.dtype}; uint8 or uint16 is needed.", "Read it with read_labels.")
        )
    counts = np.zeros(HIGHEST_LABEL + 1, dtype=np.int64)
    for part in slabs(cast(tuple[int, int, int], labels.shape)):
        found = np.bincount(labels[part].ravel())
        counts[: found.size] += found
    return {int(label): int(counts[label]) for label in np.flatnonzero(counts)}
