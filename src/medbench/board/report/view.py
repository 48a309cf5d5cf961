"""What the report says, in one language: plain text for every place of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medbench.board.controls import PictureEffects
from medbench.board.report.boxes import BoxCase
from medbench.board.report.charts import Bar, Positions
from medbench.board.report.checks import CheckLine, check_lines
from medbench.board.report.epochs import EpochLine, epoch_lines
from medbench.board.report.figures import NOTHING, interval, metric_names, number, percent, with_interval
from medbench.board.report.judges import (
    JudgedLine,
    JudgeLine,
    TagLine,
    judge_lines,
    judged_lines,
    tag_lines,
    uncalibrated,
)
from medbench.board.report.media import ImageLine, MissingLine, image_lines, media_counts, missing_lines
from medbench.board.report.orders import CircularRow, circular_rows, most_orders, positions
from medbench.board.report.people import PeopleLine, agreement_notes, bias_notes, people_lines, people_notes
from medbench.board.report.pictures import (
    DetailLine,
    EffectLine,
    ProbeLine,
    box_caption,
    detail_lines,
    effect_lines,
    effect_notes,
    probe_lines,
    slice_caption,
    volume_caption,
)
from medbench.board.report.provenance import pin_rows, usage_rows
from medbench.board.report.repeat import command_line, judge_files
from medbench.board.report.volumes import DrawnSlice, VolumeCase
from medbench.board.summary import COVERAGE_GATE, SAFETY_DIMENSIONS, DatasetSummary, DimensionSummary, Summary
from medbench.catalog.model import TRACKS, Bilingual
from medbench.engine.budget import Price
from medbench.scoring.judging.plan import JudgePins
from medbench.scoring.score import SMALLEST_CELL
from medbench.scoring.tally import PartFigures
from medbench.text import Language, say


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One line of the table of datasets; `part` lines stand under their dataset."""

    name: str
    title: str
    score: str
    interval: str
    clusters: str
    coverage: str
    chance: str
    unparsed: str
    status: str
    refusals: str
    pass_all_k: str = NOTHING
    part: bool = False


class View:
    """A summary in one language."""

    def __init__(
        self,
        summary: Summary,
        language: Language,
        price: Price,
        effects: PictureEffects | None = None,
        boxes: Sequence[BoxCase] = (),
        volumes: Sequence[VolumeCase] = (),
    ) -> None:
        self.summary = summary
        self.language = language
        self.effects = effects
        self.boxes = boxes
        self.volumes = volumes
        self.hidden = summary.pins.disclosure == "hidden"
        self.price = price

    def t(self, name: str, /, **values: object) -> str:
        """The message of that name."""
        return say(f"report.{name}", language=self.language, **values)

    def code(self, prefix: str, code: str) -> str:
        """What a code means; the code itself where another package brought it."""
        try:
            return self.t(prefix + code)
        except KeyError:
            return code

    def title(self, text: Bilingual) -> str:
        """A bilingual text in this language."""
        return str(getattr(text, self.language))

    def track(self, track: str) -> str:
        """Name of a track."""
        return say(f"catalog.track_{track}", language=self.language)

    def names(self, names: Iterable[str]) -> str:
        """Names in a row."""
        return ("、" if self.language == "zh" else ", ").join(names)

    def tracks(self) -> list[str]:
        """Tracks of the run, in their order."""
        return sorted(self.summary.overall, key=lambda track: TRACKS.index(track))

    def created(self) -> str:
        """When the run began."""
        return self.summary.pins.created.replace("T", " ").replace("+00:00", " UTC")

    # ---- headline and warnings

    def overall_lines(self) -> list[str]:
        """What the headline is or is not of each track."""
        lines = []
        for track in self.tracks():
            figure = self.summary.overall[track]
            missing, total = len(self.summary.incomplete[track]), self.summary.official[track]
            name = self.track(track)
            if figure is not None:
                words = {"total": total, "score": number(figure.value), "interval": interval(figure)}
                lines.append(self.t("overall", track=name, **words))
            elif total:
                lines.append(self.t("not_overall", track=name, missing=missing, total=total))
        return lines

    def missing(self) -> list[tuple[str, str]]:
        """(track, datasets of MedBench v4 without a score) for each track that lacks some."""
        lacking = self.summary.incomplete
        return [(self.track(track), self.names(lacking[track])) for track in self.tracks() if lacking[track]]

    def warnings(self) -> list[str]:
        """What a reader has to know before reading on."""
        summary = self.summary
        lines = []
        if illustrative := self.illustrative():
            lines.append(illustrative)
        if (control := summary.pins.selection.media_control) != "none":
            lines.append(self.t(f"media_{control}"))
        if not summary.complete:
            counts = {"answered": f"{summary.answered:,}", "planned": f"{summary.planned:,}"}
            lines.append(self.t("incomplete", **counts))
        if not summary.rankable:
            lines.append(self.t("not_ranked", coverage=percent(summary.coverage), gate=percent(COVERAGE_GATE)))
        repeats = summary.repeats
        if repeats is not None and repeats.identical == 1.0:
            lines.append(self.t("identical", epochs=repeats.epochs))
        guessed = [self._at_chance(dataset) for dataset in summary.datasets if dataset.at_chance]
        if guessed:
            lines.append(self.t("at_chance", names=self.names(guessed)))
        if uncalibrated(self):
            lines.append(self.t("uncalibrated"))
        elif metrics := summary.unmeasured():
            lines.append(self.t("unmeasured", metrics=metric_names(metrics, self.language)))
        if summary.outdated:
            lines.append(self.t("outdated", count=f"{summary.outdated:,}"))
        if summary.awaiting_judge:
            lines.append(self.t("awaiting", names=self.names(summary.awaiting_judge)))
        if summary.uncounted_usage:
            counts = {"count": f"{summary.uncounted_usage:,}", "responses": f"{summary.answered:,}"}
            lines.append(self.t("uncounted", **counts))
        if self.hidden:
            lines.append(self.t("hidden", least=SMALLEST_CELL))
        return lines

    def illustrative(self) -> str:
        """How many items are illustrative; empty: none."""
        counts = {"count": f"{self.summary.illustrative:,}", "items": f"{self.summary.items:,}"}
        return self.t("illustrative", **counts) if self.summary.illustrative else ""

    def _at_chance(self, dataset: DatasetSummary) -> str:
        figure = dataset.score or dataset.closed
        score = number(figure.value) if figure else NOTHING
        circular = dataset.parts[0].circular
        if circular is not None and circular.acc_mean is not None and circular.chance_mean is not None:
            # With several orders it is the share of right answers that guessing is held against.
            score, chance = number(100 * circular.acc_mean), 100 * circular.chance_mean
            return self.t("at_chance_answers", name=dataset.name, score=score, chance=number(chance))
        return self.t("at_chance_one", name=dataset.name, score=score, chance=number(dataset.chance or 0.0))

    # ---- dimensions and datasets

    def dimensions(self, track: str) -> list[DimensionSummary]:
        """The dimensions of a track that the run touches."""
        return [dimension for dimension in self.summary.dimensions if dimension.track == track]

    def datasets_scored(self, dimension: DimensionSummary) -> str:
        """How many of a dimension's datasets are scored."""
        total = dimension.datasets_scored + len(dimension.missing)
        return self.t("n_of_total", scored=dimension.datasets_scored, total=total)

    def dimension_bars(self, track: str) -> list[Bar]:
        """Bars of the dimensions that have a score."""
        return [
            Bar(
                label=self.title(dimension.title),
                value=dimension.scored.value,
                low=dimension.scored.low,
                high=dimension.scored.high,
                text=f"{number(dimension.scored.value)} ({interval(dimension.scored)})",
                whole=dimension.score is not None,
            )
            for dimension in self.dimensions(track)
            if dimension.scored is not None
        ]

    def dataset_bars(self, track: str) -> list[Bar]:
        """Dots of the datasets that have a score; names only, so that one chart serves both languages."""
        return [
            Bar(dataset.name, figure.value, figure.low, figure.high, number(figure.value), chance=dataset.chance)
            for dataset in self.summary.datasets
            if dataset.track == track and (figure := dataset.score) is not None
        ]

    def dataset_rows(self, track: str | None = None, *, safety: bool = False) -> list[DatasetRow]:
        """Lines of the table of datasets, of one track or of the safety dimensions."""
        rows = []
        for dataset in self.summary.datasets:
            wanted = dataset.dimension in SAFETY_DIMENSIONS if safety else dataset.track == track
            if wanted:
                rows.append(self._dataset_row(dataset))
                if len(dataset.parts) > 1:
                    rows += [self._part_row(part) for part in dataset.parts]
        return rows

    @property
    def safety_scored(self) -> bool:
        """Whether any dataset of the safety dimensions has a score."""
        return any(each.score is not None and each.dimension in SAFETY_DIMENSIONS for each in self.summary.datasets)

    def _dataset_row(self, dataset: DatasetSummary) -> DatasetRow:
        figure = dataset.score
        concealed = self.concealed(dataset.items)
        return DatasetRow(
            name=dataset.name,
            title=self.title(dataset.title),
            score=number(figure.value) if figure else NOTHING,
            interval=interval(figure) if figure else NOTHING,
            clusters=f"{figure.n:,} / {figure.clusters:,}" if figure else f"{dataset.items:,} / {NOTHING}",
            coverage=percent(dataset.coverage),
            chance=NOTHING if dataset.chance is None or concealed else number(dataset.chance),
            unparsed=NOTHING if concealed else _unparsed(dataset.parts),
            status=self._status(dataset),
            refusals=self._refusals(dataset.parts),
            pass_all_k=with_interval(dataset.repeats.pass_all_k if dataset.repeats else None),
        )

    def _part_row(self, part: PartFigures) -> DatasetRow:
        estimate = part.combined if part.judged else part.estimate
        concealed = self.concealed(part.items)
        return DatasetRow(
            name=self.t("part", name=part.name),
            title="",
            score=number(100 * estimate.value) if estimate else NOTHING,
            interval=interval(estimate, 100),
            clusters=f"{estimate.n:,} / {estimate.clusters:,}" if estimate else f"{part.items:,} / {NOTHING}",
            coverage=percent(part.counted / part.planned) if part.planned else NOTHING,
            chance=NOTHING if part.chance is None or concealed else number(100 * part.chance),
            unparsed=NOTHING if concealed else _unparsed([part]),
            status=self.t("is_awaiting_judge") if part.awaiting else self.t("is_scored") if estimate else NOTHING,
            refusals=self._refusals([part]),
            part=True,
        )

    def concealed(self, items: int) -> bool:
        """Whether figures of so few items would show their keys."""
        return self.hidden and items < SMALLEST_CELL

    def _refusals(self, parts: Sequence[PartFigures]) -> str:
        answered = sum(part.answered for part in parts)
        return self.t("of", count=sum(part.refusals for part in parts), total=answered)

    def _status(self, dataset: DatasetSummary) -> str:
        reasons = sorted({reason for part in dataset.parts for reason in part.by_reason})
        words = self.t(f"is_{dataset.why or 'scored'}", reasons=self.names(reasons) or self.t("unknown"))
        if dataset.score is None and dataset.closed is not None:
            score, limits = number(dataset.closed.value), interval(dataset.closed)
            words = self.t("closed_alone", status=words, score=score, interval=limits)
        return words

    # ---- epochs

    @property
    def epochs(self) -> int:
        """How often each item was asked."""
        return self.summary.pins.selection.epochs

    def epoch_lines(self) -> list[EpochLine]:
        """Lines of the table of epochs."""
        return epoch_lines(self)

    # ---- option orders

    def most_orders(self) -> int:
        """The largest m of `more_m`."""
        return most_orders(self)

    def circular_rows(self) -> list[CircularRow]:
        """Lines of the table of option orders."""
        return circular_rows(self)

    def positions(self) -> list[Positions]:
        """Shares per displayed position, for the chart."""
        return positions(self)

    # ---- judges

    def judges(self) -> list[JudgeLine]:
        """The judges of the run."""
        return judge_lines(self)

    def judged(self) -> list[JudgedLine]:
        """What they gave."""
        return judged_lines(self)

    # ---- pictures and documents

    def media(self) -> str:
        """How many images were sent, and how; empty where the run has no media."""
        return media_counts(self)

    def images(self) -> list[ImageLine]:
        """The first images that were not sent as they are."""
        return image_lines(self)

    def media_missing(self) -> list[MissingLine]:
        """The first questions that were not asked for want of their media."""
        return missing_lines(self)

    def tags(self) -> list[TagLine]:
        """Scores by criteria, by tag."""
        return tag_lines(self)

    def people(self) -> list[PeopleLine]:
        """What people would say."""
        return people_lines(self)

    def people_notes(self) -> list[str]:
        """Whose ratings these are."""
        return people_notes(self)

    def agreement_notes(self) -> list[str]:
        """Which agreement is not known."""
        return agreement_notes(self)

    def bias_notes(self) -> list[str]:
        """Which bias is not known."""
        return bias_notes(self)

    # ---- pictures and secondary figures

    def effect_lines(self) -> list[EffectLine]:
        """What the pictures add."""
        return effect_lines(self)

    def probe_lines(self) -> list[ProbeLine]:
        """Perception against reasoning."""
        return probe_lines(self)

    def effect_notes(self) -> list[str]:
        """What to bear in mind with both."""
        return effect_notes(self)

    def detail_lines(self) -> list[DetailLine]:
        """Secondary figures."""
        return detail_lines(self)

    def check_lines(self) -> list[CheckLine]:
        """Answers that were run."""
        return check_lines(self)

    def box_caption(self, case: BoxCase) -> str:
        """What stands below a picture of boxes."""
        return box_caption(self, case)

    def volume_caption(self, case: VolumeCase) -> str:
        """What stands below a volume."""
        return volume_caption(self, case)

    def slice_caption(self, case: VolumeCase, drawn: DrawnSlice) -> str:
        """What stands below one of its slices."""
        return slice_caption(self, case, drawn)

    # ---- errors, usage, pins

    def counts(self, counts: Mapping[str, int], prefix: str = "") -> list[tuple[str, str, str]]:
        """(words, count, share) per code, largest first; codes without words of their own stand as they are."""
        total = sum(counts.values())
        ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [
            (self.t(prefix + code) if prefix else code, f"{count:,}", percent(count / total)) for code, count in ordered
        ]

    def reasons(self) -> dict[str, int]:
        """Reason -> answers that were not simply scored."""
        totals: dict[str, int] = {}
        for dataset in self.summary.datasets:
            for part in dataset.parts:
                for reason, count in part.by_reason.items():
                    totals[reason] = totals.get(reason, 0) + count
        return totals

    def usage(self) -> list[tuple[str, str]]:
        """(what, number) of what the run took."""
        return usage_rows(self)

    def pins(self) -> list[tuple[str, str]]:
        """(what, value) of everything that decides what was measured."""
        return pin_rows(self)

    def command(self) -> str:
        """The command that asks the same again."""
        return command_line(self.summary.pins, self._judges_again())

    def judge_files(self) -> list[tuple[str, str]]:
        """(what it is, content) of each judge file that the command names."""
        files = judge_files(self._judges_again())
        return [(self.t("repeat_judge", name=name), content) for name, content in files.items()]

    def _judges_again(self) -> list[JudgePins]:
        return [use.judge for use in self.summary.judges if not use.left_out]


def _unparsed(parts: Sequence[PartFigures]) -> str:
    unparsed = sum(part.by_status.get("unparsed", 0) for part in parts)
    read = unparsed + sum(part.by_status.get("scored", 0) for part in parts)
    return percent(unparsed / read) if read else NOTHING
