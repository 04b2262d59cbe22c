"""The only training loop: a stack of models of one architecture, trained as one batch.

Models differ in data, seed, start and lambdas; they share the architecture, the forms of the terms and the plan. Every
random choice follows from the seed of a model and the number of the epoch, so that a model trains alike (to rounding)
alone or in any stack, and a run that was killed goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invarmr.errors import InputError
from invarmr.nn.adamw import StackedAdamW
from invarmr.nn.batches import EpochBatches, StackData
from invarmr.nn.checkpoint import load_checkpoint, save_checkpoint
from invarmr.nn.history import History
from invarmr.nn.kernels import mmd_squared
from invarmr.nn.networks import Architecture, encode, initial_parameters, views
from invarmr.nn.objective import LossParts, Objective, Weights, loss_parts, total_loss
from invarmr.nn.schedules import Plateau, Schedule, cosine_rate

__all__ = ["Plan", "StackTask", "TrainedStack", "resolve_device", "train_stack"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long and how fast to train.

    Parameters
    ----------
    epochs
        Passes over the largest environment.
    batch
        Rows per environment in a step.
    learning_rate, weight_decay, clip
        Of AdamW; `clip` bounds the norm of a model's gradient.
    schedule
        `constant`; `plateau`: halved after 20 epochs in which the training loss fell by less than 1e-4 of itself;
        `cosine`: down to zero at the last epoch.
    penalty_delay
        Share of the epochs in which invariance and independence do not count yet; they come in linearly over as many
        epochs again. 0: they count in full from the start, as published.
    validate_every
        Epochs between measurements on the validation people; the last `n_last` epochs are all measured.
    n_last
        Epochs over which the validation MMD is averaged for the choice among models.
    """

    epochs: int
    batch: int = 500
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip: float = 1.0
    schedule: Schedule = "constant"
    penalty_delay: float = 0.0
    validate_every: int = 20
    n_last: int = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class StackTask:
    """One model of a stack.

    Parameters
    ----------
    data
        Position of its data set in the list given to `train_stack`.
    seed
        Of its start and its batches.
    invariance, independence, relevance, entropy
        The lambdas.
    start
        (P,) parameters to start from; None: random.
    """

    data: int
    seed: int
    invariance: float = 1.0
    independence: float = 1.0
    relevance: float = 0.0
    entropy: float = 0.01
    start: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class TrainedStack:
    """What training returns: parameters (M, P) after the last epoch, the record of the losses, and failures.

    `failures[i]` says, for a model whose loss became infinite or NaN, in which epoch and in which term; such a model's
    parameters are of no use.
    """

    parameters: NDArray[np.float32]
    history: History
    failures: dict[int, str]


def resolve_device(device: str) -> torch.device:
    """`cpu`, `cuda` or `cuda:1`, where it is there.

    Raises
    ------
    InputError
        An unknown name, or a GPU where none is.
    """
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"device must be 'cpu' or 'cuda' (or 'cuda:1' and so on), but is {device!r}.") from error
    if resolved.type not in ("cpu", "cuda"):
        raise InputError(f"device must be 'cpu' or 'cuda' (or 'cuda:1' and so on), but is {device!r}.")
    if resolved.type == "cuda":
        count = torch.cuda.device_count()
        if (resolved.index or 0) >= count:
            raise InputError(f"device {device!r} was asked for, but torch sees {count} GPUs here. Use device='cpu'.")
    return resolved


def train_stack(
    architecture: Architecture,
    objective: Objective,
    plan: Plan,
    data: Sequence[StackData],
    tasks: Sequence[StackTask],
    *,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 50,
) -> TrainedStack:
    """Train all models of `tasks` as one batch.

    Parameters
    ----------
    architecture, objective, plan
        Shared by all models.
    data
        Data sets with equally many environments and steps per epoch.
    tasks
        The models; those that share data and seed are cheapest side by side.
    device
        `cpu` or `cuda`.
    progress
        Called with (epochs done, epochs) after each epoch.
    checkpoint
        File to which the state goes every `checkpoint_every` epochs, and from which a run that was killed goes on.

    Raises
    ------
    InputError
        No such device, or a checkpoint of another run.
    """
    with one_thread():
        return _train(
            architecture, objective, plan, data, tasks, resolve_device(device), progress, checkpoint, checkpoint_every
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with a single thread: operations this small only wait for a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _train(
    architecture: Architecture,
    objective: Objective,
    plan: Plan,
    data: Sequence[StackData],
    tasks: Sequence[StackTask],
    device: torch.device,
    progress: Callable[[int, int], None] | None,
    checkpoint: Path | None,
    checkpoint_every: int,
) -> TrainedStack:
    stack = _Stack(architecture, objective, plan, data, tasks, device)
    first = 0
    if checkpoint is not None and checkpoint.exists():
        first = load_checkpoint(checkpoint, stack.state(), stack.fingerprint())
        stack.optimiser.t = first * stack.batches.steps
    for epoch in range(first, plan.epochs):
        stack.train_epoch(epoch)
        if checkpoint is not None and ((epoch + 1) % checkpoint_every == 0 or epoch + 1 == plan.epochs):
            save_checkpoint(checkpoint, stack.state(), stack.fingerprint(), epoch + 1)
        if progress is not None:
            progress(epoch + 1, plan.epochs)
    return TrainedStack(
        stack.optimiser.theta.detach().cpu().numpy().astype(np.float32),
        stack.history,
        stack.history.failures(),
    )


class _Stack:
    """The state of a stack between epochs."""

    def __init__(
        self,
        architecture: Architecture,
        objective: Objective,
        plan: Plan,
        data: Sequence[StackData],
        tasks: Sequence[StackTask],
        device: torch.device,
    ) -> None:
        self.architecture, self.objective, self.plan, self.tasks = architecture, objective, plan, tasks
        self.batches = EpochBatches(data, [(task.data, task.seed) for task in tasks], plan.batch, device)
        self.weights = Weights(
            *(
                torch.tensor([getattr(task, name) for task in tasks], dtype=torch.float32, device=device)
                for name in Weights._fields
            )
        )
        starts = [
            initial_parameters(architecture, task.seed) if task.start is None else torch.from_numpy(task.start)
            for task in tasks
        ]
        self.optimiser = StackedAdamW(
            torch.stack(starts).to(device),
            learning_rate=plan.learning_rate,
            weight_decay=plan.weight_decay,
            clip=plan.clip,
        )
        self.history = History.empty(plan.epochs, len(tasks), plan.validate_every, plan.n_last)
        self.plateau = Plateau(len(tasks))

    def state(self) -> dict[str, Tensor]:
        """Everything that an epoch changes, as tensors that share memory with it (CPU) or are copied back (GPU)."""
        o = self.optimiser
        own = {"theta": o.theta.detach(), "m": o.m, "v": o.v, "lr": o.lr}
        arrays = {"best": self.plateau.best, "waited": self.plateau.waited, **self.history.arrays()}
        return own | {name: torch.from_numpy(array) for name, array in arrays.items()}

    def fingerprint(self) -> dict[str, object]:
        """What a checkpoint must agree with to be of this run."""
        return {
            "architecture": repr(self.architecture),
            "objective": repr(self.objective),
            "plan": repr(self.plan),
            "tasks": [
                [task.data, task.seed, task.invariance, task.independence, task.relevance, task.entropy]
                for task in self.tasks
            ],
            "data": self.batches.digest(),
            "starts": [
                None if task.start is None else hashlib.sha256(task.start.tobytes()).hexdigest() for task in self.tasks
            ],
        }

    def train_epoch(self, epoch: int) -> None:
        """All steps of an epoch, its mean losses, and where due the measurements on validation people."""
        self._set_rate(epoch)
        steps = self.batches.draw(epoch)
        weights = self._weights(epoch)
        record = torch.zeros(len(LossParts._fields), len(self.tasks), device=self.optimiser.theta.device)
        for Z, exposure in steps:
            theta = views(self.architecture, self.optimiser.theta)
            parts = loss_parts(self.objective, self.architecture, theta, Z, exposure, self.batches.n_environments)
            loss = total_loss(parts, weights).sum()
            (gradient,) = torch.autograd.grad(loss, [self.optimiser.theta])
            self.optimiser.step(gradient)
            record += torch.stack(parts).detach()
        parts = LossParts(*(record / len(steps)))
        self.history.add(epoch, torch.stack(parts).cpu().numpy(), total_loss(parts, weights).cpu().numpy())
        if self.history.due(epoch):
            self.history.add_validation(epoch, *self._validate())

    def _weights(self, epoch: int) -> Weights:
        delay = self.plan.penalty_delay * self.plan.epochs
        share = 1.0 if delay == 0 else min(max(epoch / delay - 1, 0.0), 1.0)
        w = self.weights
        return w._replace(invariance=share * w.invariance, independence=share * w.independence)

    def _set_rate(self, epoch: int) -> None:
        if self.plan.schedule == "cosine":
            self.optimiser.lr.fill_(cosine_rate(self.plan.learning_rate, epoch, self.plan.epochs))
        elif self.plan.schedule == "plateau" and epoch:
            factors = self.plateau.factors(self.history.total[epoch - 1])
            self.optimiser.lr.mul_(torch.from_numpy(factors).to(self.optimiser.lr)[:, None])

    @torch.no_grad()
    def _validate(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """MMD^2 of W^ between environments on validation people, as trained and of whitened W^ (polynomial 2)."""
        q = self.architecture.n_confounded
        raw, whitened = np.zeros((2, len(self.tasks)), dtype=np.float32)
        theta = views(self.architecture, self.optimiser.theta)
        for models, Z, sizes in self.batches.validation():
            own = {name: value[models] for name, value in theta.items()}
            chunks = [encode(self.architecture, own, part)[:, q:] for part in torch.split(Z, 4_096, -1)]
            W = torch.cat(chunks, dim=-1)
            raw[models] = mmd_squared(W, sizes, self.objective.invariance_kernel).cpu().numpy()
            whitened[models] = mmd_squared(W, sizes, "polynomial2", scale_invariant=True).cpu().numpy()
        return raw, whitened
