"""`diagnose`: every check that applies to a design and its estimate, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign
from invarmr.data.latent_instruments import LatentInstruments, Verdict
from invarmr.data.moments import EnvironmentMoments
from invarmr.diagnostics.check import REJECTION, Check
from invarmr.diagnostics.endogeneity import wu_hausman_check
from invarmr.diagnostics.exchangeability import Balance, balance, balance_checks
from invarmr.diagnostics.exclusion import hansen_check, sargan_check
from invarmr.diagnostics.invariance import invariance_checks, law_checks
from invarmr.diagnostics.relevance import first_stage_check, partial_r2_check
from invarmr.diagnostics.sensitivity import robustness_check
from invarmr.diagnostics.stability import EnvironmentEstimate, environment_estimates, heterogeneity_check
from invarmr.diagnostics.verdict import judge
from invarmr.estimators.estimate import Estimate

__all__ = ["Diagnostics", "diagnose"]


@dataclass(frozen=True, eq=False)
class Diagnostics:
    """What was checked, and what follows.

    Parameters
    ----------
    checks
        One per assumption and test, in the order of `diagnostics.tsv`.
    environments
        The effect in each environment, and without it.
    balance
        Balance of the observed and of the learned instruments; empty without people.
    verdict
        Whether the estimate may be interpreted.
    """

    checks: tuple[Check, ...]
    environments: tuple[EnvironmentEstimate, ...]
    balance: tuple[Balance, ...]
    verdict: Verdict

    def __str__(self) -> str:
        lines = [f"verdict: {self.verdict.status}", *(f"  {reason}" for reason in self.verdict.reasons)]
        lines += [f"{check.assumption}: {check.test}: {check.conclusion}" for check in self.checks]
        return "\n".join(lines)


def diagnose(
    design: IVDesign,
    estimate: Estimate,
    *,
    seed: int = 1,
    n_permutations: int = 199,
    held_out_moments: EnvironmentMoments | None = None,
    latent: LatentInstruments | None = None,
) -> Diagnostics:
    """Check the assumptions of an estimate and give the verdict.

    Parameters
    ----------
    design, estimate
        The design, and the estimate it gave; its `estimator` makes those of the environments.
    seed, n_permutations
        Of the permutation tests on held-out people.
    held_out_moments
        Moments of the held-out people, if at hand; else computed from the cohort.
    latent
        What was learned, where it gave no instrument to build the design on; else the design knows it.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> site = np.repeat(["a", "b"], 2000)
    >>> instrument = rng.normal(size=(4000, 2)) + 3 * (site == "b")[:, None] * rng.normal(size=(4000, 1))
    >>> exposure = instrument @ [1, 2] + rng.normal(size=4000)
    >>> outcome = exposure + rng.normal(size=4000)
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=instrument, exposure=exposure, outcome=outcome, environment=site)
    >>> latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
    >>> design = invarmr.IVDesign.from_cohort(cohort, latent)
    >>> checks = invarmr.diagnose(design, invarmr.TwoStageLeastSquares().fit(design))
    >>> checks.verdict.status
    'identified'
    """
    known = latent if latent is not None else design.latent
    latent = known if known is not None and known.learner != "allele_score" else None
    over = hansen_check if estimate.std_errors in ("robust", "clustered") else sargan_check
    environments = () if estimate.estimator is None else environment_estimates(design, estimate.estimator)
    checks = [first_stage_check(design), partial_r2_check(design), over(design, estimate), wu_hausman_check(design)]
    balanced: tuple[Balance, ...] = ()
    cohort = design.cohort if design.cohort is None else design.cohort.observed or design.cohort
    if latent is not None and cohort is not None:
        checks += _learning_checks(latent)
        if latent.n_latent:
            checks.append(robustness_check(design, estimate))
        checks += invariance_checks(cohort, latent, seed=seed, n_permutations=n_permutations)
        checks += law_checks(cohort, latent, seed=seed, n_permutations=n_permutations)
        balanced = _balance(cohort, latent, held_out_moments)
        counts = len(design.moments.environments), len(design.moments.index("component"))
        checks += [check for item in balanced for check in balance_checks(item, *counts)]
    checks.append(heterogeneity_check(environments, described_only=_described_only(design, estimate)))
    return Diagnostics(tuple(checks), environments, balanced, judge(latent, checks))


def _described_only(design: IVDesign, estimate: Estimate) -> str:
    """Why disagreement between environments does not speak against the assumptions, where it does not."""
    if design.cohort is not None and len(np.unique(design.cohort.outcome)) == 2:
        return "the outcome has two values: risk differences vary with the baseline risk in a valid study too"
    if estimate.std_errors == "clustered":
        return "clusters may reach over environments, whose estimates are then not independent"
    return ""


def _learning_checks(latent: LatentInstruments) -> list[Check]:
    if not latent.path:
        return []
    step = latent.path[-1]
    genotypes = bool(latent.settings.get("scale_within_environment"))
    tried = f"allows for the error of learning; the last of {len(latent.path)} numbers tried on these people"
    rows = (
        ("invariance", "means", "have the same means in every environment", step.mean_p),
        (
            "invariance",
            "covariances",
            "have correlations that differ by at most 5 % between environments"
            if genotypes
            else "have the same covariances in every environment",
            step.covariance_p,
        ),
        (
            "independence",
            "covariance with the directions set aside",
            "have a covariance with the directions set aside that differs by at most 0.15 between environments"
            if genotypes
            else "have the same covariance with the directions set aside in every environment",
            step.independence_p,
        ),
    )
    return [
        Check(
            assumption=assumption,  # type: ignore[arg-type]  # one of two literals
            test=f"held-out test of {what}",
            null=f"the {step.n_latent} learned instruments {null}",
            p_value=p,
            conclusion="no such difference was detected" if p >= REJECTION else "such a difference was detected",
            reason=f"Bonferroni over the parts of the test; {tried}",
        )
        for assumption, what, null, p in rows
    ] + [
        Check(
            assumption="invariance",
            test="saturation",
            null="none: a description",
            statistic=float(latent.shift_rank),
            conclusion=(
                f"means shift in {latent.shift_rank} directions; covariances of the directions set aside "
                f"{'differ detectably' if latent.covariance_informative else 'do not differ detectably'}"
                + (": more directions could hide" if latent.saturated else "")
            ),
            reason="where as many directions as environments less one shift in means alone, more of them could hide",
        )
    ]


def _balance(cohort: Cohort, latent: LatentInstruments, held_out: EnvironmentMoments | None) -> tuple[Balance, ...]:
    people = (
        np.arange(cohort.n_samples) if latent.fold is None else np.flatnonzero(np.isin(latent.fold, latent.held_out))
    )
    if held_out is None:
        held_out = cohort.moments_of(people)
    observed = balance(held_out)
    if not latent.n_latent:
        return (observed,)
    seen = cohort.represented(latent)
    return observed, balance(held_out if seen is cohort else seen.moments_of(people), latent)
