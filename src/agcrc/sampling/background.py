"""Centres of the coming epoch, reckoned while the current one trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from agcrc.errors import WorkError
from agcrc.sampling.case import Centres, PatchSampler, SamplingCase


class BackgroundCentres:
    """Reckons centres in a thread of its own.

    One thread, so that the epochs of a case come in order and the result is the same as without it. numpy and scipy
    let go of the interpreter in the heavy parts.

        with BackgroundCentres(sampler, load, count=8) as centres:
            centres.prepare(0, names)
            for epoch in range(epochs):
                places = centres.take(epoch)
                centres.prepare(epoch + 1, names)
                ...
    """

    def __init__(self, sampler: PatchSampler, load: Callable[[str], SamplingCase], *, count: int) -> None:
        """Prepare for patches.

        Args:
            sampler: Asked from the thread only, but for `state`.
            load: Gives a case by name; called in the thread, one case at a time is held.
            count: Patches per case and epoch.
        """
        self._sampler = sampler
        self._load = load
        self._count = count
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sampling")
        self._epochs: dict[int, dict[str, Future[Centres]]] = {}

    def prepare(self, epoch: int, names: Sequence[str]) -> None:
        """Begin with the centres of an epoch's cases, and return at once."""
        self._epochs[epoch] = {name: self._pool.submit(self._centres, name, epoch) for name in names}

    def take(self, epoch: int) -> dict[str, Centres]:
        """The centres of a prepared epoch by case, in the order of their names in `prepare`; waits for them.

        Raises:
            WorkError: The epoch was not prepared, or was taken before.
            InputError: A case can't be loaded or sampled.
        """
        if epoch not in self._epochs:
            raise WorkError(f"The centres of epoch {epoch} were not prepared: call prepare({epoch}, names) first.")
        return {name: future.result() for name, future in self._epochs.pop(epoch).items()}

    def close(self) -> None:
        """End the thread; what it has not begun is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> BackgroundCentres:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _centres(self, name: str, epoch: int) -> Centres:
        return self._sampler.centres(self._load(name), self._count, epoch)
