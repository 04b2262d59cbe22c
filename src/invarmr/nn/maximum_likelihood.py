"""Maximum likelihood of a flow: L-BFGS on all rows at once, stopped early where held-out people stop gaining."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy import optimize
from torch import Tensor, nn

from invarmr.arrays import FloatArray
from invarmr.nn.flows import Flow

__all__ = ["held_out_likelihood", "maximise"]

_WORST = 1e10
"""Objective where a matrix is singular: the line search turns back."""
_CHECK_EVERY, _PATIENCE = 10, 3
_LEAST_GAIN = 1e-4


def maximise(
    flow: Flow, rows: Sequence[Tensor], *, iterations: int, validation: Sequence[Tensor] | None = None
) -> float:
    """Fit the parameters that require gradients, in place; the mean log density of the rows that was reached.

    Parameters
    ----------
    flow
        Left in evaluation mode, its law refitted to `rows`.
    rows
        (n_e, d) of every environment.
    iterations
        At most so many of L-BFGS.
    validation
        Rows of people not learned from: every 10 iterations their likelihood is taken; after three times without a
        gain the search stops, and the best parameters are put back.
    """
    parameters = [p for p in flow.parameters() if p.requires_grad]
    n = sum(len(z) for z in rows)
    watch = None if validation is None else _Watch(flow, validation)

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        _set(parameters, x)
        flow.train()
        try:
            loss = -torch.cat(flow(rows)).sum() / n
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]  # public, but not listed in its __all__
            return _WORST, np.zeros_like(x)
        if not torch.isfinite(loss):
            return _WORST, np.zeros_like(x)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
        return float(loss.detach()), _flat(filled)

    def look(x: FloatArray) -> None:
        if watch is not None and watch.stop(lambda: objective(x)[0]):
            raise StopIteration

    found = optimize.minimize(
        objective,
        _flat(parameters),
        jac=True,
        method="L-BFGS-B",
        callback=look,
        options={"maxiter": iterations, "maxcor": 20, "ftol": 1e-9, "gtol": 1e-6},
    )
    reached = objective(found.x)[0]
    flow.eval()
    if watch is None:
        return -reached
    watch.restore(-reached)
    return float(held_out_likelihood(flow, rows).mean())


class _Watch:
    """Held-out likelihood along the search, and the best flow so far."""

    def __init__(self, flow: Flow, validation: Sequence[Tensor]) -> None:
        self.flow, self.validation = flow, validation
        self.best, self.kept = -np.inf, copy.deepcopy(flow.state_dict())
        self.looks = self.since = 0

    def stop(self, refit: Callable[[], float]) -> bool:
        """Whether to stop; called after every iteration with what sets the flow to the present point."""
        self.looks += 1
        if self.looks % _CHECK_EVERY:
            return False
        refit()
        return self._judge() >= _PATIENCE

    def _judge(self) -> int:
        value = float(held_out_likelihood(self.flow, self.validation).mean())
        if value > self.best + _LEAST_GAIN:
            self.best, self.kept, self.since = value, copy.deepcopy(self.flow.state_dict()), 0
        else:
            self.since += 1
        return self.since

    def restore(self, reached: float) -> None:
        """Put the best parameters back, the present ones among them."""
        if np.isfinite(reached):
            self._judge()
        self.flow.load_state_dict(self.kept)


def held_out_likelihood(flow: Flow, rows: Sequence[Tensor]) -> FloatArray:
    """Log p(z | e) (n,) of people not learned from, environment after environment."""
    values: FloatArray = torch.cat(flow.likelihood(rows)).cpu().numpy()
    return values


def _flat(tensors: Sequence[Tensor]) -> FloatArray:
    return np.concatenate([t.detach().cpu().numpy().ravel() for t in tensors])


@torch.no_grad()
def _set(parameters: Sequence[nn.Parameter], x: FloatArray) -> None:
    start = 0
    for p in parameters:
        p.copy_(torch.from_numpy(x[start : start + p.numel()]).view(p.shape))
        start += p.numel()
