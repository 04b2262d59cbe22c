"""Joint tests of all instruments against environment labels and against principal components of ancestry.

Symbols: Z (n, p) instruments, X (n, q) labels or components; rho_i canonical correlations; Lambda = prod (1 - rho_i^2)
Wilks' statistic; V = sum rho_i^2 Pillai's, V / p the share of the instruments' joint variance that X explains.

Observed instruments: Wilks' test with Rao's F approximation, from moments. Learned instruments W (trained without these
n people) are balanced only up to the error of learning, which leaks the directions set aside into them by
L_j ~ N(0, Sigma_L). With t_j the contrasts of the environments' means, or c_j the covariance with the components,

    cov(t_j) = N (diag(1 / n_e) + M_V Sigma_L M_V') N',    cov(c_j) = S_CC / n + S_CV Sigma_L S_VC,

independent over j, and sum_j t_j' cov^-1 t_j is chi2. Sources: Wilks (1932), Biometrika 24:471; Rao (1951), Bulletin of
the International Statistical Institute 33:177; Pillai (1955), Annals of Mathematical Statistics 26:117.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray
from invarmr.data.latent_instruments import LatentInstruments
from invarmr.data.moments import EnvironmentMoments
from invarmr.diagnostics.check import REJECTION, Check, not_applicable
from invarmr.inference.null_law import ChiSquared, FLaw, NullLaw
from invarmr.linalg.symmetric import range_whitener, solve_on_range

__all__ = ["JointTest", "joint_checks", "joint_tests", "wilks_test"]

NAMES = {"environment": "environment labels", "components": "principal components"}
_EVERYONE = "everyone; Pillai's share of the joint variance"
_LINKED = "a component made of a few linked variants follows the instruments among them without any confounding"


@dataclass(frozen=True, kw_only=True)
class JointTest:
    """One row of `stratification.tsv`.

    Parameters
    ----------
    instruments
        `observed` or `learned`.
    against
        `environment` or `components`.
    test
        Which test.
    statistic, law
        As in `Check`.
    counted
        P-value that permutations counted, where there is no law.
    share, chance
        Share of the instruments' variance that is explained (of a normalised measure of dependence where the test is
        one), and what chance gives; None where the test has none.
    n_samples
        People it was made on.
    reason
        What it rests on.
    """

    instruments: str
    against: str
    test: str
    statistic: float
    law: NullLaw | None = None
    counted: float = 1.0
    share: float | None = None
    chance: float | None = None
    n_samples: int
    reason: str = ""

    @property
    def p_value(self) -> float:
        """By the law, or as counted."""
        return self.counted if self.law is None else self.law.p_value(self.statistic)

    @property
    def df(self) -> str:
        """Degrees of freedom, to be shown; "" where there is no law."""
        return "" if self.law is None else self.law.df


def wilks_test(squared_correlations: FloatArray, p: int, q: int, n: int) -> tuple[float, FLaw]:
    """Rao's F of Wilks' Lambda, and its law.

    Parameters
    ----------
    squared_correlations
        Squared canonical correlations of p and q variables, the mean taken out.
    p, q, n
        Ranks of the two sets, and samples.
    """
    log_lambda = float(np.log1p(-np.clip(squared_correlations, 0.0, 1.0 - 1e-15)).sum())
    spread = p**2 + q**2 - 5
    t = float(np.sqrt((p**2 * q**2 - 4) / spread)) if spread > 0 else 1.0
    df1 = p * q
    df2 = (n - 1 - (p + q + 1) / 2) * t - (df1 - 2) / 2
    f = float(np.expm1(-log_lambda / t) * df2 / df1)
    return f, FLaw(df1, df2)


def joint_tests(
    everyone: EnvironmentMoments,
    latent: LatentInstruments | None = None,
    held_out: EnvironmentMoments | None = None,
) -> tuple[JointTest, ...]:
    """Test observed instruments on everyone, and learned ones on people held out, against labels and components.

    Parameters
    ----------
    everyone
        Moments of all people.
    latent, held_out
        What was learned, and the moments of the people held out then, with the instruments (or features) that `latent`
        is linear in.

    Returns
    -------
    tuple of JointTest
        Without those that do not apply: one environment, no components, nobody held out.

    Examples
    --------
    >>> import numpy as np, invarmr
    >>> rng = np.random.default_rng(1)
    >>> site = np.arange(600) % 3
    >>> Z = rng.normal(size=(600, 2)) + np.outer(site, [0.3, 0.0])
    >>> cohort = invarmr.Cohort.from_arrays(
    ...     instrument=Z, exposure=Z[:, 0], outcome=rng.normal(size=600), environment=site)
    >>> [(test.against, test.p_value < 0.01) for test in joint_tests(cohort.moments)]
    [('environment', True)]
    """
    found = list(_observed(everyone))
    if latent is not None and held_out is not None and latent.n_latent and latent.trained_loadings is not None:
        found += _learned(everyone, latent, held_out, latent.trained_loadings)
    return tuple(found)


def _observed(moments: EnvironmentMoments) -> list[JointTest]:
    instruments, components = moments.index("instrument"), moments.index("component")
    total = moments.total()
    S = total[np.ix_(instruments, instruments)]
    R = range_whitener(S)
    p, n = R.shape[1], moments.n_total
    out = []
    within = moments.within()[np.ix_(instruments, instruments)]
    present = int((moments.n_samples > 0).sum())
    if present > 1:
        rho2 = 1.0 - linalg.eigvalsh(R.T @ within @ R)
        out.append(_wilks("environment", np.sort(rho2)[::-1][: present - 1], p, present - 1, n))
    if len(components):
        Q = range_whitener(total[np.ix_(components, components)])
        own = R.T @ total[np.ix_(instruments, components)]
        rho2 = linalg.svdvals(own @ Q) ** 2
        most = int(np.argmax(np.square(own).sum(axis=0) / np.diag(total)[components]))
        why = f"{_EVERYONE}; most with {_name(moments, components[most])}"
        out.append(_wilks("components", rho2, p, Q.shape[1], n, why))
    return [test for test in out if test is not None]


def _name(moments: EnvironmentMoments, column: int) -> str:
    return moments.columns[column].split(":", 1)[1]


def _wilks(against: str, rho2: FloatArray, p: int, q: int, n: int, reason: str = _EVERYONE) -> JointTest | None:
    if n - 1 - (p + q + 1) / 2 <= 1:
        return None
    f, law = wilks_test(rho2, p, q, n)
    return JointTest(
        instruments="observed",
        against=against,
        test="Wilks' Lambda (Rao's F)",
        statistic=f,
        law=law,
        share=float(np.clip(rho2, 0.0, 1.0).sum() / p),
        chance=q / (n - 1),
        n_samples=n,
        reason=reason,
    )


def _learned(
    everyone: EnvironmentMoments, latent: LatentInstruments, held_out: EnvironmentMoments, W: FloatArray
) -> list[JointTest]:
    out = []
    instruments, components = held_out.index("instrument"), held_out.index("component")
    n = held_out.n_total
    total = held_out.total()
    own = W.T @ total[np.ix_(instruments, instruments)] @ W / n
    unit = range_whitener(own)
    p = unit.shape[1]
    reason = "held-out people; allows for the error of learning to first order"
    if len(held_out.environments) > 1 and latent.learning_error is not None and (held_out.n_samples > 0).all():
        N = linalg.helmert(len(held_out.environments))
        t = N @ held_out.mean[:, instruments] @ W @ unit
        cov = N @ (np.diag(1.0 / held_out.n_samples) + latent.learning_error) @ N.T
        within = W.T @ held_out.within()[np.ix_(instruments, instruments)] @ W / n
        share = float(1.0 - np.trace(unit.T @ within @ unit) / p)
        out.append(_chi2("environment", t, cov, share, p, n, reason))
    if len(components):
        c = total[np.ix_(components, instruments)] @ W @ unit / n
        S = total[np.ix_(components, components)] / n
        cov = S / n
        if latent.leak is not None and latent.n_confounded:
            V = everyone.total()[np.ix_(components, instruments)] @ latent.confounded_loadings / everyone.n_total
            trained = max(everyone.n_total - n, 1)
            cov = cov + V @ latent.leak.covariance @ V.T * everyone.n_total / trained
        fitted, rank = solve_on_range(S, c)
        share = float(np.sum(c * fitted) / p)
        most = int(np.argmax(np.square(c).sum(axis=1) / np.diag(cov)))
        which = f"{reason}; most with {_name(held_out, components[most])}"
        out.append(_chi2("components", c, cov, share, p, n, which, rank=rank))
    return out


def _chi2(
    against: str, t: FloatArray, cov: FloatArray, share: float, p: int, n: int, reason: str, *, rank: int | None = None
) -> JointTest:
    weighted, own = solve_on_range(cov, t)
    statistic, df = float(np.sum(t * weighted)), p * (own if rank is None else min(own, rank))
    return JointTest(
        instruments="learned",
        against=against,
        test="chi2 that allows for learning",
        statistic=statistic,
        law=ChiSquared(df),
        share=max(share, 0.0),
        chance=(len(t)) / (n - 1),
        n_samples=n,
        reason=reason,
    )


def joint_checks(tests: Sequence[JointTest], *, n_components: int) -> tuple[Check, ...]:
    """Rows of `diagnostics.tsv`; without components, one that says why there is no test against them."""
    out = [_check(test) for test in tests]
    if n_components == 0:
        null = "principal components explain nothing of the instruments"
        reason = "no principal components were given or computed"
        out.append(not_applicable("exchangeability", "joint test against principal components", null, reason))
    return tuple(out)


def _check(test: JointTest) -> Check:
    name = NAMES[test.against]
    linked = (_LINKED,) if test.against == "components" else ()
    related = f"follow {name}" if test.p_value < REJECTION else f"show no relation to {name}"
    amount = ""
    if test.share is not None and test.chance is not None:
        amount = f"; share {100 * test.share:.2g} %, by chance {100 * test.chance:.2g} %"
    return Check(
        assumption="exchangeability",
        test=f"joint test against {name}, {test.instruments} instruments ({test.test})",
        null=f"the {test.instruments} instruments are unrelated to {name}",
        statistic=test.statistic,
        law=test.law,
        p_value=test.p_value,
        conclusion=f"the {test.instruments} instruments {related}{amount}",
        reason="; ".join((test.reason, *linked, "described only, not in the verdict")),
    )
