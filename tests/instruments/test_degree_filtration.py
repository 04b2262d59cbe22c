from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg, optimize

from invarmr.instruments.degree_filtration import Span, filter_degrees, n_monomials


def span(seed: int, *, n: int = 800, noise: float = 0.0) -> tuple[Span, np.ndarray]:
    """Two latent variables, all polynomials of degree two in them, mixed; and the latent variables."""
    generator = np.random.default_rng(seed)
    environment = np.repeat([0, 1], n // 2)
    u = generator.normal(size=(n, 2)) * (1 + environment[:, None]) + environment[:, None]
    terms = np.column_stack([u, u[:, 0] ** 2, u[:, 0] * u[:, 1], u[:, 1] ** 2])
    values = terms @ generator.normal(size=(5, 5))
    return Span(values + noise * generator.normal(size=values.shape), environment), u


def test_the_gradient_is_the_gradient() -> None:
    spanned, _ = span(1, noise=0.5)
    a = np.random.default_rng(2).normal(size=5)
    for degree in (2, 3):
        numeric = optimize.approx_fprime(a, lambda x, r=degree: spanned.power_share(x, spanned.X, r)[0], 1e-7)
        np.testing.assert_allclose(spanned.power_share(a, spanned.X, degree)[1], numeric, rtol=1e-4, atol=1e-6)


def test_shares_are_those_of_least_squares_on_the_instruments_and_environments() -> None:
    spanned, _ = span(3, noise=0.5)
    a = np.array([1.0, 0.3, 0, 0, 0])
    y = spanned.X @ (a / linalg.norm(a))
    constants = (np.repeat([0, 1], 400)[:, None] == [0, 1]).astype(float)
    full = np.hstack([constants, spanned.X])
    left = y**2 - full @ np.linalg.lstsq(full, y**2, rcond=None)[0]
    within = y**2 - constants @ np.linalg.lstsq(constants, y**2, rcond=None)[0]
    expected = (left @ left / (800 - 7)) / (within @ within / (800 - 2))
    assert spanned.power_share(a, spanned.X, 2)[0] == pytest.approx(expected, rel=1e-10)
    assert spanned.monomial_share(a[:, None] / linalg.norm(a), 2) == pytest.approx(expected, rel=1e-10)


def test_the_latent_space_is_recovered_and_the_directions_are_orthonormal() -> None:
    spanned, u = span(4)
    found = filter_degrees(
        spanned,
        degree=None,
        n_components=None,
        max_degree=4,
        tolerance=0.1,
        n_starts=5,
        generator=np.random.default_rng(1),
    )
    assert found is not None
    assert (found.degree, found.n_components, found.complete, found.n_null) == (2, 2, True, 0)
    assert found.residual < 1e-24
    directions = spanned.X @ np.linalg.lstsq(spanned.whitener, found.directions, rcond=None)[0]
    np.testing.assert_allclose(directions.T @ directions / 800, np.eye(2), atol=1e-8)
    design = np.column_stack([np.ones(800), directions])
    residual = u - design @ np.linalg.lstsq(design, u, rcond=None)[0]
    assert np.abs(residual).max() < 1e-9


def test_normal_variables_have_no_square_in_their_span() -> None:
    values = np.random.default_rng(1).normal(size=(600, 5))
    found = filter_degrees(
        Span(values, np.repeat([0, 1], 300)),
        degree=None,
        n_components=None,
        max_degree=3,
        tolerance=0.1,
        n_starts=4,
        generator=np.random.default_rng(1),
    )
    assert found is None


def test_two_far_clumps_do_not_make_squares_linear() -> None:
    generator = np.random.default_rng(1)
    environment = np.repeat([0, 1], [900, 100])
    values = generator.normal(size=(1_000, 3)) + 30.0 * environment[:, None]
    y = values[:, 0] - values[:, 0].mean()
    assert np.corrcoef(y, y**2)[0, 1] ** 2 > 0.95  # pooled, the square is all but linear
    spanned = Span(values, environment)
    answer = optimize.minimize(spanned.power_share, np.ones(3), args=(spanned.X, 2), jac=True)
    assert answer.fun > 0.5


def test_numbers_of_monomials() -> None:
    assert [n_monomials(4, r) for r in (1, 2, 3)] == [4, 14, 34]
