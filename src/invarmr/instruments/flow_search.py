"""Which flow: restarts of the simplest one, and a ladder of richer ones, each of which must earn its place.

Symbols: z rows of one environment, standardised; LL mean log density of the validation people, whom no rung was
fitted to.

A rung is taken when it raises LL by more than two standard errors of the paired difference. The ladder ends early
where the features of the validation people are normal in every environment (Mardia's skewness and kurtosis): normal
features leave nothing for a richer flow to gain, and of maps of bounded complexity only affine ones keep them normal.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.moments import EnvironmentMoments
from invarmr.instruments.stationary_system import solve_stationary
from invarmr.linalg.symmetric import inverse_root
from invarmr.nn.flows import ComposedMap, Flow, GaussianLaw, InvertibleMap, LeakyMap, SplineLaw, SplineMap
from invarmr.nn.maximum_likelihood import held_out_likelihood, maximise

__all__ = [
    "FlowStep",
    "SearchSettings",
    "gain_over_linear",
    "likelihood_path",
    "mardia_p",
    "search_flow",
    "split_start",
    "with_law",
]

_FEW, _SOME = 1_500, 3_000
"""Rows per environment that restarts, and the best of them, are judged on."""
_WIDTHS = (1.0, 0.3)
_NORMAL = 0.001
_STANDARD_ERRORS = 2.0
_STANDARD_ERRORS_OF_PATH = 3.0
_ROWS_OF_SPLINES = 4_000
_NARROW = 0.1
_MOST_REDRAWN = 12
_LEAST_GAIN = 0.003
"""Gain of mean log density that a bend drawn anew must bring."""


@dataclass(frozen=True)
class SearchSettings:
    """What may be tried.

    Parameters
    ----------
    map, law
        As in `FlowInstruments`.
    n_layers
        Layers of the leaky map (None: one, then two and three while they gain), or spline transforms.
    n_starts, iterations
        Random starts; at most so many iterations of L-BFGS in the last fit.
    """

    map: str
    law: str
    n_layers: int | None
    n_starts: int
    iterations: int


@dataclass(frozen=True)
class FlowStep:
    """One rung that was tried.

    Parameters
    ----------
    map, n_layers, law, n_latent
        The flow; `n_latent` is 0 where its law does not split W from V.
    validation
        LL.
    gain, std_error
        LL above that of the rung kept before, and the standard error of this difference; 0 on the first rung.
    normal_p
        Mardia's test of the features of the validation people, the smallest over environments, Bonferroni corrected.
    kept
        Whether it replaced the rung before.
    """

    map: str
    n_layers: int
    law: str
    n_latent: int
    validation: float
    gain: float
    std_error: float
    normal_p: float
    kept: bool


class _Ladder:
    """The best flow so far, and every step."""

    def __init__(self, training: Sequence[Tensor], validation: Sequence[Tensor]) -> None:
        self.training, self.validation = training, validation
        self.steps: list[FlowStep] = []
        self.flow: Flow
        self._density: FloatArray

    def offer(self, flow: Flow, *, map: str, n_layers: int, law: str, n_latent: int = 0) -> bool:
        density = held_out_likelihood(flow, self.validation)
        gain = std_error = 0.0
        if self.steps:
            difference = density - self._density
            gain = float(difference.mean())
            std_error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
        kept = not self.steps or gain > _STANDARD_ERRORS * std_error
        normal = mardia_p(features(flow, self.validation))
        self.steps.append(FlowStep(map, n_layers, law, n_latent, float(density.mean()), gain, std_error, normal, kept))
        if kept:
            self.flow, self._density = flow, density
        return kept

    @property
    def normal(self) -> bool:
        """Whether the features of the flow kept last are normal in every environment."""
        return next(step for step in reversed(self.steps) if step.kept).normal_p >= _NORMAL


def search_flow(
    training: Sequence[Tensor],
    validation: Sequence[Tensor],
    settings: SearchSettings,
    *,
    n_latent: int | None,
    rng: np.random.Generator,
) -> tuple[Flow, tuple[FlowStep, ...]]:
    """The flow of the last rung kept, fitted to training and validation people together, and all steps."""
    ladder = _Ladder(training, validation)
    some = [z[:_ROWS_OF_SPLINES] for z in training]
    if settings.map == "spline":
        _climb_spline(ladder, settings, rng)
    else:
        _climb_leaky(ladder, settings, rng)
    laws = {"auto": ("shared", "free"), "gaussian": ()}.get(settings.law, (settings.law,))
    for law in () if settings.law == "auto" and ladder.normal else laws:
        kept = next(step for step in reversed(ladder.steps) if step.kept)
        p = n_latent or likelihood_path(ladder.flow, training, validation)[0]
        richer = with_law(ladder.flow, training, p, law, seed=_seed(rng))
        maximise(richer, some, iterations=settings.iterations // 3, validation=validation)
        ladder.offer(richer, map=kept.map, n_layers=kept.n_layers, law=law, n_latent=p)
    if settings.map == "auto" and not ladder.normal:
        kept = next(step for step in reversed(ladder.steps) if step.kept)
        spline = SplineMap(training[0].shape[1], 1, _seed(rng)).to(training[0].device)
        richer = Flow(ComposedMap(copy.deepcopy(ladder.flow.map), spline), copy.deepcopy(ladder.flow.law))
        maximise(richer, some, iterations=settings.iterations // 3, validation=validation)
        ladder.offer(richer, map=f"{kept.map} + spline", n_layers=kept.n_layers, law=kept.law, n_latent=kept.n_latent)
    everyone = [torch.cat(pair) for pair in zip(training, validation, strict=True)]
    if isinstance(ladder.flow.map, LeakyMap) and isinstance(ladder.flow.law, GaussianLaw):
        maximise(ladder.flow, everyone, iterations=settings.iterations)
    return ladder.flow, tuple(ladder.steps)


def _climb_leaky(ladder: _Ladder, settings: SearchSettings, rng: np.random.Generator) -> None:
    depths = (1, 2, 3) if settings.n_layers is None else (settings.n_layers,)
    for depth in depths:
        warm = copy.deepcopy(ladder.flow) if ladder.steps else None
        n_starts = settings.n_starts if warm is None else max(1, settings.n_starts // 3)
        flow = _best_leaky(ladder.training, depth, n_starts, settings.iterations, warm, rng)
        if mardia_p(features(flow, ladder.validation)) < _NORMAL:
            flow = _with_bends_redrawn(flow, ladder.training, settings.iterations, rng)
        if not ladder.offer(flow, map="leaky", n_layers=depth, law="gaussian") or ladder.normal:
            break


def _climb_spline(ladder: _Ladder, settings: SearchSettings, rng: np.random.Generator) -> None:
    d, E = ladder.training[0].shape[1], len(ladder.training)
    layers = settings.n_layers or 3
    best = -np.inf
    for _ in range(settings.n_starts):
        flow = Flow(SplineMap(d, layers, _seed(rng)), GaussianLaw(d, 0, E)).to(ladder.training[0].device)
        maximise(flow, ladder.training, iterations=settings.iterations, validation=ladder.validation)
        value = float(held_out_likelihood(flow, ladder.validation).mean())
        if value > best:
            best, chosen = value, flow
    ladder.offer(chosen, map="spline", n_layers=layers, law="gaussian")


def _best_leaky(
    training: Sequence[Tensor], depth: int, n_starts: int, iterations: int, warm: Flow | None, rng: np.random.Generator
) -> Flow:
    """Successive halving: all starts on a few rows, a quarter of them on more, the best on all.

    Wide bends first: a sharp one has no gradient that could move it to where the data bend.
    """
    d, E = training[0].shape[1], len(training)
    few, some = [z[:_FEW] for z in training], [z[:_SOME] for z in training]
    tried: list[tuple[float, int, Flow]] = []
    for start in range(n_starts):
        flow = Flow(LeakyMap(d, depth, _generator(rng)), GaussianLaw(d, 0, E)).to(training[0].device)
        tried.append((_anneal(flow, few, _WIDTHS, 40), start, flow))
    tried = sorted(tried, key=lambda item: -item[0])[: max(1, n_starts // 4)]
    second = [(_anneal(flow, some, (_NARROW,), 60), start, flow) for _, start, flow in tried]
    if warm is not None and isinstance(warm.map, LeakyMap):
        extra = LeakyMap(d, 1, _generator(rng)).to(training[0].device)
        for a in extra.a:
            a.data.mul_(0.1)
        warm.map.append(extra)
        second.append((maximise(warm, some, iterations=100), n_starts, warm))
    _, _, best = max(second, key=lambda item: (item[0], -item[1]))
    _leaky(best.map).free_width(True)
    maximise(best, training, iterations=iterations)
    return best


def _with_bends_redrawn(flow: Flow, training: Sequence[Tensor], iterations: int, rng: np.random.Generator) -> Flow:
    """Out of a poor local maximum: the weakest bends are drawn anew one at a time, as long as that gains.

    A poor maximum has most bends in the right place, and one or two that are nearly straight or in a wrong one, which
    no gradient leads away from.
    """
    few = [z[:_FEW] for z in training]
    best = copy.deepcopy(flow)
    reached, redrawn = _anneal(best, few, (_NARROW,), 60), False
    for _ in range(_MOST_REDRAWN):
        strength = torch.stack([a.detach().abs() for a in _leaky(best.map).a]).flatten().cpu().numpy()
        weakest = np.argsort(strength, kind="stable")
        for bend in [*weakest[[0, 0, 1, 0]], *rng.permutation(weakest)[:2]]:
            value, found = _redrawn(best, few, int(bend), rng)
            if value > reached + _LEAST_GAIN:
                reached, best, redrawn = value, found, True
                break
        else:
            break
    if not redrawn:
        return flow
    _anneal(best, [z[:_SOME] for z in training], (_NARROW,), 60)
    _leaky(best.map).free_width(True)
    maximise(best, training, iterations=iterations)
    return best


def _redrawn(flow: Flow, rows: Sequence[Tensor], bend: int, rng: np.random.Generator) -> tuple[float, Flow]:
    """A copy with one bend drawn anew, wide at first; and the likelihood reached."""
    flow = copy.deepcopy(flow)
    map = _leaky(flow.map)
    layer, unit = divmod(bend, len(map.a[0]))
    map.redraw(layer, unit, _generator(rng))
    reached = -np.inf
    for width in (*_WIDTHS, _NARROW):
        map.log_s[layer].data[unit] = np.log(width)
        reached = maximise(flow, rows, iterations=30)
    return reached, flow


def _leaky(map: InvertibleMap) -> LeakyMap:
    if not isinstance(map, LeakyMap):
        raise TypeError(f"A leaky map is needed, but this is {type(map).__name__}.")
    return map


def _anneal(flow: Flow, rows: Sequence[Tensor], widths: Sequence[float], iterations: int) -> float:
    map = _leaky(flow.map)
    map.free_width(False)
    reached = -np.inf
    for width in widths:
        map.set_width(width)
        reached = maximise(flow, rows, iterations=iterations)
    return reached


@torch.no_grad()
def features(flow: Flow, rows: Sequence[Tensor]) -> list[FloatArray]:
    """Features (n_e, d) of the rows of every environment."""
    return [flow.map(z)[0].cpu().numpy() for z in rows]


def mardia_p(values: Sequence[FloatArray]) -> float:
    """p-value of normality in every environment: Mardia's skewness and kurtosis, Bonferroni corrected over all.

    n b1 / 6 ~ chi2(d (d + 1) (d + 2) / 6) with b1 the squared length of the third moments of standardised rows, and
    (b2 - d (d + 2)) / sqrt(8 d (d + 2) / n) ~ N(0, 1) with b2 the mean fourth power of their length (Mardia, 1970).
    """
    smallest = 1.0
    for rows in values:
        n, d = rows.shape
        centred = rows - rows.mean(axis=0)
        spread = centred.std(axis=0)
        centred = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
        x = inverse_root(centred.T @ centred / n) @ centred.T  # 0 along a direction that does not vary: not normal
        third = np.einsum("an,bn,cn->abc", x, x, x, optimize=True) / n
        skewness = stats.chi2.sf(n * np.sum(third**2) / 6, d * (d + 1) * (d + 2) / 6)
        kurtosis = (np.mean(np.sum(x**2, axis=0) ** 2) - d * (d + 2)) / np.sqrt(8 * d * (d + 2) / n)
        smallest = min(smallest, float(skewness), float(2 * stats.norm.sf(abs(kurtosis))))
    return min(1.0, smallest * 2 * len(values))


def split_start(flow: Flow, rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The stationary split of the features of `rows`: basis (d, d), the most invariant direction first, and centre."""
    u = features(flow, rows)
    environment = np.repeat(np.arange(len(u)), [len(x) for x in u])
    stacked = np.vstack(u)
    basis, centre = _stationary(stacked, environment)
    if basis.shape[1] < basis.shape[0]:  # so nearly collinear that a direction counts as null: whitened, it is one more
        values, vectors = np.linalg.eigh(np.cov(stacked, rowvar=False))
        white = vectors / np.sqrt(np.maximum(values, np.finfo(float).eps * values[-1]))
        basis, shift = _stationary((stacked - centre) @ white, environment)
        basis, centre = white @ basis, centre + shift @ np.linalg.inv(white)
    return torch.from_numpy(basis.copy()), torch.from_numpy(centre.copy())


def _stationary(u: FloatArray, environment: IntArray) -> tuple[FloatArray, FloatArray]:
    names, labels = [f"instrument:u{j + 1}" for j in range(u.shape[1])], [str(e) for e in range(environment[-1] + 1)]
    moments = EnvironmentMoments.from_arrays(u, environment, columns=names, environments=labels)
    return solve_stationary(moments, within=False).basis, moments.grand_mean()


def likelihood_path(
    flow: Flow, training: Sequence[Tensor], validation: Sequence[Tensor]
) -> tuple[int, tuple[tuple[int, float, float], ...]]:
    """The number of latent instruments by held-out likelihood, with normal laws on the features of a fixed map.

    For every p: W ~ N(0, I) and V ~ N(mu_e, Sigma_e), independent, fitted by maximum likelihood. The largest p that is
    not worse than the best by more than three standard errors of the paired difference is returned, with (p, LL,
    standard error of the difference from the best) for each.
    """
    d = training[0].shape[1]
    density = {}
    for p in range(1, d):
        split = with_law(flow, training, p, "gaussian", seed=0)
        for parameter in split.map.parameters():
            parameter.requires_grad_(False)
        maximise(split, training, iterations=60)
        density[p] = held_out_likelihood(split, validation)
    best = max(density, key=lambda p: float(density[p].mean()))
    path, chosen = [], best
    for p, value in density.items():
        difference = value - density[best]
        std_error = float(difference.std(ddof=1) / np.sqrt(len(difference)))
        path.append((p, float(value.mean()), std_error))
        if difference.mean() >= -_STANDARD_ERRORS_OF_PATH * std_error:
            chosen = max(chosen, p)
    return chosen, tuple(path)


def gain_over_linear(flow: Flow, training: Sequence[Tensor], validation: Sequence[Tensor]) -> tuple[float, float]:
    """Mean log density of held-out people less that under a linear map, and its standard error.

    Under a linear map and a normal law of the features z itself is normal in every environment, with the mean and
    covariance of the training people.
    """
    linear = []
    for learned, rows in zip(training, validation, strict=True):
        z, new = learned.cpu().numpy(), rows.cpu().numpy()
        law = stats.multivariate_normal(z.mean(axis=0), np.cov(z, rowvar=False), allow_singular=True)
        linear.append(np.atleast_1d(law.logpdf(new)))
    difference = held_out_likelihood(flow, validation) - np.concatenate(linear)
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def with_law(flow: Flow, training: Sequence[Tensor], p: int, law: str, *, seed: int) -> Flow:
    """The same map under a law that splits W from V, begun at the stationary split."""
    d, E = training[0].shape[1], len(training)
    basis, centre = split_start(flow, training)
    new: GaussianLaw | SplineLaw
    if law == "gaussian":
        new = GaussianLaw(d, p, E, basis, centre)
    else:
        new = SplineLaw(d, p, E, basis, centre, shared=law == "shared", seed=seed)
    return Flow(copy.deepcopy(flow.map), new).to(training[0].device)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _generator(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(_seed(rng))
