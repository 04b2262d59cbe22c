"""AdamW for a stack of models: one flat tensor, gradients clipped and rates set model by model.

Symbols: theta, m, v (M, P); lr (M, 1); t steps made. The update of every row is that of torch.optim.AdamW after
torch.nn.utils.clip_grad_norm_ on that model alone. Source: Loshchilov & Hutter (2019), ICLR.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["StackedAdamW"]

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class StackedAdamW:
    """Parameters (M, P) with their optimiser state.

    Parameters
    ----------
    theta
        (M, P) start; becomes the leaf that gradients are taken of.
    learning_rate, weight_decay
        Decoupled decay of every parameter, biases included, as torch's default.
    clip
        Largest Euclidean norm of a model's gradient.
    """

    def __init__(self, theta: Tensor, *, learning_rate: float, weight_decay: float, clip: float) -> None:
        self.theta = theta.clone().requires_grad_()
        self.m, self.v = torch.zeros_like(theta), torch.zeros_like(theta)
        self.lr = torch.full((len(theta), 1), learning_rate, dtype=theta.dtype, device=theta.device)
        self.t = 0
        self._decay, self._clip = weight_decay, clip

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """One update from the gradient (M, P) of the sum of the models' losses."""
        self.t += 1
        norm = gradient.square().sum(1, keepdim=True).sqrt_()
        gradient = gradient * (self._clip / (norm + 1e-6)).clamp_max_(1.0)
        self.m.lerp_(gradient, 1 - _BETA1)
        self.v.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        denominator = self.v.sqrt().mul_(1 / math.sqrt(1 - _BETA2**self.t)).add_(_EPSILON)
        self.theta.mul_(1 - self._decay * self.lr)
        self.theta.sub_(self.m / denominator * (self.lr / (1 - _BETA1**self.t)))
