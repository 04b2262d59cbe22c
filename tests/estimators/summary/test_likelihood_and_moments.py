"""Constrained maximum likelihood, MR-GRIP and the generalised method of moments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from invarmr.data.harmonised import Associations, MultivariableAssociations
from invarmr.errors import InputError
from invarmr.estimators.summary.constrained_likelihood import ConstrainedMaximumLikelihood
from invarmr.estimators.summary.generalised_moments import MultivariableMoments, PrincipalComponentMoments
from invarmr.estimators.summary.grip import Grip
from invarmr.estimators.summary.inverse_variance import InverseVarianceWeighted
from invarmr.estimators.summary.maximum_likelihood import MaximumLikelihood
from invarmr.estimators.summary.multivariable import MultivariableInverseVarianceWeighted

Simulate = Callable[..., Associations]


def test_constrained_likelihood_finds_the_invalid_variants(simulate: Simulate) -> None:
    data = simulate(20, invalid=4)
    method = ConstrainedMaximumLikelihood(sample_size=50_000, n_draws=50)
    answer = method.fit(data, seed=3)
    assert set(answer.outliers) == {f"variant_{i + 1}" for i in range(4)}
    assert answer.b == pytest.approx(0.5, abs=0.06)
    assert answer.se == method.fit(data, seed=3).se
    plain = ConstrainedMaximumLikelihood(sample_size=50_000, perturb=False).fit(data)
    assert plain.b == pytest.approx(answer.b, abs=0.03)
    assert 0.7 < plain.se / answer.se < 1.3
    with pytest.raises(InputError, match="sample_size must be"):
        ConstrainedMaximumLikelihood(sample_size=0).fit(data)


def test_without_invalid_variants_it_is_maximum_likelihood(simulate: Simulate) -> None:
    data = simulate(12)
    answer = ConstrainedMaximumLikelihood(sample_size=1e300, perturb=False).fit(data)  # K = 0 alone has any weight
    expected = MaximumLikelihood().fit(data)
    assert answer.b == pytest.approx(expected.b, rel=1e-5)
    assert answer.se == pytest.approx(expected.se, rel=1e-4)
    assert answer.outliers == ()


def test_grip_does_not_depend_on_the_alleles_and_allows_directional_pleiotropy(simulate: Simulate) -> None:
    data = simulate(300)
    sign = np.random.default_rng(1).choice([-1.0, 1.0], 300)
    direct = 0.02 * np.sign(data.exposure) * np.abs(data.exposure) ** -1 * 0.1  # products do not depend on strength

    def turned(flip: np.ndarray) -> Associations:
        return Associations.from_arrays(
            exposure=data.exposure * flip,
            exposure_std_error=data.exposure_std_error,
            outcome=(data.outcome + direct) * flip,
            outcome_std_error=data.outcome_std_error,
        )

    one, other = Grip().fit(turned(np.ones(300))), Grip().fit(turned(sign))
    assert (one.b, one.se, one.extras["intercept"]) == pytest.approx((other.b, other.se, other.extras["intercept"]))
    assert one.b == pytest.approx(0.5, abs=0.08)
    assert InverseVarianceWeighted().fit(turned(sign)).b > 0.6


def region(seed: int = 1, p: int = 12, n: int = 20_000) -> Associations:
    """Associations of correlated variants from simulated people, in two samples."""
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(0.7 ** np.abs(np.subtract.outer(np.arange(p), np.arange(p))))
    found = []
    for effect in (1.0, 0.4):
        Z = rng.normal(size=(n, p)) @ root.T
        Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
        trait = effect * (0.2 * Z[:, 2] + 0.15 * Z[:, 8]) + rng.normal(size=n)
        trait -= trait.mean()
        beta = Z.T @ trait / n
        found += [beta, np.sqrt((trait.var() - beta**2) / (n - 2))]
    return Associations.from_arrays(
        exposure=found[0],
        exposure_std_error=found[1],
        outcome=found[2],
        outcome_std_error=found[3],
        correlation=root @ root.T,
    )


def test_principal_components_of_correlated_variants() -> None:
    errors = []
    for seed in range(20):
        answer = PrincipalComponentMoments(exposure_sample_size=20_000, outcome_sample_size=20_000).fit(region(seed))
        errors.append((answer.b - 0.4) / answer.se)
        assert answer.extras["n_components"] <= 12
    assert np.abs(np.mean(errors)) < 0.8
    assert 0.5 < np.std(errors) < 1.6
    with pytest.raises(InputError, match=r"share must lie in \(0, 1\)"):
        PrincipalComponentMoments(exposure_sample_size=1e4, outcome_sample_size=1e4, share=1.0).fit(region())
    with pytest.raises(InputError, match="larger than the number of variants"):
        PrincipalComponentMoments(exposure_sample_size=5, outcome_sample_size=1e4).fit(region())
    plain = PrincipalComponentMoments(exposure_sample_size=2e4, outcome_sample_size=2e4, over_dispersion=False)
    assert plain.fit(region()).extras["over_dispersion"] == 0.0


def test_multivariable_moments_agree_with_ivw_where_variants_are_strong() -> None:
    rng = np.random.default_rng(2)
    true = rng.normal(size=(80, 2)) @ np.array([[0.1, 0.05], [0.0, 0.08]])
    data = MultivariableAssociations.from_arrays(
        exposure=true + 0.003 * rng.normal(size=(80, 2)),
        exposure_std_error=np.full((80, 2), 0.003),
        outcome=true @ [0.5, -0.3] + 0.01 * rng.normal(size=80),
        outcome_std_error=np.full(80, 0.01),
        exposures=["ldl", "hdl"],
    )
    method = MultivariableMoments(exposure_sample_size=100_000, outcome_sample_size=10_000)
    moments, weighted = method.fit(data), MultivariableInverseVarianceWeighted().fit(data)
    for name in data.exposures:
        assert moments[name].b == pytest.approx(weighted[name].b, abs=0.5 * weighted[name].se)
        assert moments[name].se == pytest.approx(weighted[name].se, rel=0.2)
    assert method.fit(data, correlation=np.array([[1.0, 0.3], [0.3, 1.0]]))["ldl"].b != moments["ldl"].b
    with pytest.raises(InputError, match="raise share"):
        MultivariableMoments(exposure_sample_size=1e5, outcome_sample_size=1e4, share=0.01).fit(data)
    with pytest.raises(InputError, match="share must lie"):
        MultivariableMoments(exposure_sample_size=1e5, outcome_sample_size=1e4, share=2.0)
    with pytest.raises(InputError, match="positive definite 80 x 80"):
        method.fit(data, ld=np.ones((80, 80)))
    assert method.fit(data, ld=np.eye(80))["ldl"].b == pytest.approx(moments["ldl"].b)
