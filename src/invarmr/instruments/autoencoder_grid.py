"""Train many autoencoders (lambdas x seeds x data sets x sizes): models of one shape as one batch.

A grid is a list of jobs. Jobs of equal shape (architecture, kernels, plan, environments, steps) are put into stacks,
those that share data and seed side by side; what comes back is in the order of the jobs.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from invarmr.arrays import FloatArray
from invarmr.data.moments import EnvironmentMoments
from invarmr.errors import InputError, InvarmrError
from invarmr.instruments.autoencoder_encoder import Encoder
from invarmr.instruments.autoencoder_jobs import AutoencoderJob, PreparedJobs, by_environment
from invarmr.instruments.autoencoder_settings import AutoencoderSettings
from invarmr.instruments.stationary_system import solve_stationary
from invarmr.nn.batches import steps_per_epoch
from invarmr.nn.history import History
from invarmr.nn.kernels import mmd_squared
from invarmr.nn.networks import Architecture
from invarmr.nn.objective import Objective
from invarmr.nn.training import Plan, StackTask, resolve_device, train_stack

__all__ = [
    "TrainedAutoencoder",
    "choose_model",
    "choose_restart",
    "lambda_grid",
    "train_grid",
]

STACK_SIZE = 12
"""Models trained as one batch on a CPU: more no longer fit its cache. A GPU takes `GPU_STACK_SIZE`."""
GPU_STACK_SIZE = 512
LAMBDA_INVARIANCE = (1.0, 5.0, 10.0)
LAMBDA_INDEPENDENCE = (0.0, 1.0, 5.0, 10.0)
"""The published grid."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedAutoencoder:
    """A trained model.

    Parameters
    ----------
    settings, seed
        Of its job; of several starts, the seed of the one that was kept.
    encoder
        The learned map (numpy).
    validation_mmd, validation_mmd_whitened
        MMD^2 of W^ between environments on the validation people, averaged over the last epochs: as trained, and of
        whitened W^ (polynomial kernel of degree 2), which alone compares models of different lambdas. With a stationary
        split: of the W^ after it.
    history
        The loss term by term at every epoch.
    seconds
        Wall time of its stack divided by the models in it; over all starts.
    failure
        Why it is of no use (its loss stopped being finite); None where it trained.
    """

    settings: AutoencoderSettings
    seed: int
    encoder: Encoder
    validation_mmd: float
    validation_mmd_whitened: float
    history: History
    seconds: float
    failure: str | None = None

    def encode(self, instrument: FloatArray) -> tuple[FloatArray, FloatArray]:
        """V^ (n, q) and W^ (n, p) of instruments (n, d).

        Raises
        ------
        InvarmrError
            The model failed to train.
        """
        if self.failure is not None:
            raise InvarmrError(f"This autoencoder did not train: {self.failure}.")
        return self.encoder.encode(instrument)


def lambda_grid(
    settings: AutoencoderSettings,
    *,
    invariance: Sequence[float] = LAMBDA_INVARIANCE,
    independence: Sequence[float] = LAMBDA_INDEPENDENCE,
) -> list[AutoencoderSettings]:
    """The same settings at every pair of lambdas."""
    return [replace(settings, lambda_invariance=i, lambda_independence=j) for i in invariance for j in independence]


def choose_model(models: Sequence[TrainedAutoencoder], *, rule: str = "paper") -> int:
    """Which model to report: the least validation MMD over the last epochs, models without independence left out.

    `paper`: MMD as trained; `scale_invariant`: of whitened W^.

    Raises
    ------
    InputError
        No model is left to choose from.
    """
    if rule not in ("paper", "scale_invariant"):
        raise InputError(f"rule must be 'paper' or 'scale_invariant', but is {rule!r}.")
    allowed = [i for i, m in enumerate(models) if m.failure is None and m.settings.lambda_independence > 0]
    if not allowed:
        reasons = "; ".join(sorted({m.failure for m in models if m.failure})) or "all have lambda_independence = 0"
        raise InputError(f"No trained model is left to choose from: {reasons}.")
    name = "validation_mmd" if rule == "paper" else "validation_mmd_whitened"
    return min(allowed, key=lambda i: float(getattr(models[i], name)))


def choose_restart(models: Sequence[TrainedAutoencoder]) -> int:
    """Which of several models of the same settings and data to keep: the least objective over the last epochs.

    A start that ends in a poor minimum shows there by its reconstruction.
    """
    trained = [i for i, model in enumerate(models) if model.failure is None] or [0]
    return min(trained, key=lambda i: float(models[i].history.total[-models[i].history.n_last :].mean()))


def train_grid(
    jobs: Sequence[AutoencoderJob],
    *,
    device: str = "cpu",
    stack_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 50,
) -> list[TrainedAutoencoder]:
    """Train all jobs; the models in the order of the jobs.

    Parameters
    ----------
    jobs
        The models.
    device
        `cpu` or `cuda`.
    stack_size
        Largest number of models in a batch; None: 12 on a CPU, 512 on a GPU.
    progress
        Called with (model epochs done, model epochs in all) after each epoch of each stack.
    checkpoint
        Folder for the states of the stacks; a run that was killed goes on from there.
    checkpoint_every
        Epochs between two states.

    Raises
    ------
    InputError
        Settings that do not fit the data (one environment, more columns than instruments, a batch larger than an
        environment, no exposure where `lambda_relevance` is positive), or a GPU where none is.
    """
    starts = [_starts(job) for job in jobs]
    models = iter(
        _train_all(
            [start for group in starts for start in group], device, stack_size, progress, checkpoint, checkpoint_every
        )
    )
    out = []
    for group in starts:
        tried = [next(models) for _ in group]
        out.append(replace(tried[choose_restart(tried)], seconds=sum(model.seconds for model in tried)))
    return out


_BETWEEN_STARTS = 1_000_003
"""Added to a job's seed for each further start."""


def _starts(job: AutoencoderJob) -> list[AutoencoderJob]:
    further = [replace(job, seed=job.seed + k * _BETWEEN_STARTS, start=None) for k in range(1, job.settings.n_restarts)]
    return [job, *further]


def _train_all(
    jobs: Sequence[AutoencoderJob],
    device: str,
    stack_size: int | None,
    progress: Callable[[int, int], None] | None,
    checkpoint: Path | None,
    checkpoint_every: int,
) -> list[TrainedAutoencoder]:
    """Every job once, in stacks."""
    kind = resolve_device(device).type
    limit = stack_size or (STACK_SIZE if kind == "cpu" else GPU_STACK_SIZE)
    prepared = PreparedJobs()
    stacks: dict[tuple[Architecture, Objective, Plan, tuple[int, int]], list[int]] = defaultdict(list)
    for i, job in enumerate(jobs):
        data = prepared.add(job)
        sizes = data.sizes
        plan = job.settings.plan(len(sizes))
        steps = steps_per_epoch(sizes, plan.batch)
        key = (job.settings.architecture(data.Z.shape[1]), job.settings.objective(), plan, (len(sizes), steps))
        stacks[key].append(i)
    total = sum(key[2].epochs * len(members) for key, members in stacks.items())
    done, out = 0, dict[int, TrainedAutoencoder]()
    for (architecture, objective, plan, _), everyone in stacks.items():
        ordered = sorted(everyone, key=lambda i: (prepared.index(jobs[i]), jobs[i].seed))
        for number, members in enumerate(_chunks(ordered, limit)):
            started, before = time.perf_counter(), done

            def report(epoch: int, _: int, before: int = before, size: int = len(members)) -> None:
                if progress is not None:
                    progress(before + epoch * size, total)

            tasks = [_task(jobs[i], prepared.index(jobs[i])) for i in members]
            file = None if checkpoint is None else checkpoint / f"stack_{everyone[0]}_{number}.safetensors"
            fit = train_stack(
                architecture,
                objective,
                plan,
                prepared.data,
                tasks,
                device=device,
                progress=report,
                checkpoint=file,
                checkpoint_every=checkpoint_every,
            )
            seconds = (time.perf_counter() - started) / len(members)
            for k, i in enumerate(members):
                encoder = prepared.encoder(jobs[i], architecture, fit.parameters[k])
                out[i] = _trained(jobs[i], encoder, fit.history.of_model(k), seconds, fit.failures.get(k))
            done += plan.epochs * len(members)
    return [out[i] for i in range(len(jobs))]


def _trained(
    job: AutoencoderJob, encoder: Encoder, history: History, seconds: float, failure: str | None
) -> TrainedAutoencoder:
    raw, whitened = (float(value[0]) for value in history.last_validation())
    if job.settings.stationary_split and failure is None:
        encoder = _split(encoder, job)
        order, sizes = by_environment(job.validation_environment)
        W = torch.from_numpy(encoder.encode(job.validation_instrument[order])[1].T.copy())
        raw = float(mmd_squared(W, sizes, job.settings.invariance_kernel))
        whitened = float(mmd_squared(W, sizes, "polynomial2", scale_invariant=True))
    return TrainedAutoencoder(
        settings=job.settings,
        seed=job.seed,
        encoder=encoder,
        validation_mmd=raw,
        validation_mmd_whitened=whitened,
        history=history,
        seconds=seconds,
        failure=failure,
    )


def _split(encoder: Encoder, job: AutoencoderJob) -> Encoder:
    """The encoder with its features recombined: the last columns, W^, vary least between environments."""
    features = encoder.apply(np.asarray(job.instrument, dtype=np.float64))
    moments = EnvironmentMoments.from_arrays(
        features,
        np.asarray(job.environment),
        columns=[f"instrument:{name}" for name in encoder.feature_names],
        environments=[str(e) for e in range(int(np.max(job.environment)) + 1)],
    )
    basis = solve_stationary(moments, within=False).basis
    if basis.shape[1] < basis.shape[0]:
        return encoder  # features without variance: there is nothing to recombine
    p = encoder.n_latent
    return encoder.recombined(moments.grand_mean(), np.hstack([basis[:, p:], basis[:, :p]]))


def _chunks(members: list[int], limit: int) -> list[list[int]]:
    return [members[start : start + limit] for start in range(0, len(members), limit)]


def _task(job: AutoencoderJob, data: int) -> StackTask:
    s = job.settings
    return StackTask(
        data=data,
        seed=job.seed,
        invariance=s.lambda_invariance,
        independence=s.lambda_independence,
        relevance=s.lambda_relevance,
        entropy=s.lambda_entropy,
        start=None if job.start is None else np.asarray(job.start, dtype=np.float32),
    )
