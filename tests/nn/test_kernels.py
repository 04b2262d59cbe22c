"""Kernels by explicit features against the definition, pair of rows by pair of rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import vmap

from invarmr.errors import InputError
from invarmr.nn.feature_maps import distance_features, median_distance, monomials, rbf_features, whiten
from invarmr.nn.kernels import check_kernels, environment_hsic, hsic, mmd_squared

RBF = (0.5, 1.0, 2.0)


def rows(n: int, p: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(p, n)))


def gram(x: np.ndarray, kernel: str, scale: float) -> np.ndarray:
    """The n x n matrix of a kernel by a double loop over rows (n, p)."""
    K = np.empty((len(x), len(x)))
    for i, a in enumerate(x):
        for j, b in enumerate(x):
            if kernel == "rbf":
                K[i, j] = np.mean([np.exp(-np.sum((a - b) ** 2) / (2 * (s * scale) ** 2)) for s in RBF])
            elif kernel == "orthogonality":
                K[i, j] = a @ b
            else:
                K[i, j] = (a @ b + 1) ** int(kernel[-1])
    return K


def naive_mmd(x: np.ndarray, y: np.ndarray, kernel: str, scale: float, *, unbiased: bool) -> float:
    K = gram(np.vstack([x, y]), kernel, scale)
    n, m = len(x), len(y)
    own = []
    for block, size in ((K[:n, :n], n), (K[n:, n:], m)):
        own.append((block.sum() - np.trace(block)) / (size * (size - 1)) if unbiased else block.mean())
    return sum(own) - 2 * K[:n, n:].mean()


def naive_hsic(x: np.ndarray, y: np.ndarray, kernel: str, scales: tuple[float, float], *, unbiased: bool) -> float:
    K, L = gram(x, kernel, scales[0]), gram(y, kernel, scales[1])
    n = len(x)
    if not unbiased:
        H = np.eye(n) - 1 / n
        return float(np.trace(K @ H @ L @ H)) / n**2
    np.fill_diagonal(K, 0), np.fill_diagonal(L, 0)
    one = np.ones(n)
    both = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    return float(np.trace(K @ L) + both - 2 / (n - 2) * one @ K @ L @ one) / (n * (n - 3))


@pytest.mark.parametrize("kernel", ["polynomial2", "polynomial3"])
@pytest.mark.parametrize("unbiased", [False, True])
def test_polynomial_mmd_is_the_double_loop_averaged_over_pairs(kernel, unbiased) -> None:
    W, sizes = rows(24, 2, 0), (9, 8, 7)
    parts = [part.numpy().T for part in W.split(sizes, 1)]
    pairs = [naive_mmd(parts[e], parts[f], kernel, 1.0, unbiased=unbiased) for e, f in ((0, 1), (0, 2), (1, 2))]
    assert float(mmd_squared(W, sizes, kernel, unbiased=unbiased)) == pytest.approx(np.mean(pairs), rel=1e-9)


@pytest.mark.parametrize("kernel", ["polynomial2", "polynomial3", "orthogonality"])
@pytest.mark.parametrize("unbiased", [False, True])
def test_hsic_is_the_double_loop(kernel, unbiased) -> None:
    W, V = rows(15, 2, 1), rows(15, 3, 2) + 1
    expected = naive_hsic(W.numpy().T, V.numpy().T, kernel, (1.0, 1.0), unbiased=unbiased)
    assert float(hsic(W, V, kernel, unbiased=unbiased)) == pytest.approx(expected, rel=1e-9)


def test_random_fourier_features_come_near_the_rbf_kernel() -> None:
    W, V = rows(60, 2, 3), rows(60, 2, 3) ** 2 + 0.3 * rows(60, 2, 4)
    scales = (float(median_distance(W)), float(median_distance(V)))
    pairwise = np.sqrt(((W.numpy().T[:, None] - W.numpy().T[None]) ** 2).sum(-1))
    assert scales[0] == pytest.approx(np.median(pairwise[np.triu_indices(60, 1)]), rel=0.15)
    assert float(mmd_squared(W, (30, 30), "rbf")) == pytest.approx(
        naive_mmd(W.numpy().T[:30], W.numpy().T[30:], "rbf", scales[0], unbiased=False), rel=0.2
    )
    assert float(hsic(W, V, "rbf")) == pytest.approx(
        naive_hsic(W.numpy().T, V.numpy().T, "rbf", scales, unbiased=False), rel=0.2
    )
    phi = rbf_features(W)
    assert torch.allclose(phi.square().sum(0), torch.ones(60, dtype=torch.float64))
    assert float((phi.T @ phi - torch.from_numpy(gram(W.numpy().T, "rbf", scales[0]))).abs().max()) < 0.25


def test_mean_var_compares_means_and_covariances() -> None:
    W = rows(50, 2, 5)
    W[:, 30:] = 2 * W[:, 30:] + 1
    a, b = W[:, :30].numpy(), W[:, 30:].numpy()
    expected = np.mean((a.mean(1) - b.mean(1)) ** 2) + np.mean((np.cov(a) - np.cov(b)) ** 2)
    assert float(mmd_squared(W, (30, 20), "mean_var")) == pytest.approx(expected, rel=1e-9)


# dcor 0.7, distance_correlation_sqr of the same rows (importing dcor loads numba, which resets torch's threads)
DCOR = {
    (1, 1): (0.008025, 0.222372, 0.510665),
    (2, 2): (0.018896, 0.138083, 0.442606),
    (3, 2): (0.022912, 0.098335, 0.377373),
}


@pytest.mark.parametrize(("p", "q"), DCOR)
def test_distance_correlation_against_dcor(p, q) -> None:
    W = rows(300, p, 6)
    laws = (rows(300, q, 7), W[:1] ** 2 + 0.5 * rows(300, q, 8), W[:1] + rows(300, q, 9))
    for V, expected in zip(laws, DCOR[p, q], strict=True):
        assert float(hsic(W, V, "distance_correlation")) == pytest.approx(expected, abs=0.02)


def test_distance_features_give_distances() -> None:
    x = rows(40, 2, 10)
    scale = x.var(1, correction=0).mean().sqrt()
    phi = distance_features(x)
    squared = (phi[:, :, None] - phi[:, None]).square().sum(0)  # k(x,x) + k(y,y) - 2 k(x,y) = |x - y|
    distance = (x[:, :, None] - x[:, None]).square().sum(0).sqrt() / scale
    assert float((squared - distance).abs().max()) < 0.12
    assert float((squared - distance)[~torch.eye(40, dtype=torch.bool)].abs().mean()) < 0.04


@pytest.mark.parametrize("kernel", ["polynomial2", "polynomial3", "mean_var", "rbf"])
def test_mmd_runs_under_vmap_and_differentiates(kernel) -> None:
    W = torch.stack([rows(20, 2, seed) for seed in (0, 1, 2)]).requires_grad_()
    one_by_one = torch.stack([mmd_squared(w, (12, 8), kernel) for w in W])
    assert torch.allclose(vmap(lambda w: mmd_squared(w, (12, 8), kernel))(W), one_by_one)
    assert torch.allclose(mmd_squared(W, (12, 8), kernel), one_by_one)
    (gradient,) = torch.autograd.grad(one_by_one.sum(), [W])
    assert bool(gradient.isfinite().all())
    assert bool((gradient != 0).any())


@pytest.mark.parametrize("kernel", ["polynomial2", "polynomial3", "rbf", "orthogonality", "distance_correlation"])
def test_hsic_runs_under_vmap_and_sums_over_environments(kernel) -> None:
    W = torch.stack([rows(20, 2, seed) for seed in (0, 1, 2)])
    V = W.flip(-2) ** 2 + 0.2
    each = vmap(lambda w, v: environment_hsic(w, v, (12, 8), kernel))(W, V)
    assert torch.allclose(environment_hsic(W, V, (12, 8), kernel), each)
    if kernel not in ("rbf", "distance_correlation"):  # these take their scale from all rows
        expected = (
            2 * hsic(W, V, kernel) + hsic(W[..., :12], V[..., :12], kernel) + hsic(W[..., 12:], V[..., 12:], kernel)
        )
        assert torch.allclose(each, expected)


@pytest.mark.parametrize("kernel", ["polynomial2", "polynomial3", "mean_var"])
def test_scale_invariant_forms_do_not_see_a_linear_map(kernel) -> None:
    W, V = rows(80, 2, 11), rows(80, 2, 12)
    V = V + W**2
    A = torch.tensor([[0.1, 0.0], [0.3, 0.2]], dtype=torch.float64)
    assert float(mmd_squared(A @ W, (40, 40), kernel)) != pytest.approx(
        float(mmd_squared(W, (40, 40), kernel)), rel=0.5
    )
    plain, mapped = (mmd_squared(x, (40, 40), kernel, scale_invariant=True) for x in (W, 0.1 * W))
    assert float(plain) == pytest.approx(float(mapped), rel=1e-4)
    rotated = mmd_squared(A @ W, (40, 40), "polynomial2", scale_invariant=True)
    assert float(rotated) == pytest.approx(float(mmd_squared(W, (40, 40), scale_invariant=True)), rel=1e-3)
    assert float(hsic(0.1 * W, 5 * V, scale_invariant=True)) == pytest.approx(
        float(hsic(W, V, scale_invariant=True)), rel=1e-4
    )
    white = whiten(W)
    assert torch.allclose(white @ white.T / 80, torch.eye(2, dtype=torch.float64), atol=1e-4)


def test_monomials_are_all_products_up_to_the_degree() -> None:
    x = torch.tensor([[2.0], [3.0]])
    assert monomials(x, 1)[:, 0].tolist() == [1, 2, 3]
    assert sorted(monomials(x, 3)[:, 0].tolist()) == sorted([1, 2, 3, 4, 6, 9, 8, 12, 18, 27])


def test_an_unknown_kernel_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="invariance_kernel must be one of polynomial2, polynomial3, mean_var, rbf"):
        check_kernels("gaussian", "rbf")
    with pytest.raises(InputError, match=r"independence_kernel must be one of .*'hsic'"):
        check_kernels("rbf", "hsic")
