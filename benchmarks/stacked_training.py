"""Training many autoencoders as one batch, against one after the other with n x n kernels, as a ratio in one run.

    python benchmarks/stacked_training.py [--models 12] [--steps 20] [--mixing poly3] [--device cpu] [--threads 2]

invarmr: `train_stack` on a grid of lambdas, one thread. The other: the same objective written plainly from the paper,
`torch.nn` modules, kernel matrices of the batch (MMD from the blocks of K; HSIC the sum of the doubly centred K times L
over n^2, centred by means and not by matrix products), `torch.optim.AdamW`, `clip_grad_norm_`, one model after the
other, with `--threads` threads. Both start from the same parameters and see the same batches, and their losses are
compared: a fast wrong number is worth nothing. A model of the published study is 400 epochs of 20 steps.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import torch
from torch import Tensor, nn

from invarmr.instruments.autoencoder_grid import lambda_grid
from invarmr.instruments.autoencoder_jobs import standard_units
from invarmr.instruments.autoencoder_settings import AutoencoderSettings
from invarmr.nn.batches import EpochBatches, StackData
from invarmr.nn.networks import Architecture, initial_parameters, views
from invarmr.nn.training import StackTask, train_stack
from invarmr.simulate.latent import simulate_latent
from invarmr.simulate.latent_design import LatentDesign

STEPS_OF_A_MODEL = 400 * 20


def main() -> None:
    options = parse()
    degree = {"poly1": 1, "poly2": 2, "poly3": 3}[options.mixing]
    rows = 500 * max(1, options.steps // 2)
    settings = AutoencoderSettings(
        decoder="polynomial", decoder_degree=degree, width=options.width, epochs=2, n_last=1, validate_every=10
    )
    data = study(options.mixing, rows)
    grid = (lambda_grid(settings) * (-(-options.models // 12)))[: options.models]
    tasks = [
        StackTask(data=0, seed=1, invariance=one.lambda_invariance, independence=one.lambda_independence)
        for one in grid
    ]
    architecture = settings.architecture(data.Z.shape[1])
    steps = 2 * (rows // 500)

    seconds, fit = [], None
    for _ in range(options.repeats):
        started = time.perf_counter()
        fit = train_stack(architecture, settings.objective(), settings.plan(2), [data], tasks, device=options.device)
        seconds.append((time.perf_counter() - started) / steps / len(tasks))
    stacked = min(seconds)

    torch.set_num_threads(options.threads)
    losses, seconds = [], []
    for task in tasks[: options.plain_models]:
        started = time.perf_counter()
        losses.append(train_plainly(architecture, data, task, options.device))
        seconds.append((time.perf_counter() - started) / steps)
    plain = min(seconds)

    gap = np.abs(np.array(losses) / fit.history.total[0, : len(losses)] - 1).max()
    print(f"{len(tasks)} models, {options.mixing}, width {options.width}, 1,000 rows a step, {options.device}")
    for name, each in (("stacked, explicit features", stacked), ("one by one, n x n kernels", plain)):
        print(f"{name:27s} {1e3 * each:8.2f} ms a step and model, {60 / each / STEPS_OF_A_MODEL:8.3f} models a minute")
    print(f"ratio, one by one / stacked: {plain / stacked:.1f}")
    print(f"largest difference of the first epoch's loss: {100 * gap:.3f} %")
    if gap > 0.01:
        sys.exit("the losses differ")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=12)
    parser.add_argument("--plain-models", type=int, default=2, help="models to train one by one; the fastest counts")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--mixing", choices=("poly1", "poly2", "poly3"), default="poly3")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="threads of the plain loop")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def study(mixing: str, rows: int) -> StackData:
    parts = [
        simulate_latent(LatentDesign(mixing=mixing), seed=1, part=part, n_samples=rows)
        for part in ("training", "validation")
    ]
    center, units = standard_units(parts[0].instrument, "standardised")
    Z, validation = (((part.instrument - center) @ units).astype(np.float32) for part in parts)
    return StackData(Z=Z, sizes=(rows, rows), validation=validation, validation_sizes=(rows, rows))


class Plain(nn.Module):
    """The autoencoder as its description reads."""

    def __init__(self, a: Architecture, seed: int) -> None:
        super().__init__()
        d, h, r = a.n_instruments, a.width, a.n_latent + a.n_confounded
        self.q, self.degree = a.n_confounded, a.decoder_degree
        self.encoder = nn.Sequential(
            nn.Linear(d, h), nn.LayerNorm(h), nn.ReLU(), nn.Linear(h, h), nn.LayerNorm(h), nn.ReLU(), nn.Linear(h, r)
        )
        theta = views(a, initial_parameters(a, seed)[None])
        self.decoder = nn.Linear(theta["decoder.1.weight"].shape[2], d)
        with torch.no_grad():
            layers = (self.encoder[0], "encoder.1"), (self.encoder[3], "encoder.2"), (self.encoder[6], "encoder.3")
            for layer, name in (*layers, (self.decoder, "decoder.1")):
                layer.weight.copy_(theta[f"{name}.weight"][0])
                layer.bias.copy_(theta[f"{name}.bias"][0, :, 0])

    def forward(self, Z: Tensor) -> tuple[Tensor, Tensor]:
        """(V^, W^) and Z^."""
        U = self.encoder(Z)
        one = torch.cat([torch.ones_like(U[:, :1]), U], dim=1)
        combos = torch.combinations(torch.arange(one.shape[1]), self.degree, with_replacement=True)[1:]
        return U, self.decoder(one[:, combos].prod(dim=2))


def kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T + 1) ** 2


def hsic(x: Tensor, y: Tensor) -> Tensor:
    K = kernel(x, x)
    K = K - K.mean(0) - K.mean(1, keepdim=True) + K.mean()
    return (K * kernel(y, y)).sum() / len(x) ** 2


def train_plainly(a: Architecture, data: StackData, task: StackTask, device: str) -> float:
    """Two epochs of one model; the mean loss of the first."""
    model = Plain(a, task.seed).to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    batches = EpochBatches([data], [(0, task.seed)], 500, torch.device(device))
    first = []
    for epoch in range(2):
        for batch, _ in batches.draw(epoch):
            Z = batch[0].T.contiguous()
            U, Z_hat = model(Z)
            V, W = U[:, : model.q], U[:, model.q :]
            (W0, W1), (V0, V1), Us = W.split(500), V.split(500), U.split(500)
            mmd = kernel(W0, W0).mean() + kernel(W1, W1).mean() - 2 * kernel(W0, W1).mean()
            dependence = 2 * hsic(W, V) + hsic(W0, V0) + hsic(W1, V1)
            eye = 1e-6 * torch.eye(U.shape[1], device=device)
            entropy = torch.stack([torch.logdet(torch.cov(u.T) + eye) for u in Us]).mean()
            loss = (Z - Z_hat).square().mean() + task.invariance * mmd + task.independence * dependence
            loss = loss - task.entropy * entropy
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            if epoch == 0:
                first.append(loss.item())
    return float(np.mean(first))


if __name__ == "__main__":
    main()
