"""agcrc on the bench: the model kind `agcrc:RUN`, the tool `agcrc` and the metric `lesion_dice`, by entry points.

The only module that knows both packages. Heavy imports come late, so that finding it costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from agcrc import errors
from medbench.errors import InputError, Problem
from medbench.items.model import Media, Question
from medbench.models.model import Context, Identity, Response
from medbench.models.registry import ModelOptions
from medbench.models.tools import ToolError, ToolSpec
from medbench.scoring.file_metrics import CaseSlice, CaseSlices, FileFault
from medbench.scoring.model import Marking
from medbench.stats import Estimate

if TYPE_CHECKING:
    from agcrc.volumes import Volume

NEEDED = ("torch", "nibabel", "skimage")
NEEDED_TO_DRAW = ("nibabel", "skimage", "PIL")
MODES = ("filtered", "fast", "full")
KEPT = 2
"""Volumes whose prediction stays in memory: slices of one follow one another."""
GZIP = b"\x1f\x8b"


def segmenter(path: str, options: ModelOptions) -> SegmenterModel:
    """The model of `agcrc:RUN`; parameters `mode` (`filtered`, `fast`, `full`) and `flips` as in `agcrc predict`.

    Raises:
        InputError: A package is missing, the folder is no training run, or a parameter is none of these.
    """
    missing = [name for name in NEEDED if util.find_spec(name) is None]
    if missing:
        raise InputError(f"agcrc:RUN needs {', '.join(missing)}: pip install 'medbench[imaging]'")
    from agcrc.train.plan import PLAN_FILE

    run = (options.folder / path).resolve()
    wrong = sorted(set(options.parameters) - {"mode", "flips"})
    mode, flips = options.parameters.get("mode", "filtered"), options.parameters.get("flips", False)
    problems = [Problem(message=f"agcrc:RUN has no parameter {name}; it has mode and flips.") for name in wrong]
    if not (run / PLAN_FILE).is_file():
        problems.append(Problem(message=f"{run} is no training run: it holds no {PLAN_FILE}.", field="run"))
    if mode not in MODES:
        problems.append(Problem(message=f"mode is one of {', '.join(MODES)}.", field="mode"))
    if not isinstance(flips, bool):
        problems.append(Problem(message="flips is true or false.", field="flips"))
    if problems:
        raise InputError(*problems)
    return SegmenterModel(run, str(mode), flips=bool(flips))


@dataclass(frozen=True, eq=False)
class _Found:
    """A prediction: the mask, its files in the run's folder and its lesions, or why there is none."""

    mask: NDArray[np.bool_] | None
    artifacts: tuple[str, ...]
    refusal: Response | None = None
    lesions: tuple[dict[str, Any], ...] = ()


class SegmenterModel:
    """A trained segmenter: a volume becomes a mask, a slice of a volume the boxes of its lesions.

    A question names its files in `meta`, by their names among its media: `volume`, `organs`, for a slice also `axis`
    (`axial`) and `slice` (from 0, the lowest). One that names no volume is declined with `no_volume`.

    Args:
        run: Folder of a training run.
        mode: See `agcrc.predict.predict_case`.
        flips: Likewise.
    """

    most_in_flight = 1

    def __init__(self, run: Path, mode: str, *, flips: bool) -> None:
        from agcrc.train import load_model

        with _told():
            self._net, self._plan = load_model(run)
        digest = hashlib.sha256()
        for name, tensor in sorted(self._net.state_dict().items()):
            digest.update(name.encode() + b"\0" + tensor.numpy().tobytes())
        self._mode: Any = mode
        self._flips = flips
        self._found: OrderedDict[tuple[str, str], _Found] = OrderedDict()
        self._worker: ThreadPoolExecutor | None = None
        self.identity = Identity(
            spec=f"agcrc:{run}",
            name=run.name,
            revision=f"sha256:{digest.hexdigest()}; network {self._plan.model_hash()}",
            parameters={"mode": mode, "flips": flips},
        )

    def check(self, plan: Iterable[tuple[Question, int, int]]) -> None:
        """What it can't take it declines item by item."""

    async def open(self) -> None:
        """The worker starts with the first volume."""

    async def close(self) -> None:
        """Stop it; a prediction under way comes to its end first."""
        if self._worker is not None:
            await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
            self._worker = None

    async def answer(self, question: Question, context: Context) -> Response:
        """Predict the question's volume, once for all its slices, away from the event loop."""
        started = time.perf_counter()
        asked = _asked(question)
        if isinstance(asked, Response):
            return asked
        found = await self.find(asked, context)
        if found.refusal is not None:
            return found.refusal
        text = "" if asked.slice is None else _boxes(found.mask, asked.slice)
        if text is None:
            return _declined("no_such_slice", f"slice {asked.slice}")
        return Response(status="ok", text=text, artifacts=found.artifacts, latency_s=time.perf_counter() - started)

    async def find(self, asked: _Asked, context: Context) -> _Found:
        """The prediction of a volume, away from the event loop."""
        volume, organs = (context.file(medium) for medium in asked.media)
        if volume is None or organs is None:
            reasons = "; ".join(f"{medium.path}: {medium.missing or 'absent'}" for medium in asked.media)
            return _Found(None, (), _declined("volume_missing", reasons))
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="agcrc")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._worker, self._predicted, asked, (volume, organs), context)

    def _predicted(self, asked: _Asked, paths: tuple[Path, Path], context: Context) -> _Found:
        volume, organs = asked.media
        key = volume.sha256, organs.sha256
        if key not in self._found:
            self._found[key] = self._predict(paths, asked.class_map or self._plan.class_map, context)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]

    def _predict(self, paths: tuple[Path, Path], class_map: str, context: Context) -> _Found:
        from agcrc.anatomy import Organs, load_class_map
        from agcrc.cli.output import device_named
        from agcrc.predict import predict_case
        from agcrc.volumes import read_ct, read_labels, require_same_grid

        try:
            with _nifti(paths[0]) as image, _nifti(paths[1]) as labels:
                ct, masks = read_ct(image), read_labels(labels)
            require_same_grid(ct, masks, ("the volume", "the organ masks"))
            known = Organs(masks, load_class_map(class_map))
        except errors.InputError as error:
            return _Found(None, (), _declined("volume_unusable", str(error)))
        try:
            found = predict_case(
                self._net, self._plan, ct, known, mode=self._mode, flips=self._flips, device=device_named("auto")
            )
        except (errors.InputError, RuntimeError, MemoryError) as error:  # torch tells exhausted memory by RuntimeError
            code = "nothing_in_view" if isinstance(error, errors.InputError) else "prediction_failed"
            refusal = Response(status="failed", error_class="submitter", error_code=code, error_detail=str(error)[:500])
            return _Found(None, (), refusal)
        mask = found.mask > 0
        lesions = tuple(asdict(lesion) for lesion in found.lesions)
        record = {"lesions": lesions, "windows": found.windows}
        kept = (
            context.keep(_as_nifti(mask, ct), ".nii.gz"),
            context.keep(json.dumps(record, indent=1).encode(), ".json"),
        )
        return _Found(mask, kept, lesions=lesions)


def segmentation_tool(settings: Mapping[str, object]) -> SegmentationTool:
    """The agent's tool `agcrc`; settings: `run` (folder of a training run), and `mode`, `flips` as of the model.

    Raises:
        InputError: There is no `run`; as `segmenter`.
    """
    run = settings.get("run")
    if not isinstance(run, str) or not run:
        raise InputError(Problem(message="The folder of a training run is needed.", field="tools.agcrc.run"))
    parameters = {name: value for name, value in settings.items() if name != "run"}
    try:
        return SegmentationTool(segmenter(run, ModelOptions(parameters=parameters)))
    except InputError as error:
        raise InputError(
            *(replace(each, field=f"tools.agcrc.{each.field}") if each.field else each for each in error.problems)
        ) from error


class SegmentationTool:
    """Lesions in the volume of the question at hand.

    Args:
        model: Who finds them.
        of: The question and its context; None: no question yet.
    """

    spec = ToolSpec(
        name="agcrc",
        description="Segments colorectal lesions in this question's CT: lesions with volume and confidence, or the "
        "boxes on its slice. A model's finding, not a diagnosis.",
        parameters={"type": "object", "properties": {}, "additionalProperties": False},
    )
    timeout_s = 1800.0

    def __init__(self, model: SegmenterModel, of: tuple[_Asked, Context] | None = None) -> None:
        self._model = model
        self._of = of

    def bound(self, question: Question, context: Context) -> SegmentationTool | None:
        """The tool for one question; None where it has no volume."""
        asked = _asked(question)
        return None if isinstance(asked, Response) else SegmentationTool(self._model, (asked, context))

    async def call(self, arguments: Mapping[str, object]) -> str:
        """Find; see `medbench.models.tools.Tool`.

        Raises:
            ToolError: There is no volume, or it can't be used.
        """
        if self._of is None:
            raise ToolError("no_volume", "No question with a volume is at hand.")
        asked, context = self._of
        found = await self._model.find(asked, context)
        if found.refusal is not None:
            raise ToolError(found.refusal.error_code, found.refusal.error_detail)
        if asked.slice is None:
            return json.dumps({"lesions": found.lesions, "mask": found.artifacts[0]})
        boxes = _boxes(found.mask, asked.slice)
        if boxes is None:
            raise ToolError("no_such_slice", f"slice {asked.slice}")
        return boxes


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question asks for: its volume and organ masks, and the slice; None: the whole volume."""

    media: tuple[Media, Media]
    slice: int | None
    class_map: str


def _asked(question: Question) -> _Asked | Response:
    """What is asked, or the response that declines it."""
    meta = question.meta
    by_name = {medium.path: medium for medium in question.media}
    volume, organs = (by_name.get(str(meta.get(name))) for name in ("volume", "organs"))
    if volume is None or organs is None:
        return _declined("no_volume", "the item names no volume with organ masks among its media")
    index = meta.get("slice")
    if index is not None and (type(index) is not int or meta.get("axis") != "axial"):
        return _declined("no_such_slice", "only axial slices, by a whole number")
    class_map = str(meta.get("class_map", ""))
    from agcrc.anatomy.organs import BUNDLED

    return _Asked((volume, organs), index, class_map if class_map in BUNDLED else "")


def _declined(code: str, detail: str) -> Response:
    """The item lacks what the model needs: excluded from its score, and told by its coverage."""
    return Response(status="media_missing", error_class="submitter", error_code=code, error_detail=detail[:500])


def _boxes(mask: NDArray[np.bool_] | None, index: int) -> str | None:
    from agcrc.items import boxes_answer
    from agcrc.volumes.slices import axial, slice_boxes

    if mask is None or not 0 <= index < mask.shape[0]:
        return None
    return json.dumps(boxes_answer(slice_boxes(axial(mask, index).astype(np.bool_))), ensure_ascii=False)


class LesionDice:
    """Dice of a lesion mask (`agcrc.evaluate`); no value for a healthy case, which the secondary figures count."""

    def mark(self, answer: Sequence[Path], truth: Path) -> Marking:
        """See `FileMetric`. Behind the mask may stand the JSON of its lesions, whose confidence ranks them.

        Details: NSD at 2 mm and the share of the lesions found, of a case with lesions. Counts: lesions found, false
        components, lesions missed.

        Raises:
            FileFault: `mask_unusable`: no lesion mask, or on another grid than the truth.
        """
        from agcrc.evaluate import measure_case
        from agcrc.evaluate.folders import component_confidences, read_mask, read_record
        from agcrc.volumes import Volume, require_same_grid

        with _told(), _nifti(truth) as path:
            true = read_mask(path)
        confidences = None
        try:
            mask = read_mask(answer[0]) if answer else Volume(np.zeros_like(true.array), true.grid)
            require_same_grid(mask, true, ("the mask", "the truth"))
            for record in answer[1:2]:
                lesions = read_record(record).lesions
                confidences = None if lesions is None else component_confidences(mask, lesions, record)
        except errors.InputError as error:
            raise FileFault("mask_unusable") from error
        case = measure_case(truth.name, mask.array, true.array, true.grid, confidences=confidences)
        details = {"nsd_2mm": case.nsd_2mm}
        if case.lesions:
            details["lesion_sensitivity"] = case.found / len(case.lesions)
        return Marking(
            value=case.dice,
            true_positives=case.found,
            false_positives=case.false_positives,
            false_negatives=len(case.lesions) - case.found,
            details=tuple((name, value) for name, value in details.items() if value is not None),
            measured=case,
        )

    def figures(self, measured: Sequence[object]) -> Mapping[str, Estimate]:
        """NSD at 2 mm by case; sensitivity by lesion, also at one false positive per scan; clean healthy scans."""
        from agcrc.evaluate import Case, summarise
        from agcrc.evaluate.froc import RATES

        cases = [case for case in measured if isinstance(case, Case)]
        found = summarise(cases)
        ill = [case for case in cases if not case.healthy]
        named = {
            "nsd_2mm": (found.nsd_2mm, ill),
            "lesion_sensitivity": (found.lesion_sensitivity, ill),
            "sensitivity_1fp": (found.froc[RATES.index(1.0)], ill),
            "healthy_clean": (found.healthy_clean, [case for case in cases if case.healthy]),
        }
        return {
            name: Estimate(figure.value, figure.low, figure.high, None, figure.n, len(among), "wilson_clustered")
            for name, (figure, among) in named.items()
            if figure.value is not None
        }

    def show(self, question: Question, media: Mapping[str, Path], answer: Sequence[Path], truth: Path) -> CaseSlices:
        """See `ShownMetric`: the slices of `agcrc.evaluate.slices` in the soft-tissue window."""
        if any(util.find_spec(name) is None for name in NEEDED_TO_DRAW):
            raise FileFault("packages_missing")
        from agcrc.evaluate.folders import read_mask
        from agcrc.evaluate.overlays import HIGHEST_HU, LOWEST_HU
        from agcrc.evaluate.slices import lesion_slices
        from agcrc.volumes import read_ct, require_same_grid

        volume = media.get(str(question.meta.get("volume")))
        if volume is None:
            raise FileFault("volume_missing")
        try:
            with _nifti(truth) as path:
                true = read_mask(path)
            found = read_mask(answer[0])
            require_same_grid(found, true, ("the mask", "the truth"))
        except errors.InputError as error:
            raise FileFault("mask_unusable") from error
        try:
            with _nifti(volume) as path:
                ct = read_ct(path)
            require_same_grid(ct, true, ("the volume", "the truth"))
        except errors.InputError as error:
            raise FileFault("volume_unusable") from error
        drawn = lesion_slices(ct, true.array, found.array)
        return CaseSlices(
            slices=[
                CaseSlice(
                    index=each.index,
                    position_mm=each.position_mm,
                    image=each.jpeg,
                    true=each.truth,
                    given=each.prediction,
                    true_mm2=each.truth_mm2,
                    given_mm2=each.prediction_mm2,
                )
                for each in drawn.slices
            ],
            first=drawn.first,
            marked=drawn.marked,
            total=ct.grid.shape[0],
            size_mm=drawn.size_mm,
            spacing_mm=ct.grid.spacing,
            window_hu=(LOWEST_HU, HIGHEST_HU),
        )


def _as_nifti(mask: NDArray[np.bool_], ct: Volume) -> bytes:
    from agcrc.volumes import write_volume

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "mask.nii.gz")
        write_volume(path, mask, ct.grid)
        return path.read_bytes()


@contextmanager
def _nifti(path: Path) -> Iterator[Path]:
    """The file under a name that tells its kind: a bank keeps files by their hash alone."""
    from agcrc.volumes.nifti import SUFFIXES

    if path.name.endswith(SUFFIXES):
        yield path
        return
    with path.open("rb") as file:
        suffix = ".nii.gz" if file.read(len(GZIP)) == GZIP else ".nii"
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder, f"volume{suffix}")
        link.symlink_to(path.resolve())
        yield link


@contextmanager
def _told() -> Iterator[None]:
    """Errors of agcrc as those of medbench."""
    try:
        yield
    except errors.InputError as error:
        raise InputError(
            *(Problem(message=each.message, advice=each.advice, file=each.file or None) for each in error.problems)
        ) from error
