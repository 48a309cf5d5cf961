"""Importing and validating: open, survey, summarise, and store if a bank is named."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from medbench.errors import InputError
from medbench.items.agentclinic import AGENTCLINIC, agentclinic_reader
from medbench.items.bank import Disclosure, bank_catalog, import_into
from medbench.items.healthbench import HEALTHBENCH, healthbench_reader
from medbench.items.imported import imported_dataset
from medbench.items.medagentbench import MEDAGENTBENCH, MedAgentBenchReader
from medbench.items.media import FolderMedia
from medbench.items.report import ImportSummary, Report, problem
from medbench.items.rows import ItemReader
from medbench.items.source import open_reader
from medbench.items.survey import RejectedFile, summarise, survey
from medbench.items.table import Mapping, TableReader, read_mapping

ItemFormat = Literal["medbench-v4", "jsonl", "csv", "healthbench", "medagentbench", "agentclinic"]

_OWN_DATASETS: dict[ItemFormat, str] = {
    "healthbench": HEALTHBENCH,
    "medagentbench": MEDAGENTBENCH,
    "agentclinic": AGENTCLINIC,
}
"""Formats whose items belong to one dataset, which comes with the format."""


class ImportRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to import.

    Attributes:
        path: The source.
        format: How it is written; none: by its name.
        mapping: Mapping file; needed for CSV, and for JSONL of another shape.
        into: The bank; none to store nothing.
        catalog_folder: One's own dataset definitions.
        skip_invalid: File that bad rows are set aside in; none: a bad row stops the import.
        disclosure: For a new bank.
    """

    path: Path
    format: ItemFormat | None = None
    mapping: Path | None = None
    into: Path | None = None
    catalog_folder: Path | None = None
    skip_invalid: Path | None = None
    disclosure: Disclosure | None = None


class ImportOutcome(NamedTuple):
    """What came of it; `report.raise_errors()` says whether it was refused."""

    summary: ImportSummary
    report: Report


def import_items(request: ImportRequest) -> ImportOutcome:
    """Validate a source and, if a bank is named and nothing is wrong, add its items to it.

    Raises:
        InputError: The source can't be read at all, or the bank refuses items.
        WorkError: The bank can't be written.
    """
    written_as = request.format or _guess(request.path)
    mapping = _mapping(request, written_as)
    catalog = bank_catalog(request.into)
    if request.catalog_folder is not None:
        catalog = catalog.with_datasets(request.catalog_folder)
    if mapping is not None and mapping.dataset is not None:
        catalog = catalog.with_datasets([mapping.dataset])
    own = _OWN_DATASETS.get(written_as)
    if own is not None and own not in catalog.datasets:
        catalog = catalog.with_datasets([imported_dataset(own)])
    if not request.path.exists():
        raise InputError(problem("no_source", file=request.path))
    reader: ItemReader
    if mapping is not None:
        kind: Literal["csv", "jsonl"] = "csv" if written_as == "csv" else "jsonl"
        reader = TableReader(request.path, kind, mapping, catalog, FolderMedia(request.path.parent))
    elif written_as == "healthbench":
        reader = healthbench_reader(request.path, catalog)
    elif written_as == "medagentbench":
        reader = MedAgentBenchReader(request.path, catalog)
    elif written_as == "agentclinic":
        reader = agentclinic_reader(request.path, catalog)
    else:
        reader = open_reader(request.path, "medbench-v4" if written_as == "medbench-v4" else "jsonl", catalog)
    aside = RejectedFile(request.skip_invalid) if request.skip_invalid is not None else None
    try:
        selection, counts = survey(reader, aside.write if aside else None, restart=aside.restart if aside else None)
    finally:
        if aside:
            aside.close()
    stored = request.into if request.into is not None and not selection.report.errors else None
    if stored is not None:
        import_into(stored, selection, catalog, request.disclosure)
    return ImportOutcome(summarise(selection, counts, catalog, stored), selection.report)


def _guess(path: Path) -> ItemFormat:
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == ".zip":
        return "medbench-v4"
    return "csv" if suffix in (".csv", ".tsv") else "jsonl"


def _mapping(request: ImportRequest, written_as: ItemFormat) -> Mapping | None:
    if request.mapping is None:
        if written_as == "csv":
            raise InputError(problem("needs_mapping", field="--mapping"))
        return None
    if written_as not in ("csv", "jsonl"):
        raise InputError(problem("mapping_unused", field="--mapping"))
    return read_mapping(request.mapping)
