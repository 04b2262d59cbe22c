"""Studies with latent instruments: the published designs of invariant latent instruments, with known truth.

Symbols: as in `latent_design`; u = (V, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from invarmr.arrays import FloatArray, IntArray, read_only
from invarmr.data.cohort import Cohort, InstrumentKind
from invarmr.errors import InputError
from invarmr.simulate.latent_design import LatentDesign
from invarmr.simulate.mixing import MIXINGS, Mixing, draw_mixing

__all__ = ["LatentDesign", "LatentSample", "Part", "latent_mixing", "simulate_latent"]

Part = Literal["training", "validation", "test"]
_PARTS: tuple[Part, ...] = ("training", "validation", "test")
_PURPOSES = ("confounder", "confounded", "valid", "exposure", "outcome", "noise")
_MIXING_STREAM, _COVARIANCE_STREAM, _REFERENCE_STREAM = 0, 1, 2
_REFERENCE_ROWS = 4_096


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class LatentSample:
    """One draw of a `LatentDesign`: what a study sees, and the truth beside it. Rows are ordered by environment.

    Parameters
    ----------
    design, seed, part
        What was drawn.
    instrument
        Z (n, d).
    exposure, outcome
        D and Y (n,).
    environment
        (n,) 0..E-1.
    latent_instrument, confounded_part, confounder
        W (n, p), V (n, q) and H (n, q; q + p where nothing is valid).
    """

    design: LatentDesign
    seed: int
    part: Part
    instrument: FloatArray
    exposure: FloatArray
    outcome: FloatArray
    environment: IntArray
    latent_instrument: FloatArray
    confounded_part: FloatArray
    confounder: FloatArray

    def __post_init__(self) -> None:
        for name in (
            "instrument", "exposure", "outcome", "environment", "latent_instrument", "confounded_part", "confounder",
        ):  # fmt: skip
            object.__setattr__(self, name, read_only(getattr(self, name)))

    @property
    def n_samples(self) -> int:
        """Rows over all environments."""
        return len(self.exposure)

    @property
    def sample_ids(self) -> tuple[str, ...]:
        """Ids that tell the parts apart: `training_00001`, ..."""
        width = len(str(self.n_samples))
        return tuple(f"{self.part}_{row:0{width}d}" for row in range(1, self.n_samples + 1))

    @cached_property
    def cohort(self) -> Cohort:
        """The study as a cohort on Z; its `truth` columns are H, given which Z is valid."""
        return self.cohort_on(self.instrument, truth=self.confounder, kind=self._kind)

    def cohort_on(
        self,
        instrument: ArrayLike,
        *,
        covariates: ArrayLike | None = None,
        truth: ArrayLike | None = None,
        kind: InstrumentKind = "score",
    ) -> Cohort:
        """The same people with other instruments (n, k): the true W, say, or learned ones; and with covariates."""
        return Cohort.from_arrays(
            instrument=instrument,
            exposure=self.exposure,
            outcome=self.outcome,
            environment=self.environment,
            covariates=covariates,
            truth=truth,
            sample_ids=self.sample_ids,
            instrument_kind=kind,
        )

    @property
    def _kind(self) -> InstrumentKind:
        return "genotype" if self.design.mixing == "discrete" else "score"

    @property
    def truth(self) -> dict[str, Any]:
        """What was set and a study would not know, ready for JSON."""
        return {
            "effect": self.design.effect,
            "scale": "outcome units per unit of exposure",
            "seed": self.seed,
            "part": self.part,
            "simulator": "latent",
            "design": self.design.as_dict(),
        }


def simulate_latent(
    design: LatentDesign | None = None, *, seed: int, part: Part = "training", n_samples: int | None = None
) -> LatentSample:
    """Draw a study whose instruments are a mixture of valid latent instruments and a confounded part.

    Parameters
    ----------
    design
        Settings; default `LatentDesign()`, the published study with two environments and cubic mixing.
    seed
        Of the data. Every part and every purpose (H, V0, W, the noises) has its own random stream, so designs that
        differ in effects or in mixing alone share W, V and H, and those that differ in effects share Z.
    part
        `training`, `validation` or `test`: independent draws of the same population.
    n_samples
        Rows per environment, where not the design's.

    Raises
    ------
    InputError
        A negative seed, an unknown part, or fewer than 2 rows per environment.

    References
    ----------
    Huang, Robinson & Locatello (2026), arXiv 2602.19782.

    Examples
    --------
    >>> sample = simulate_latent(LatentDesign(mixing="poly2"), seed=1, n_samples=1_000)
    >>> sample.instrument.shape, sample.latent_instrument.shape
    ((2000, 15), (2000, 2))
    """
    design = LatentDesign() if design is None else design
    rows = design.n_samples if n_samples is None else n_samples
    _check(seed, part, rows)
    rng = {
        purpose: np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_PARTS.index(part), number)))
        for number, purpose in enumerate(_PURPOSES)
    }
    environment = np.repeat(np.arange(design.n_environments), rows)
    H, V, W = _draw_latents(design, environment, rng)
    Z = _mix(design, np.hstack([V, W]), rng["noise"])
    confounding = H @ _acting_on(design)
    n = len(environment)
    D = V @ design.acting(design.n_confounded) + design.relevance * W.sum(axis=1) + confounding
    D += rng["exposure"].standard_normal(n)
    Y = design.effect * D + confounding + design.direct_effect * W.sum(axis=1) + rng["outcome"].standard_normal(n)
    return LatentSample(
        design=design,
        seed=seed,
        part=part,
        instrument=Z,
        exposure=D,
        outcome=Y,
        environment=environment,
        latent_instrument=W,
        confounded_part=V,
        confounder=H,
    )


def latent_mixing(design: LatentDesign) -> Mixing:
    """The mixing of a design: the same for all data seeds, parts, effects and sizes."""
    kind, E = MIXINGS.index(design.mixing), design.n_environments
    center = scale = None
    if design.mixing == "discrete":
        reference = _reference(design)
        center, scale = reference.mean(axis=0), reference.std(axis=0)
    return draw_mixing(
        design.mixing,
        n_latent=design.n_valid + design.n_confounded,
        rng=_fixed_stream(design, _MIXING_STREAM, kind, E),
        n_instruments=design.n_instruments,
        center=center,
        scale=scale,
    )


def _check(seed: int, part: Part, rows: int) -> None:
    if seed < 0:
        raise InputError(f"seed must be a whole number from 0 up, but is {seed}.")
    if part not in _PARTS:
        raise InputError(f"part must be one of {', '.join(_PARTS)}, but is {part!r}.")
    if rows < 2:
        raise InputError(f"n_samples must be at least 2 rows per environment, but is {rows}.")


def _fixed_stream(design: LatentDesign, *key: int) -> np.random.Generator:
    """A stream of the design itself, apart from the data's."""
    return np.random.default_rng(np.random.SeedSequence(design.mixing_seed, spawn_key=(len(_PARTS), *key)))


def _draw_latents(
    design: LatentDesign, environment: IntArray, rng: dict[str, np.random.Generator]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """H, V and W, one row per code of `environment`."""
    n, p, q = len(environment), design.n_valid, design.n_confounded
    width = q if design.valid else q + p
    H = _shaped(design, rng["confounder"].standard_normal((n, width)), np.eye(width))
    H += design.confounder_means()[environment][:, None]
    cov_v, cov_w = _covariances(design)
    V = _shaped(design, rng["confounded"].standard_normal((n, q)), cov_v)
    V += design.scales()[environment] * H[:, :q]
    W = _shaped(design, rng["valid"].standard_normal((n, p)), cov_w)
    if not design.valid:
        W += design.scales(p)[environment] * H[:, q:]
    return H, V, W


def _covariances(design: LatentDesign) -> tuple[FloatArray, FloatArray]:
    sizes = (design.n_confounded, design.n_valid)
    if design.covariance == "fixed":
        return design.fixed_covariance(sizes[0]), design.fixed_covariance(sizes[1])
    rng = _fixed_stream(design, _COVARIANCE_STREAM)
    draws = [rng.standard_normal((3 * size, size)) for size in sizes]
    first, second = (draw.T @ draw / len(draw) for draw in draws)
    return first, second


def _shaped(design: LatentDesign, normal: FloatArray, covariance: FloatArray) -> FloatArray:
    """Columns with a covariance and the design's marginal law, mean 0, from independent N(0, 1) draws."""
    spread = np.sqrt(np.diag(covariance))
    standard = normal @ np.linalg.cholesky(covariance / np.outer(spread, spread)).T
    if design.shape == "bounded":
        standard = np.sqrt(12.0) * (special.ndtr(standard) - 0.5)
    elif design.shape == "skewed":
        standard = -special.log_ndtr(-standard) - 1.0
    scaled: FloatArray = standard * spread
    return scaled


def _acting_on(design: LatentDesign) -> FloatArray:
    """Coefficients of H; where W has a confounder of its own, that acts as V's does."""
    weights = design.acting(design.n_confounded)
    return weights if design.valid else np.concatenate([weights, design.acting(design.n_valid)])


def _reference(design: LatentDesign) -> FloatArray:
    """A fixed draw of u, from which the constants of f are taken."""
    environment = np.repeat(np.arange(design.n_environments), _REFERENCE_ROWS)
    rng = {
        purpose: _fixed_stream(design, _REFERENCE_STREAM, number)
        for number, purpose in enumerate(("confounder", "confounded", "valid"))
    }
    _, V, W = _draw_latents(design, environment, rng)
    return np.hstack([V, W])


def _mix(design: LatentDesign, u: FloatArray, rng: np.random.Generator) -> FloatArray:
    mixing = latent_mixing(design)
    if design.noise == 0:
        return mixing(u)
    spread = mixing.continuous(_reference(design)).std(axis=0)
    return mixing(u, design.noise * spread * rng.standard_normal((len(u), len(spread))))
