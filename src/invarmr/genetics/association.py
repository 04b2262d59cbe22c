"""Association of every instrument with a trait, one at a time: the tables that summary-data methods read.

Symbols: z instrument, y trait, both given the controls and the constant (or one constant per environment), by
partialling out; S = z'z; n samples, c controls with the constants:

    b = z'y / S,   s2 = (y'y - b z'y) / (n - c - 1),   se = (s2 / S)^1/2,   p = P(|t_{n-c-1}| > |b / se|).

All instruments at once, from the moments alone. A trait with two values gets logistic regressions (`logistic`), which
need the rows. An instrument that does not vary given the controls has no association.
Source: Frisch & Waugh (1933), Econometrica 1:387, for the partialling out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import special

from invarmr.arrays import FloatArray
from invarmr.data.cohort import Cohort
from invarmr.data.design import Control
from invarmr.data.harmonised import Associations
from invarmr.data.moments import EnvironmentMoments
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError, first_few
from invarmr.genetics.logistic import logistic_fits
from invarmr.linalg.projection import partial_out
from invarmr.linalg.symmetric import RANK_TOLERANCE

__all__ = ["InstrumentAssociations", "Model", "Trait", "associate", "associations_of", "linear_associations", "measure"]

Trait = Literal["exposure", "outcome"]
Model = Literal["auto", "linear", "logistic"]
_ROLES = {"covariates": "covariate", "components": "component", "truth": "truth"}
_ALLELES = ("variant", "effect_allele", "other_allele")


@dataclass(frozen=True, eq=False, kw_only=True)
class InstrumentAssociations:
    """Associations of d instruments with one trait; NaN where an instrument does not vary or a fit does not converge.

    Parameters
    ----------
    names
        d instruments.
    effect, std_error, p_value
        (d,) per unit of the instrument; log odds ratios where `model` is logistic.
    frequency
        (d,) frequency of the effect allele; NaN for scores.
    model
        `linear` or `logistic`.
    n_samples, n_cases
        Samples; cases among them, None where the model is linear.
    """

    names: tuple[str, ...]
    effect: FloatArray
    std_error: FloatArray
    p_value: FloatArray
    frequency: FloatArray
    model: Literal["linear", "logistic"]
    n_samples: int
    n_cases: int | None = None


def linear_associations(
    moments: EnvironmentMoments,
    trait: Trait = "exposure",
    *,
    controls: Sequence[Control] = ("covariates",),
    environment_effects: bool = False,
    genotypes: bool = False,
) -> InstrumentAssociations:
    """Linear regression of a trait on each instrument with the controls, from moments alone.

    Parameters
    ----------
    moments
        With the columns of a `Cohort`.
    trait
        "exposure" or "outcome".
    controls
        Any of "covariates", "components", "truth".
    environment_effects
        One constant per environment instead of one for all.
    genotypes
        The instruments are allele copies, so that half their mean is a frequency.

    Raises
    ------
    InputError
        Samples no more than controls.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(400, 2))
    >>> D = Z @ [0.5, 0.0] + rng.normal(size=400)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=D + rng.normal(size=400), environment=np.arange(400) % 2)
    >>> found = linear_associations(cohort.moments)
    >>> np.round(found.effect, 2).tolist(), np.round(found.std_error, 2).tolist()
    ([0.41, -0.04], [0.05, 0.05])
    """
    instruments, y = moments.index("instrument"), moments.index(trait)
    held = moments.index(*(_ROLES[name] for name in controls))
    whole = moments.within() if environment_effects else moments.total()
    order = np.concatenate([held, instruments, y])
    c, d = len(held), len(instruments)
    G = whole[np.ix_(order, order)]
    zz, zy, yy, rank = _given_controls(G, c, d)
    constants = int((moments.n_samples > 0).sum()) if environment_effects else 1
    n = moments.n_total
    free = n - rank - constants - 1
    if free <= 0:
        raise InputError(
            f"An association needs more samples than controls, but {n} samples came for {rank + constants} controls "
            "with the constants."
        )
    varies = zz > RANK_TOLERANCE * np.diag(G)[c : c + d]
    S = np.where(varies, zz, 1.0)
    b = np.where(varies, zy / S, np.nan)
    s2 = np.clip(yy - b * zy, 0.0, None) / free
    se = np.where(varies & (s2 > RANK_TOLERANCE * yy / free), np.sqrt(s2 / S), np.nan)
    b = np.where(np.isfinite(se), b, np.nan)
    return InstrumentAssociations(
        names=tuple(moments.columns[i].split(":", 1)[1] for i in instruments),
        effect=b,
        std_error=se,
        p_value=_two_sided(b / se, free),
        frequency=moments.grand_mean()[instruments] / 2 if genotypes else np.full(d, np.nan),
        model="linear",
        n_samples=n,
    )


def _given_controls(G: FloatArray, c: int, d: int) -> tuple[FloatArray, FloatArray, float, int]:
    """Cross-products z'z and z'y (d,), y'y, and the rank of the controls, everything given the controls."""
    pair, _, rank = partial_out(G, np.arange(c, c + d + 1), np.arange(c))
    return np.diag(pair)[:d].copy(), pair[:d, d].copy(), float(pair[d, d]), rank


def _two_sided(t: FloatArray, free: int) -> FloatArray:
    """P(|t_free| > |t|), by the incomplete beta function, which keeps the far tail."""
    return np.asarray(special.betainc(free / 2, 0.5, free / (free + np.square(t))))


def measure(
    cohort: Cohort,
    trait: Trait = "exposure",
    *,
    environment: str | None = None,
    model: Model = "auto",
    controls: Sequence[Control] = ("covariates",),
    moments: EnvironmentMoments | None = None,
) -> InstrumentAssociations:
    """Association of each instrument with a trait, in one environment or in all with environment effects.

    Parameters
    ----------
    cohort, trait, environment, model, controls
        As for `associate`.
    moments
        Moments of the cohort, if at hand.

    Raises
    ------
    InputError
        As for `associate`.
    """
    _check_names(trait, model, controls)
    chosen = _position(cohort, environment)
    values = cohort.exposure if trait == "exposure" else cohort.outcome
    people = np.arange(cohort.n_samples) if chosen is None else np.flatnonzero(cohort.environment == chosen)
    levels = np.unique(values)
    if model == "logistic" and len(levels) != 2:
        raise InputError(
            f"A logistic regression needs a trait with two values, but the {trait} "
            f"({_trait_name(cohort, trait)}) has {len(levels)}. Use model='linear'."
        )
    genotypes = cohort.instrument_kind == "genotype"
    known = cohort.moments if moments is None else moments
    known = known if chosen is None else known.subset([chosen])
    linear = linear_associations(
        known, trait, controls=controls, environment_effects=chosen is None, genotypes=genotypes
    )
    if model == "linear" or len(levels) != 2:
        return linear
    cases = values == levels[1]
    fit = logistic_fits(
        cohort,
        cases.astype(np.float64),
        people=people,
        controls=known.index(*(_ROLES[name] for name in controls)),
        environment_effects=chosen is None,
    )
    return InstrumentAssociations(
        names=linear.names,
        effect=fit.effect,
        std_error=fit.std_error,
        p_value=special.erfc(np.abs(fit.effect / fit.std_error) / np.sqrt(2.0)),
        frequency=linear.frequency,
        model="logistic",
        n_samples=len(people),
        n_cases=int(cases[people].sum()),
    )


def associate(
    cohort: Cohort,
    trait: Trait = "exposure",
    *,
    environment: str | None = None,
    model: Model = "auto",
    controls: Sequence[Control] = ("covariates",),
    variants: pl.DataFrame | None = None,
    moments: EnvironmentMoments | None = None,
) -> SummaryStatistics:
    """Associate every variant with a trait, as a table of summary statistics in TwoSampleMR's columns.

    Parameters
    ----------
    cohort
        The people; its instruments must be allele copies.
    trait
        "exposure" or "outcome".
    environment
        Label of one environment; None: everybody, with a constant for each environment.
    model
        "linear", "logistic" (a trait with two values; the larger is the case) or "auto": logistic where it can be.
    controls
        Any of "covariates", "components", "truth".
    variants
        Table with `variant, effect_allele, other_allele`, perhaps `chromosome, position`: which allele the copies
        count. None: as settled when the cohort was read from files.
    moments
        Moments of the cohort, if at hand.

    Returns
    -------
    SummaryStatistics
        `beta` per copy of the effect allele, in units of the trait or as a log odds ratio; null where a variant does
        not vary or a logistic fit does not converge. `Phenotype` is the trait's name, `id` adds the environment.

    Raises
    ------
    InputError
        Instruments that are scores, unknown alleles, an unknown environment or setting, or too few samples.

    Examples
    --------
    >>> import numpy as np, polars as pl, invarmr
    >>> rng = np.random.default_rng(1)
    >>> copies = rng.binomial(2, 0.3, size=(500, 2))
    >>> exposure = copies @ [0.5, 0.0] + rng.normal(size=500)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=copies, exposure=exposure, outcome=exposure + rng.normal(size=500),
    ...     environment=np.arange(500) % 2, instrument_names=["rs1", "rs2"], instrument_kind="genotype")
    >>> alleles = pl.DataFrame({"variant": ["rs1", "rs2"], "effect_allele": ["A", "C"], "other_allele": ["G", "T"]})
    >>> table = associate(cohort, "exposure", variants=alleles)
    >>> table.frame.select("SNP", "effect_allele", pl.col("beta").round(2), "samplesize").row(0)
    ('rs1', 'A', 0.41, 500.0)
    """
    alleles = _alleles(cohort, variants)
    found = measure(cohort, trait, environment=environment, model=model, controls=controls, moments=moments)
    name = _trait_name(cohort, trait)
    n_controls = 0 if found.n_cases is None else found.n_samples - found.n_cases
    frame = alleles.with_columns(
        beta=pl.Series(found.effect, nan_to_null=True),
        se=pl.Series(found.std_error, nan_to_null=True),
        eaf=pl.Series(found.frequency, nan_to_null=True),
        pval=pl.Series(found.p_value, nan_to_null=True),
        samplesize=pl.lit(float(found.n_samples)),
        ncase=pl.lit(found.n_cases or None, dtype=pl.Float64),
        ncontrol=pl.lit(n_controls or None, dtype=pl.Float64),
        Phenotype=pl.lit(name),
        id=pl.lit(name if environment is None else f"{name}:{environment}"),
    )
    return SummaryStatistics.from_frame(frame, name=name, source=f"associations with {name}")


def associations_of(
    cohort: Cohort,
    *,
    environment: str | None = None,
    exposure_model: Model = "auto",
    outcome_model: Model = "auto",
    controls: Sequence[Control] = ("covariates",),
    moments: EnvironmentMoments | None = None,
) -> Associations:
    """Associations of the instruments with exposure and outcome, for the estimators of summary data; scores too.

    Parameters
    ----------
    cohort, environment, controls, moments
        As for `associate`.
    exposure_model, outcome_model
        "linear", "logistic" or "auto".

    Returns
    -------
    Associations
        Of the instruments that have both; exposure and outcome come from the same people, which matters where the
        instruments are weak.

    Raises
    ------
    InputError
        No instrument has both associations, or as for `associate`.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
    >>> rng = np.random.default_rng(1)
    >>> Z = rng.normal(size=(900, 3))
    >>> D = Z.sum(axis=1) + rng.normal(size=900)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=D, outcome=2 * D + rng.normal(size=900), environment=np.arange(900) % 2)
    >>> round(InverseVarianceWeighted().fit(associations_of(cohort)).b, 1)
    2.0
    """
    traits: tuple[tuple[Trait, Model], ...] = (("exposure", exposure_model), ("outcome", outcome_model))
    parts = [
        measure(cohort, trait, environment=environment, model=model, controls=controls, moments=moments)
        for trait, model in traits
    ]
    known = np.isfinite(parts[0].effect) & np.isfinite(parts[1].effect)
    if not known.any():
        raise InputError("No instrument varies and is associated with both traits: there is nothing to estimate from.")
    return Associations.from_arrays(
        exposure=parts[0].effect[known],
        exposure_std_error=parts[0].std_error[known],
        outcome=parts[1].effect[known],
        outcome_std_error=parts[1].std_error[known],
        variants=[name for name, kept in zip(parts[0].names, known, strict=True) if kept],
    )


def _check_names(trait: str, model: str, controls: Sequence[str]) -> None:
    if trait not in ("exposure", "outcome"):
        raise InputError(f"trait must be 'exposure' or 'outcome', but is {trait!r}.")
    if model not in ("auto", "linear", "logistic"):
        raise InputError(f"model must be 'auto', 'linear' or 'logistic', but is {model!r}.")
    if any(name not in _ROLES for name in controls):
        raise InputError(f"controls must be among {', '.join(_ROLES)}, but are {first_few(controls)}.")


def _position(cohort: Cohort, environment: str | None) -> int | None:
    if environment is None:
        return None
    if environment not in cohort.environments:
        raise InputError(
            f"environment must be one of {first_few(cohort.environments)}, or None for all, but is {environment!r}."
        )
    return cohort.environments.index(environment)


def _trait_name(cohort: Cohort, trait: str) -> str:
    return cohort.exposure_name if trait == "exposure" else cohort.outcome_name


def _alleles(cohort: Cohort, variants: pl.DataFrame | None) -> pl.DataFrame:
    """`SNP, effect_allele, other_allele, chr, pos` of the instruments, in their order."""
    if cohort.instrument_kind != "genotype":
        raise InputError(
            "A table of summary statistics is per copy of an effect allele, but the instruments of this cohort are "
            "scores. associations_of(cohort) gives their associations to the estimators of summary data."
        )
    table = cohort.account.variants if variants is None else variants
    missing = [name for name in _ALLELES if name not in table.columns]
    if missing:
        raise InputError(
            f"The alleles of the instruments are needed ({', '.join(_ALLELES)}), but {first_few(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not known. Give them as variants=..."
        )
    if "status" in table.columns:
        table = table.filter(pl.col("status") == "kept")
    wanted = pl.DataFrame({"variant": list(cohort.instrument_names)})
    joined = wanted.join(table.unique("variant", keep="first"), on="variant", how="left", maintain_order="left")
    unknown = joined.filter(pl.col("effect_allele").is_null())["variant"]
    if len(unknown):
        raise InputError(
            f"The effect allele of every instrument is needed, but {len(unknown)} have none: {first_few(unknown)}. "
            "Name them in variants=..."
        )
    places = [
        (pl.col(there) if there in joined.columns else pl.lit(None)).alias(ours)
        for ours, there in (("chr", "chromosome"), ("pos", "position"))
    ]
    return joined.select(pl.col("variant").alias("SNP"), "effect_allele", "other_allele", *places)
