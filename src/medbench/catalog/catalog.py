"""The catalogue: datasets in their order, dimensions by track, specialties, and one's own datasets beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import msgspec

from medbench.catalog.check import dataset_problems
from medbench.catalog.instructions import form_instructions
from medbench.catalog.model import Bilingual, Dataset, Dimension, Specialty, Track
from medbench.catalog.read import read_folder
from medbench.errors import InputError, Problem
from medbench.text import say


class Catalog:
    """An immutable catalogue.

    Attributes:
        datasets: Name -> dataset, in the official order, one's own behind.
        specialties: Primary and secondary departments, in the order of the catalogue of departments.
    """

    def __init__(
        self, datasets: Iterable[Dataset], dimensions: Iterable[Dimension], specialties: Iterable[Specialty]
    ) -> None:
        self.datasets: Mapping[str, Dataset] = MappingProxyType({dataset.name: dataset for dataset in datasets})
        self.specialties: tuple[Specialty, ...] = tuple(specialties)
        self._dimensions: tuple[Dimension, ...] = tuple(dimensions)

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name.

        Raises:
            InputError: There is none; the message names those with similar names.
        """
        try:
            return self.datasets[name]
        except KeyError:
            raise InputError(
                Problem(message=say("catalog.unknown_dataset", name=repr(name)), advice=self._similar(name))
            ) from None

    def dimensions(self, track: Track) -> tuple[Dimension, ...]:
        """The dimensions of a track, in order."""
        return tuple(dimension for dimension in self._dimensions if dimension.track == track)

    @cached_property
    def version(self) -> str:
        """First 16 hex digits of the SHA-256 over all data of the catalogue, default instructions included."""
        data = {
            "datasets": list(self.datasets.values()),
            "dimensions": self._dimensions,
            "specialties": self.specialties,
            "instructions": form_instructions(),
        }
        return hashlib.sha256(msgspec.json.encode(data, order="deterministic")).hexdigest()[:16]

    def with_datasets(self, source: str | Path | Iterable[Dataset]) -> Catalog:
        """This catalogue extended by one's own datasets.

        A dataset that is here already with the same content is passed over. A dimension that does not exist yet is
        made, titled by its id.

        Args:
            source: A folder with one TOML file per dataset, or the datasets themselves.

        Raises:
            InputError: With every problem of every dataset, each with its file and field.
        """
        read: list[tuple[str | None, Dataset]]
        problems: list[Problem] = []
        if isinstance(source, str | Path):
            files, problems = read_folder(Path(source))
            read = [(str(file), dataset) for file, dataset in files]
        else:
            read = [(None, dataset) for dataset in source]
        datasets = dict(self.datasets)
        dimensions = list(self._dimensions)
        for file, dataset in read:
            present = datasets.get(dataset.name)
            if present == dataset:
                continue
            found = dataset_problems(dataset, dimensions, file)
            if present is not None:
                found.append(
                    Problem(
                        message=say("catalog.name_taken", name=dataset.name),
                        advice=say("catalog.name_taken_advice"),
                        file=file,
                        field="name" if file is not None else f"{dataset.name}.name",
                    )
                )
            problems += found
            if found:
                continue
            datasets[dataset.name] = dataset
            if all(dimension.id != dataset.dimension for dimension in dimensions):
                title = dataset.dimension.replace("_", " ")
                dimensions.append(Dimension(id=dataset.dimension, track=dataset.track, title=Bilingual(title, title)))
        if problems:
            raise InputError(*sorted(problems, key=lambda problem: problem.file or ""))
        return Catalog(datasets.values(), dimensions, self.specialties)

    def _similar(self, name: str) -> str:
        # Only needed on a mistake, and slow to import.
        from difflib import get_close_matches

        by_folded = {known.casefold(): known for known in self.datasets}
        close = [by_folded[folded] for folded in get_close_matches(name.casefold(), by_folded, n=3)]
        if close:
            return say("catalog.similar_datasets", names=", ".join(close))
        return say("catalog.list_datasets")
