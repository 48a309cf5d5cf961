"""The anatomy-guided sampler (specs/agcrc.md, section 2; our reading of AG-CRC, arXiv 2310.04677)."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from agcrc.errors import InputError, Problem
from agcrc.sampling.baselines import require_sampler
from agcrc.sampling.case import Centres, SamplingCase
from agcrc.sampling.importance import block_sums, importance
from agcrc.sampling.lattice import Lattice, lattice_of
from agcrc.sampling.patches import centres_of, generator, require_patch, require_request
from agcrc.sampling.residual import Residual, exposure
from agcrc.sampling.selection import Selection, draw_by_gain, lazy_greedy
from agcrc.sampling.settings import GainSettings
from agcrc.volumes import Triple

_FORGOTTEN = 0.01
"""An epoch of which less than this share is remembered is dropped."""
_SPARE = 4
"""Epochs kept beyond that, since a resumed run may ask again for epochs that were prepared ahead."""


class GuidedSampler:
    """Chooses patches by what they add to what was seen of the organ and its lesions.

    Per case and epoch one set for all ranks is chosen on the residual map; rank r gets its patches r, r + ranks, ... in
    order of choice. So ranks never share a patch, provided that each asks for every case and epoch with the same count
    (only when a volume has fewer candidates than patches asked for do some repeat). The residual map starts from what
    the earlier epochs left, so coverage spreads.

    Where no patch (any more) touches any importance, as without OOI and lesion, patches are drawn uniformly from the
    candidates.

    The importance of each case is reckoned once and kept on the coarse grid (370 kB at 192 x 160 x 192), so a case's
    lesion, OOI and distances must not change; hard negatives may.
    """

    name = "guided"

    def __init__(
        self,
        patch: Triple,
        *,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        settings: GainSettings = GainSettings(),  # noqa: B008 - frozen
    ) -> None:
        if not 0 <= rank < ranks:
            raise InputError(Problem(f"Rank {rank} of {ranks}.", "Ranks count from 0 and lie below their number."))
        self._patch = require_patch(patch)
        self._seed = seed
        self._rank = rank
        self._ranks = ranks
        self._settings = settings
        memory = settings.memory
        self._window = int(math.log(_FORGOTTEN) / math.log(memory)) if memory > 0 else 0
        self._lock = threading.Lock()
        self._history: dict[str, dict[int, list[int]]] = {}
        self._weights: dict[str, tuple[Triple, NDArray[np.float32]]] = {}

    def centres(self, case: SamplingCase, count: int, epoch: int) -> Centres:
        """See `PatchSampler`.

        Asking again for the same epoch gives the same centres.

        Raises:
            InputError: The epoch lies so far back that the ones before it are forgotten.
        """
        require_request(count, epoch)
        candidates = self.select(case, count * self._ranks, epoch).candidates
        with self._lock:
            self._remember(case.name, epoch, candidates.tolist())
        lattice = self._lattice(case)
        # Each rank's own stream: the ranks' candidates differ, so their centres do whatever the jitter.
        starts = lattice.jittered(candidates[self._rank :: self._ranks], self._random(case, epoch, 1 + self._rank))
        return centres_of(starts, case.shape, self._patch)

    def select(self, case: SamplingCase, count: int, epoch: int) -> Selection:
        """The candidates of an epoch for all ranks together; nothing is remembered."""
        settings, lattice = self._settings, self._lattice(case)
        random = self._random(case, epoch, 0)
        profile = {"absorbed": settings.absorbed, "margin_profile": settings.margin_profile}
        weights = self._importance(case, lattice)
        weights *= exposure(lattice, self._earlier(case, lattice, epoch), **profile)
        residual = Residual(weights, lattice, **profile)
        parts: list[Selection] = []
        missing = count
        while missing > 0:
            part = self._select_once(residual, lattice, min(missing, lattice.size), random)
            parts.append(part)
            missing -= len(part.candidates)
        return Selection(
            np.concatenate([part.candidates for part in parts] or [np.empty(0, dtype=np.int64)]),
            np.concatenate([part.gains for part in parts] or [np.empty(0)]),
            residual.evaluations,
        )

    def state(self) -> dict[str, object]:
        """The candidates chosen in the epochs that are still remembered."""
        with self._lock:
            history = {
                name: [[epoch, list(candidates)] for epoch, candidates in sorted(epochs.items())]
                for name, epochs in sorted(self._history.items())
            }
        return {"sampler": self.name, "patch": list(self._patch), "history": history}

    def restore(self, state: Mapping[str, object]) -> None:
        """See `PatchSampler`."""
        require_sampler(state, self.name)
        if state.get("patch") != list(self._patch):
            raise InputError(
                Problem(
                    f"The sampler's state is for patches of {state.get('patch')} voxels, not {list(self._patch)}.",
                    "Resume with the plan that the run was started with.",
                )
            )
        history = _read_history(state.get("history"))
        with self._lock:
            self._history = history

    def _lattice(self, case: SamplingCase) -> Lattice:
        return lattice_of(case.shape, self._patch, self._settings.coarsening, self._settings.central_share)

    def _random(self, case: SamplingCase, epoch: int, stream: int) -> np.random.Generator:
        return generator(self._seed, case.name, epoch, stream)

    def _importance(self, case: SamplingCase, lattice: Lattice) -> NDArray[np.float64]:
        known = self._weights.get(case.name)
        if known is None:
            sums = block_sums(importance(case, self._settings), lattice.factor, lattice.cells)
            known = self._weights[case.name] = (case.shape, sums.astype(np.float32))
        if known[0] != case.shape:
            raise InputError(
                Problem(f"Two cases are called {case.name}, of shapes {known[0]} and {case.shape}.", "Rename one.")
            )
        weights = known[1].astype(np.float64)
        if case.hard is not None and self._settings.hard_weight > 0:
            if not (case.hard.min() >= 0 and case.hard.max() <= 1):
                raise InputError(Problem(f"Case {case.name}: hard negatives lie outside [0, 1].", "Validate anew."))
            weights += self._settings.hard_weight * block_sums(case.hard, lattice.factor, lattice.cells)
        return weights

    def _select_once(self, residual: Residual, lattice: Lattice, count: int, random: np.random.Generator) -> Selection:
        """`count` different candidates; uniform draws once none with any importance is left."""
        settings = self._settings
        if settings.choice == "greedy":
            found = lazy_greedy(residual, lattice, count, settings.diversity)
        else:
            found = draw_by_gain(
                residual,
                lattice,
                count,
                settings.diversity,
                choice=settings.choice,
                temperature=settings.temperature,
                random=random,
            )
        missing = count - len(found.candidates)
        if missing == 0:
            return found
        free = np.setdiff1d(np.arange(lattice.size), found.candidates, assume_unique=True)
        drawn = random.choice(free, missing, replace=False)
        gains = np.concatenate([found.gains, np.zeros(missing)])
        return Selection(np.concatenate([found.candidates, drawn]), gains, found.evaluations)

    def _earlier(self, case: SamplingCase, lattice: Lattice, epoch: int) -> list[tuple[float, list[int]]]:
        """Remembered share and candidates of the epochs before, oldest first."""
        name = case.name
        with self._lock:
            epochs = dict(self._history.get(name, {}))
        first = max(0, epoch - self._window)
        newest = max(epochs, default=0)
        if epoch > 0 and first < newest - self._window - _SPARE:
            raise InputError(
                Problem(
                    f"Epoch {epoch} of case {name} is asked for after epoch {newest}; what came before is forgotten.",
                    "Restore a sampler state of that time.",
                )
            )
        memory = self._settings.memory
        if any(not 0 <= candidate < lattice.size for chosen in epochs.values() for candidate in chosen):
            raise InputError(
                Problem(
                    f"The sampler's state holds patches that case {name} of shape {case.shape} does not have.",
                    "Resume with the data that the run was started with.",
                )
            )
        return [(memory ** (epoch - then), epochs[then]) for then in sorted(epochs) if first <= then < epoch]

    def _remember(self, name: str, epoch: int, candidates: list[int]) -> None:
        epochs = self._history.setdefault(name, {})
        epochs[epoch] = candidates
        oldest = max(epochs) - self._window - _SPARE
        for then in [then for then in epochs if then < oldest]:
            del epochs[then]


def _read_history(history: object) -> dict[str, dict[int, list[int]]]:
    """History out of JSON.

    Raises:
        InputError: It is not of that form.
    """
    try:
        found = {
            str(name): {int(epoch): [int(candidate) for candidate in candidates] for epoch, candidates in epochs}
            for name, epochs in history.items()  # type: ignore[attr-defined]
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            Problem(f"The sampler's state is damaged: {error}.", "Resume from an earlier checkpoint.")
        ) from error
    return found
