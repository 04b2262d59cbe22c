import numpy as np
import pytest
from scipy import stats

from invarmr.diagnostics.conditional_independence import conditional_independence
from invarmr.errors import InputError


def draw(rng, n=1_000, shared=0.0):
    """X and Y depend on Z in different nonlinear ways, with noise whose size moves with Z, and share `shared`."""
    Z = rng.normal(size=(n, 2))
    common = rng.normal(size=(n, 1))
    X = np.column_stack([np.sin(2 * Z[:, 0]), Z[:, 1] ** 2]) + rng.normal(size=(n, 2)) * (1 + Z[:, :1] ** 2) / 2
    Y = np.column_stack([Z[:, 0] * Z[:, 1], np.abs(Z[:, 1])]) + rng.normal(size=(n, 2))
    X[:, :1] += shared * common
    Y[:, 1:] += shared * common
    return X, Y, Z


def p_values(count, **settings):
    rng = np.random.default_rng(11)
    return np.array([
        conditional_independence(*draw(rng, **settings), seed=k, n_features=100, n_draws=2_000).p_value
        for k in range(count)
    ])  # fmt: skip


def test_size_and_power_by_monte_carlo():
    count, level = 200, 0.1
    rejected = int((p_values(count) < level).sum())
    low, high = stats.binom.ppf([0.001, 0.999], count, level)
    assert low <= rejected <= high
    assert (p_values(20, shared=0.6) < level).mean() > 0.9


def test_marginal_dependence_alone_is_not_rejected_but_would_be_without_z():
    X, Y, Z = draw(np.random.default_rng(0), n=4_000)
    X = X + Z
    Y = Y + Z
    assert np.abs(np.corrcoef(X.T, Y.T)[:2, 2:]).max() > 0.2
    assert conditional_independence(X, Y, Z).p_value > 0.01
    assert conditional_independence(X, Y, np.random.default_rng(1).normal(size=(4_000, 1))).p_value < 1e-3


def test_the_largest_pair_is_named_and_single_pairs_are_exact():
    X, Y, Z = draw(np.random.default_rng(2), shared=1.0)
    answer = conditional_independence(X, Y, Z, n_draws=500)
    assert answer.pairs.shape == (2, 2)
    assert answer.statistic == np.abs(answer.pairs).max() == abs(answer.pairs[0, 1])
    assert answer.p_value == 1 / 501
    one = conditional_independence(X[:, :1], Y[:, 1:], Z)
    assert one.p_value == pytest.approx(2 * stats.norm.sf(one.statistic))
    assert answer.n_samples == 1_000


def test_constant_columns_do_not_break_it():
    X, Y, Z = draw(np.random.default_rng(4))
    answer = conditional_independence(np.column_stack([X, np.ones(1_000)]), Y, Z)
    assert (answer.pairs[2] == 0).all()
    assert np.isfinite(answer.p_value)


def test_the_seed_decides():
    data = draw(np.random.default_rng(5))
    first, second = (conditional_independence(*data, seed=3) for _ in range(2))
    assert first.p_value == second.p_value
    assert conditional_independence(*data, seed=4).statistic != first.statistic


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((10, 1), (10, 1), (10, 1)), "At least 50 rows"),
        (((60, 0), (60, 1), (60, 1)), "one column each"),
        (((60, 1), (59, 1), (60, 1)), "y must have 60 rows"),
    ],
)
def test_bad_input(shapes, message):
    with pytest.raises(InputError, match=message):
        conditional_independence(*(np.zeros(shape) for shape in shapes))
