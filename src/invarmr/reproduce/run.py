"""Run a plan: units that are not in the table yet, in worker processes, each written down as it ends.

A run that was broken off goes on where it stopped: what is in `replicates.tsv` is not run again, and autoencoders in
training go on from their checkpoints.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from invarmr.errors import InputError
from invarmr.reproduce.plan import NEURAL, Scale, Unit, expected_seconds, in_words
from invarmr.reproduce.replicate import UnitResult, run_autoencoders, run_unit
from invarmr.reproduce.tidy_table import Store

__all__ = ["MODELS_AT_ONCE", "run_units", "unfinished"]

MODELS_AT_ONCE = {"cpu": 12, "cuda": 2_048}
"""Autoencoders given to one call of `train_grid`, at least one unit whole."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_Task = tuple[Callable[[], list[UnitResult]], list[Unit]]


def unfinished(units: Sequence[Unit], store: Store, scale: Scale) -> list[Unit]:
    """Units that lack a row in the table."""
    have = store.keys()
    return [unit for unit in units if not unit.keys(scale) <= have]


def run_units(
    units: Sequence[Unit],
    store: Store,
    scale: Scale,
    *,
    workers: int = 1,
    device: str = "cpu",
    models_at_once: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Run units and add what they give to the store.

    Parameters
    ----------
    units
        What to run, in this order.
    store
        Where the rows go, after each unit (autoencoders: after each call of `train_grid`).
    scale
        Sizes and grid.
    workers
        Processes, each with one thread; 1: this process alone.
    device
        Of the autoencoders. On a GPU they are trained by this process, one call after the other, and the workers
        share the evaluation of what was trained.
    models_at_once
        Autoencoders in one call of `train_grid`; default `MODELS_AT_ONCE`.
    say
        Takes a line of progress.

    Raises
    ------
    InputError
        Fewer than one worker; what a learner refuses.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, but is {workers}.")
    kind = device.split(":")[0]
    limit = models_at_once or MODELS_AT_ONCE.get(kind, MODELS_AT_ONCE["cpu"])
    spare = workers if kind == "cuda" else 1  # on a CPU the workers are busy with chunks of their own
    neural = [unit for unit in units if unit.learner in NEURAL]
    others: list[_Task] = [(partial(_one, unit, scale), [unit]) for unit in units if unit.learner not in NEURAL]
    chunks: list[_Task] = [
        (partial(_chunk, chunk, scale, device, _checkpoint(store.out, chunk, scale), spare), chunk)
        for learner in NEURAL[::-1]
        for chunk in _chunks([unit for unit in neural if unit.learner == learner], scale, limit)
    ]
    watch = _Watch(units, scale, say)
    with _one_thread_each():
        apart = [] if workers == 1 else others if kind == "cuda" else [*others, *chunks]
        if apart:
            _in_processes(apart, store, scale, workers, watch)
        for task in [*others, *chunks][len(apart) :]:
            _take(task, task[0](), store, scale, watch)
    with suppress(OSError):
        (store.out / "checkpoints").rmdir()  # where nothing but our own, each removed as it was done, was there


def _in_processes(tasks: Sequence[_Task], store: Store, scale: Scale, workers: int, watch: _Watch) -> None:
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    waiting: dict[Future[list[UnitResult]], _Task] = {}
    coming = iter(tasks)
    try:
        while True:
            while len(waiting) < workers and (task := next(coming, None)) is not None:
                waiting[pool.submit(task[0])] = task
            if not waiting:
                return
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                _take(waiting.pop(future), future.result(), store, scale, watch)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _take(task: _Task, results: list[UnitResult], store: Store, scale: Scale, watch: _Watch) -> None:
    """Write down what a task gave, and drop its checkpoints."""
    _, units = task
    store.add([row for item in results for row in item.rows], [row for item in results for row in item.models])
    if units[0].learner in NEURAL:
        shutil.rmtree(_checkpoint(store.out, units, scale), ignore_errors=True)
    watch.ended(units)


def _one(unit: Unit, scale: Scale) -> list[UnitResult]:
    return [run_unit(unit, scale)]


def _chunk(units: Sequence[Unit], scale: Scale, device: str, checkpoint: Path, workers: int) -> list[UnitResult]:
    checkpoint.mkdir(parents=True, exist_ok=True)
    return run_autoencoders(units, scale, device=device, checkpoint=checkpoint, workers=workers)


def _chunks(units: Sequence[Unit], scale: Scale, limit: int) -> Iterator[list[Unit]]:
    """Whole units, about `limit` models at a time.

    Where several units fit, they are one design's at neighbouring seeds: models of one shape train as one batch.
    """
    chunk: list[Unit] = []
    size = 0
    block = max(1, limit // max((len(unit.settings(scale)) for unit in units), default=1))
    place = {seed: number // block for number, seed in enumerate(dict.fromkeys(unit.seed for unit in units))}
    shape = {key: number for number, key in enumerate(dict.fromkeys(map(_shape, units)))}
    for unit in sorted(units, key=lambda unit: (place[unit.seed], shape[_shape(unit)])):
        count = len(unit.settings(scale))
        if chunk and size + count > limit:
            yield chunk
            chunk, size = [], 0
        chunk.append(unit)
        size += count
    if chunk:
        yield chunk


def _shape(unit: Unit) -> tuple[object, ...]:
    return unit.environments, unit.mixing, unit.n_latent, unit.options, unit.effects


def _checkpoint(out: Path, units: Sequence[Unit], scale: Scale) -> Path:
    name = hashlib.sha256(repr((list(units), scale)).encode()).hexdigest()[:16]
    return out / "checkpoints" / name


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Workers that are started now use one thread each."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


class _Watch:
    """Says what ended, how far the run is, and when it will be through, at most every few seconds."""

    def __init__(self, units: Sequence[Unit], scale: Scale, say: Callable[[str], None]) -> None:
        self._costs = {unit: expected_seconds(unit, scale) for unit in units}
        self._total, self._done, self._count = sum(self._costs.values()), 0.0, 0
        self._say, self._start, self._said = say, time.perf_counter(), float("-inf")

    def ended(self, units: Sequence[Unit]) -> None:
        """Some units are in the table."""
        self._count += len(units)
        self._done += sum(self._costs[unit] for unit in units)
        now = time.perf_counter()
        if now - self._said < _PAUSE and self._count < len(self._costs):
            return
        self._said = now
        left = (now - self._start) * (self._total - self._done) / max(self._done, 1e-9)
        last = units[-1]
        self._say(
            f"{self._count} of {len(self._costs)} replicates ({last.learner}, {last.mixing}, E = {last.environments}, "
            f"seed {last.seed}); about {in_words(left)} left"
        )


_PAUSE = 5.0
