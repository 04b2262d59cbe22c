"""Dependence of the instruments on principal components beyond the linear, by permutation: HSIC with explicit features.

Symbols: x (p,) instruments of a person and c (k,) components, both whitened and divided by p^1/2 and k^1/2, so that
the linear and the quadratic part of the kernel (x'y + 1)^2 count alike; phi, psi its features without the constant,
centred:

    HSIC = || sum_i phi(x_i) psi(c_i)' / n ||_F^2,    normalised by || phi'phi / n ||_F || psi'psi / n ||_F.

psi is exact. For many instruments (x'y)^2 has features without number; phi takes D random ones, products of two random
projections (a'x)(b'x) with signs a, b at random, whose inner product is (x'y)^2 on average. Components are permuted
over people. No n x n matrix. Sources: Gretton et al. (2005), Algorithmic Learning Theory 63; Kar & Karnick (2012),
Artificial Intelligence and Statistics 22:583, for the random features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from invarmr.arrays import FloatArray
from invarmr.data.cohort import Cohort
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.diagnostics.stratification import JointTest
from invarmr.linalg.symmetric import range_whitener

__all__ = ["component_dependence", "hilbert_schmidt_test"]

NAME = "HSIC by permutation (polynomial kernels of degree 2)"
_FEATURES = 128


def component_dependence(
    cohort: Cohort,
    latent: LatentInstruments | None = None,
    *,
    seed: int,
    n_permutations: int = 199,
    max_samples: int = 2_000,
) -> tuple[JointTest, ...]:
    """Test observed and learned instruments against the principal components, on people who were held out.

    Parameters
    ----------
    cohort, latent
        The people, with the instruments (or features) that `latent` is linear in; None: everyone, observed alone.
    seed, n_permutations, max_samples
        Of the choice of people, of the random features and of the permutations.

    Returns
    -------
    tuple of JointTest
        Empty where the cohort has no components. `statistic` is the normalised measure, between 0 and 1; `chance` is
        its mean over permutations.
    """
    if not cohort.component_names:
        return ()
    generator = np.random.default_rng(seed)
    people, where = np.arange(cohort.n_samples), "everyone"
    trained = None
    if latent is not None and latent.fold is not None and latent.held_out:
        people, where = np.flatnonzero(np.isin(latent.fold, latent.held_out)), "held-out people"
        trained = latent.trained_loadings
    if len(people) > max_samples:
        people = np.sort(generator.choice(people, max_samples, replace=False))
        where = f"{max_samples:,} people drawn from {where}"
    observed = cohort.observed or cohort
    sets = {"observed": observed.instruments.read(people).astype(np.float64)}
    if trained is not None and trained.shape[1]:
        sets["learned"] = cohort.instruments.read(people).astype(np.float64) @ trained
    out = []
    for name, values in sets.items():
        statistic, chance, p_value = hilbert_schmidt_test(
            values, cohort.components[people], n_permutations=n_permutations, generator=generator
        )
        learned = "; does not allow for the error of learning" if name == "learned" else ""
        out.append(
            JointTest(
                instruments=name,
                against="components",
                test=NAME,
                statistic=statistic,
                counted=p_value,
                share=statistic,
                chance=chance,
                n_samples=len(people),
                reason=where + learned,
            )
        )
    return tuple(out)


def hilbert_schmidt_test(
    x: FloatArray, c: FloatArray, *, n_permutations: int, generator: np.random.Generator
) -> tuple[float, float, float]:
    """Normalised HSIC, its mean over permutations of the rows of c, and its p-value (1 + #{H* >= H}) / (B + 1).

    Parameters
    ----------
    x, c
        (n, p) and (n, k); whitened here.
    n_permutations, generator
        B, and where the permutations and the random features come from.
    """
    w = _white(x)
    phi = _centred(np.hstack([np.sqrt(2) * w, _quadratic(w, generator)]))
    psi = _centred(_polynomial(_white(c)))
    scale = np.linalg.norm(phi.T @ phi) * np.linalg.norm(psi.T @ psi)
    if scale == 0:
        return 0.0, 0.0, 1.0
    observed = float(np.square(phi.T @ psi).sum())
    drawn = np.array(
        [float(np.square(phi.T @ psi[generator.permutation(len(psi))]).sum()) for _ in range(n_permutations)]
    )
    p_value = float((1 + np.sum(drawn >= observed)) / (n_permutations + 1))
    return observed / float(scale), float(drawn.mean() / scale) if n_permutations else 0.0, p_value


def _white(values: FloatArray) -> FloatArray:
    centred = values - values.mean(axis=0)
    R = range_whitener(centred.T @ centred / len(values))
    return np.asarray(centred @ R / np.sqrt(max(R.shape[1], 1)))


def _centred(features: FloatArray) -> NDArray[np.float32]:
    centred: NDArray[np.float32] = (features - features.mean(axis=0)).astype(np.float32)
    return centred


def _polynomial(c: FloatArray) -> FloatArray:
    """Features of 2 x'y + (x'y)^2, exact: (n, k + k (k + 1) / 2)."""
    first, second = np.triu_indices(c.shape[1])
    weight = np.where(first == second, 1.0, np.sqrt(2))
    return np.hstack([np.sqrt(2) * c, weight * c[:, first] * c[:, second]])


def _quadratic(x: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Features of (x'y)^2: exact where they are few, else random ones."""
    p = x.shape[1]
    if p * (p + 1) // 2 <= _FEATURES:
        return _polynomial(x)[:, p:]
    a, b = generator.choice([-1.0, 1.0], size=(2, p, _FEATURES))
    return np.asarray((x @ a) * (x @ b) / np.sqrt(_FEATURES))
