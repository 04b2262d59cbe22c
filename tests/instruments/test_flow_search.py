"""The ladder of flows, its test of normality, and the number of latent instruments by likelihood."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from invarmr.instruments.flow_search import (
    SearchSettings,
    _Ladder,
    _with_bends_redrawn,
    features,
    gain_over_linear,
    likelihood_path,
    mardia_p,
    search_flow,
    split_start,
    with_law,
)
from invarmr.nn.flows import Flow, GaussianLaw, LeakyMap
from invarmr.nn.maximum_likelihood import maximise

SETTINGS = {"map": "leaky", "law": "gaussian", "n_layers": 1, "n_starts": 8, "iterations": 100}


def mixed(
    seed: int, *, p: int = 1, q: int = 2, n: int = 800, slope: float = 1.0, skewed: bool = False
) -> list[torch.Tensor]:
    """Two environments of p invariant and q confounded columns, mixed by a matrix, bent and mixed again."""
    rng = np.random.default_rng(seed)
    A, B = np.random.default_rng(3).normal(size=(2, p + q, p + q))
    out = []
    for e in range(2):
        noise = rng.exponential(size=(n, p + q)) - 1 if skewed else rng.normal(size=(n, p + q))
        noise[:, p:] = noise[:, p:] * (1 + e * np.linspace(0.5, 1, q)) + 2 * e
        h = noise @ A
        z = np.where(h > 0, h, slope * h) @ B
        out.append(torch.from_numpy(z / 4))
    return out


def flow_at_identity(d: int) -> Flow:
    """A leaky map that does nothing, and normal laws."""
    flow = Flow(LeakyMap(d, 1, torch.Generator().manual_seed(1)), GaussianLaw(d, 0, 2))
    with torch.no_grad():
        flow.map.C[0].copy_(torch.eye(d))
        flow.map.a[0].zero_()
        flow.map.b[0].zero_()
    return flow


def test_mardia_does_not_mind_scales_and_does_not_break_on_collinear_columns() -> None:
    x = np.random.default_rng(1).normal(size=(300, 3))
    plain = mardia_p([x, 2 * x])
    assert 0.05 < plain <= 1
    assert mardia_p([x * [1.0, 1e-9, 1e6], x]) == pytest.approx(plain, rel=1e-6)
    for last in (x[:, 0] + x[:, 1], np.zeros(300)):
        assert mardia_p([np.column_stack([x[:, :2], last])]) < 1e-6


def test_the_gain_over_a_linear_map() -> None:
    """0 for a map that does nothing; a bent mixing gains by much, a straight one nothing that held-out people see."""
    learned, new = mixed(1, slope=0.2), mixed(2, slope=0.2)
    flow = flow_at_identity(3)
    flow.train()
    flow(learned)  # the law takes the moments of these rows
    flow.eval()
    gain, _ = gain_over_linear(flow, learned, new)
    assert gain == pytest.approx(0, abs=2e-3)  # variances over n and over n - 1
    for slope, gains in ((0.2, True), (1.0, False)):
        learned, new = mixed(1, slope=slope), mixed(2, slope=slope)
        flow, _ = search_flow(
            learned, mixed(3, slope=slope), SearchSettings(**SETTINGS), n_latent=None, rng=np.random.default_rng(1)
        )
        gain, std_error = gain_over_linear(flow, learned, new)
        assert (gain > 5 * std_error) is gains
        assert (gain > 2 * std_error) is gains


def test_mardia_has_its_formula() -> None:
    x = np.random.default_rng(1).normal(size=(60, 2)) ** 2
    s = np.linalg.inv(np.cov(x.T, bias=True))
    centred = x - x.mean(axis=0)
    products = centred @ s @ centred.T
    from scipy import stats

    skewness = stats.chi2.sf(60 * np.mean(products**3) / 6, 4)
    kurtosis = 2 * stats.norm.sf(abs(np.mean(np.diag(products) ** 2) - 8) / np.sqrt(64 / 60))
    assert mardia_p([x]) == pytest.approx(min(1, 2 * min(skewness, kurtosis)), rel=1e-9)


def test_mardia_keeps_its_level_and_sees_what_is_not_normal() -> None:
    rng = np.random.default_rng(2)
    normal = [mardia_p([rng.normal(size=(1_000, 4)) * 3 + 1 for _ in range(2)]) for _ in range(200)]
    assert np.mean(np.array(normal) < 0.05) <= 0.10  # binomial band of a test at 0.05: 0.02 to 0.10
    assert mardia_p([rng.normal(size=(1_000, 4)), rng.exponential(size=(1_000, 4))]) < 1e-6


@pytest.mark.parametrize(("p", "q"), [(1, 2), (2, 1)])
def test_held_out_likelihood_prefers_the_true_number(p: int, q: int) -> None:
    chosen, path = likelihood_path(flow_at_identity(p + q), mixed(1, p=p, q=q), mixed(2, p=p, q=q))
    assert chosen == p
    assert [step[0] for step in path] == [1, 2]
    assert max(path, key=lambda step: step[1])[2] == 0
    if p == 1:
        assert path[1][1] < path[0][1] - 5 * path[1][2]


def test_the_split_starts_at_the_most_invariant_direction() -> None:
    rows = mixed(1)
    basis, centre = split_start(flow_at_identity(3), rows)
    first = [((z - centre) @ basis)[:, 0] for z in rows]
    assert abs(float(first[0].mean() - first[1].mean())) < 0.15
    last = [((z - centre) @ basis)[:, 2] for z in rows]
    assert abs(float(last[0].mean() - last[1].mean())) > 0.5


def test_nearly_collinear_features_still_have_a_split_of_all_their_directions() -> None:
    rows = mixed(1)
    squeeze = torch.eye(3, dtype=torch.float64)
    squeeze[:, 2] = squeeze[:, 0] + 1e-5 * squeeze[:, 2]  # the last column repeats the first but for 1e-5 of itself
    squeezed = [z @ squeeze for z in rows]
    basis, centre = split_start(flow_at_identity(3), squeezed)
    plain, _ = split_start(flow_at_identity(3), rows)
    assert basis.shape == (3, 3)
    split = torch.vstack([(z - centre) @ basis for z in squeezed])
    first = torch.vstack(rows) @ plain[:, 0]
    assert abs(np.corrcoef(split[:, 0].numpy(), first.numpy())[0, 1]) > 0.999
    for p in (1, 2):
        law = with_law(flow_at_identity(3), squeezed, p, "gaussian", seed=1)
        assert all(torch.isfinite(value).all() for value in law(squeezed))


def test_restarts_find_the_bends_and_normal_features_end_the_ladder() -> None:
    settings = SearchSettings(**{**SETTINGS, "map": "auto", "law": "auto", "n_layers": None})
    training, validation = mixed(1, slope=0.2), mixed(2, slope=0.2, n=400)
    flow, steps = search_flow(training, validation, settings, n_latent=None, rng=np.random.default_rng(1))
    assert [(step.map, step.n_layers, step.law, step.kept) for step in steps] == [("leaky", 1, "gaussian", True)]
    assert steps[0].normal_p > 0.01
    slopes = torch.exp(flow.map.a[0].detach().abs())
    np.testing.assert_allclose(slopes.numpy(), 5, rtol=0.3)
    before = mardia_p([z.numpy() for z in validation])
    assert before < 1e-6 < mardia_p(features(flow, validation))


def test_a_bend_in_a_wrong_place_is_drawn_anew() -> None:
    """A straight bend, far from the people, has no gradient: ascent stays there, and drawing it anew leads out."""
    rows, fresh = mixed(1, slope=0.2, n=300), mixed(2, slope=0.2, n=300)
    flow = Flow(LeakyMap(3, 1, torch.Generator().manual_seed(3)), GaussianLaw(3, 0, 2))
    with torch.no_grad():
        B = torch.from_numpy(np.random.default_rng(3).normal(size=(2, 3, 3))[1])
        flow.map.C[0].copy_(torch.linalg.inv(B).T * 4)
        flow.map.b[0].copy_(torch.tensor([0.0, 0.0, 40.0]))
        flow.map.a[0].copy_(torch.tensor([np.log(5), np.log(5), 0.0]))
        flow.map.set_width(0.1)
    maximise(flow, rows, iterations=100)
    stuck = float(torch.cat(flow.likelihood(fresh)).mean())
    freed = _with_bends_redrawn(flow, rows, 100, np.random.default_rng(1))
    assert float(torch.cat(freed.likelihood(fresh)).mean()) > stuck + 0.1
    assert mardia_p(features(freed, fresh)) > 0.001 > mardia_p(features(flow, fresh))
    again = _with_bends_redrawn(freed, rows, 100, np.random.default_rng(2))
    assert float(torch.cat(again.likelihood(rows)).mean()) >= float(torch.cat(freed.likelihood(rows)).mean()) - 1e-3


def test_richer_flows_are_tried_where_features_are_not_normal() -> None:
    settings = SearchSettings(**{**SETTINGS, "map": "auto", "law": "auto", "n_starts": 2, "iterations": 30})
    training, validation = mixed(1, skewed=True, n=300), mixed(2, skewed=True, n=300)
    _, steps = search_flow(training, validation, settings, n_latent=1, rng=np.random.default_rng(1))
    assert [step.law for step in steps[:3]] == ["gaussian", "shared", "free"]
    assert steps[3].map == "leaky + spline"
    assert steps[0].normal_p < 0.01
    for step in steps[1:]:
        assert step.kept == (step.gain > 2 * step.std_error)
    assert [step.n_latent for step in steps[:3]] == [0, 1, 1]


def test_a_flow_is_kept_only_for_a_gain() -> None:
    """Exponential columns as they are: splines fit them, normal laws do not."""
    rng = np.random.default_rng(4)
    training, validation = ([torch.from_numpy(rng.exponential(size=(500, 2)) + e) for e in range(2)] for _ in range(2))
    plain = flow_at_identity(2)
    with torch.no_grad():
        plain(training)
    ladder = _Ladder(training, validation)
    assert ladder.offer(plain, map="leaky", n_layers=1, law="gaussian")
    assert not ladder.normal
    richer = with_law(plain, training, 1, "shared", seed=1)
    maximise(richer, training, iterations=30, validation=validation)
    assert ladder.offer(richer, map="leaky", n_layers=1, law="shared", n_latent=1)
    assert not ladder.offer(plain, map="leaky", n_layers=1, law="gaussian")
    assert ladder.flow is richer
    assert ladder.steps[1].gain == pytest.approx(-ladder.steps[2].gain)
    assert ladder.steps[1].gain > 0.1


def test_a_spline_map_can_be_asked_for() -> None:
    settings = SearchSettings(**{**SETTINGS, "map": "spline", "n_layers": 1, "n_starts": 2, "iterations": 30})
    flow, steps = search_flow(mixed(1, n=200), mixed(2, n=200), settings, n_latent=None, rng=np.random.default_rng(1))
    assert [(step.map, step.law) for step in steps] == [("spline", "gaussian")]
    assert features(flow, mixed(3, n=50))[1].shape == (50, 3)


def test_likelihood_of_a_split_uses_what_no_environment_changes() -> None:
    """The split by likelihood agrees with the invariant direction, which is column 0 before mixing."""
    rows = mixed(1, n=3_000)
    flow = with_law(flow_at_identity(3), rows, 1, "gaussian", seed=0)
    maximise(flow, rows, iterations=60)
    W = [u @ flow.law.rotation.L.detach().numpy()[0] for u in features(flow, rows)]
    invariant = [np.linalg.solve(np.random.default_rng(3).normal(size=(2, 3, 3))[0].T, x) for x in _unmixed(rows)]
    for found, truth in zip(W, invariant, strict=True):
        assert abs(np.corrcoef(found, truth[0])[0, 1]) > 0.99


def _unmixed(rows: list[torch.Tensor]) -> list[np.ndarray]:
    B = np.random.default_rng(3).normal(size=(2, 3, 3))[1]
    return [np.linalg.solve(B.T, 4 * z.numpy().T) for z in rows]
