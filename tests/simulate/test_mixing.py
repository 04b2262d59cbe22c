from itertools import product

import numpy as np
import pytest

from invarmr.simulate.mixing import MIXINGS, clip_condition, draw_mixing, monomial_powers, monomials

U = np.random.default_rng(5).normal(size=(500, 4))


def draw(name, seed=0, **settings):
    return draw_mixing(name, n_latent=4, rng=np.random.default_rng(seed), **settings)


@pytest.mark.parametrize(("degree", "count"), [(0, 1), (1, 5), (2, 15), (3, 35)])
def test_monomials_are_all_of_them_once(degree, count):
    powers = monomial_powers(4, degree)
    every = {row for row in product(range(degree + 1), repeat=4) if sum(row) <= degree}
    assert len(powers) == count
    assert {tuple(row) for row in powers.tolist()} == every
    naive = np.column_stack([np.prod(U**row, axis=1) for row in powers])
    np.testing.assert_allclose(monomials(U, degree), naive, rtol=1e-12)


def test_conditioning_lifts_small_singular_values_to_a_fifth_of_the_largest():
    A = np.random.default_rng(1).standard_normal((35, 35))
    before, after = (np.linalg.svd(M, compute_uv=False) for M in (A, clip_condition(A)))
    np.testing.assert_allclose(after, np.maximum(before, before[0] / 5), rtol=1e-10)
    assert before[-1] < before[0] / 5


@pytest.mark.parametrize(
    ("name", "d"), [("none", 4), ("linear", 4), ("poly1", 5), ("poly2", 15), ("poly3", 35), ("mlp", 4)]
)
def test_sizes_and_degrees(name, d):
    mixing = draw(name)
    assert mixing.n_instruments == d
    assert mixing(U).shape == (500, d)
    assert mixing.degree == {"none": 1, "linear": 1, "mlp": 0}.get(name, int(name[-1]) if name[-1].isdigit() else 0)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_polynomial_mixing_is_a_well_conditioned_square_map_of_the_monomials(degree):
    Z, M = draw(f"poly{degree}")(U), monomials(U, degree)
    A = np.linalg.lstsq(M, Z, rcond=None)[0]
    np.testing.assert_allclose(M @ A, Z, atol=1e-8)
    assert np.linalg.cond(A) < 5.0 + 1e-6


def test_linear_mixing_has_no_constant():
    np.testing.assert_allclose(draw("linear")(np.zeros((1, 4))), 0.0)
    np.testing.assert_array_equal(draw("none")(U), U)


def test_the_network_is_invertible_and_homogeneous_with_the_stated_slope():
    mixing = draw("mlp")
    generator = np.random.default_rng(0)
    weights = [generator.uniform(-1, 1, (4, 4)) for _ in range(2)]
    A, B = (w / np.linalg.norm(w, axis=0) for w in weights)
    Z = mixing(U)
    hidden = Z @ np.linalg.inv(B)
    np.testing.assert_allclose(np.where(hidden > 0, hidden, hidden / 0.2) @ np.linalg.inv(A), U, atol=1e-9)
    np.testing.assert_allclose(mixing(3.0 * U), 3.0 * Z, rtol=1e-12)
    np.testing.assert_allclose([np.linalg.norm(M, axis=0) for M in (A, B)], 1.0)


def test_the_discrete_mixing_gives_the_largest_of_three_logits():
    mixing = draw("discrete", n_instruments=7, center=np.full(4, 0.5), scale=np.full(4, 2.0))
    Z = mixing(U)
    assert Z.shape == (500, 7)
    assert set(np.unique(Z)) == {0.0, 1.0, 2.0}
    logits = mixing.continuous(U).reshape(500, 7, 3)
    np.testing.assert_array_equal(np.take_along_axis(logits, Z.astype(int)[:, :, None], 2)[:, :, 0], logits.max(axis=2))
    plain = draw("discrete", n_instruments=7)
    np.testing.assert_allclose(mixing.continuous(U), plain.continuous((U - 0.5) / 2))
    assert draw("discrete").n_instruments == 20


@pytest.mark.parametrize("name", MIXINGS)
def test_rows_are_independent_and_the_seed_decides(name):
    mixing = draw(name)
    np.testing.assert_allclose(mixing(U)[:50], mixing(U[:50]), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(mixing(U), draw(name)(U))
    if name != "none":
        assert not np.allclose(mixing(U), draw(name, seed=1)(U))


def test_noise_is_added_before_the_map_is_made_discrete():
    noise = np.random.default_rng(2).normal(size=(500, 4))
    np.testing.assert_allclose(draw("linear")(U, noise), draw("linear")(U) + noise)
    mixing = draw("discrete", n_instruments=3)
    noisy = mixing(U, np.tile([0.0, 100.0, 0.0], (500, 3)))
    np.testing.assert_array_equal(noisy, 1.0)
