"""Flows, term by term: change of variables against the Jacobian, laws against closed forms, total mass 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from invarmr.nn.flows import ComposedMap, Flow, GaussianLaw, LeakyMap, SplineLaw, SplineMap


def generator(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int, d: int, seed: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


MAPS = {
    "one leaky layer": lambda: LeakyMap(3, 1, generator(), width=0.2),
    "two leaky layers": lambda: LeakyMap(3, 2, generator(2)),
    "splines": lambda: SplineMap(3, 2, seed=3),
    "both": lambda: ComposedMap(LeakyMap(3, 1, generator(4)), SplineMap(3, 1, seed=4)),
}


@pytest.mark.parametrize("kind", MAPS)
def test_log_determinant_is_that_of_the_jacobian(kind: str) -> None:
    flow, z = MAPS[kind](), rows(6, 3)
    _, log_det = flow(z)
    for row, value in zip(z, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x, flow=flow: flow(x[None])[0][0], row)
        assert float(value.detach()) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), abs=1e-9)


@pytest.mark.parametrize("kind", MAPS)
def test_inverse_undoes_the_map(kind: str) -> None:
    flow, z = MAPS[kind](), 2 * rows(50, 3)
    with torch.no_grad():
        torch.testing.assert_close(flow.inverse(flow(z)[0]), z, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", MAPS)
def test_maps_follow_from_the_seed(kind: str) -> None:
    with torch.no_grad():
        torch.manual_seed(0)
        first = MAPS[kind]()(rows(5, 3))[0]
        torch.manual_seed(1)
        assert torch.equal(first, MAPS[kind]()(rows(5, 3))[0])


def test_splines_begin_near_the_identity() -> None:
    spline, z = SplineMap(3, 1, seed=3), rows(50, 3)
    rotation = spline.get_buffer("rotation_0")
    with torch.no_grad():
        values, log_det = spline(z)
    torch.testing.assert_close(values @ rotation.T, z, atol=0.02, rtol=0)
    assert float(log_det.abs().max()) < 0.05


def test_a_narrow_bend_is_a_leaky_relu() -> None:
    bent, z = LeakyMap(3, 1, generator(), width=1e-8), rows(20, 3)
    with torch.no_grad():
        h = z @ bent.C[0].T + bent.b[0]
        expected = torch.where(h > 0, h, h * torch.exp(bent.a[0]))
        torch.testing.assert_close(bent(z)[0], expected, atol=1e-6, rtol=0)


def test_appended_layers_come_after() -> None:
    first, second, z = LeakyMap(3, 1, generator(1)), LeakyMap(3, 1, generator(2)), rows(5, 3)
    with torch.no_grad():
        expected = second(first(z)[0])[0]
        first.append(second)
        torch.testing.assert_close(first(z)[0], expected)


def test_widths_are_searched_for_only_when_free() -> None:
    bent = LeakyMap(2, 2, generator())
    bent.free_width(False)
    assert sum(p.requires_grad for p in bent.parameters()) == 6
    bent.free_width(True)
    assert all(p.requires_grad for p in bent.parameters())


def environments() -> list[torch.Tensor]:
    return [rows(400, 3, 6), 1.5 * rows(500, 3, 7) + torch.tensor([1.0, 0.0, -2.0])]


def test_normal_law_without_split_is_the_normal_of_each_environment() -> None:
    law, u = GaussianLaw(3, 0, 2), environments()
    found = law(u)
    for x, value in zip(u, found, strict=True):
        expected = stats.multivariate_normal(x.mean(0).numpy(), np.cov(x.numpy().T, bias=True)).logpdf(x.numpy())
        np.testing.assert_allclose(value.numpy(), expected, atol=1e-9)


def test_normal_law_with_split_is_a_product_of_what_knows_the_environment_and_what_does_not() -> None:
    start, centre = rows(3, 3, 8), torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    law, u = GaussianLaw(3, 1, 2, start, centre), environments()
    for x, value in zip(u, law(u), strict=True):
        split = ((x - centre) @ start).numpy()
        V = split[:, 1:]
        expected = stats.norm.logpdf(split[:, 0]) + math.log(abs(float(torch.linalg.det(start))))
        expected += stats.multivariate_normal(V.mean(axis=0), np.cov(V.T, bias=True)).logpdf(V)
        np.testing.assert_allclose(value.detach().numpy(), expected, atol=1e-9)


def test_new_people_are_judged_by_the_moments_of_those_learned_from() -> None:
    flow = Flow(LeakyMap(3, 1, generator()), GaussianLaw(3, 0, 2))
    u = environments()
    fitted = flow(u)
    again = flow.likelihood(u)
    for a, b in zip(fitted, again, strict=True):
        torch.testing.assert_close(a.detach(), b)
    moved = flow.likelihood([x + 3 for x in u])
    assert float(torch.cat(moved).mean()) < float(torch.cat(again).mean()) - 1
    torch.testing.assert_close(torch.cat(flow.likelihood(u)), torch.cat(again))
    assert flow.training


LAWS = {
    "normal": lambda: GaussianLaw(2, 0, 2),
    "normal, split": lambda: GaussianLaw(2, 1, 2, rows(2, 2, 8)),
    "shared": lambda: SplineLaw(2, 1, 2, rows(2, 2, 8), shared=True, seed=3),
    "free": lambda: SplineLaw(2, 1, 2, rows(2, 2, 8), shared=False, seed=3),
}


@pytest.mark.parametrize("name", LAWS)
def test_densities_integrate_to_one_in_every_environment(name: str) -> None:
    flow = Flow(LeakyMap(2, 1, generator(3)), LAWS[name]())
    flow([rows(300, 2, 6), 1.2 * rows(300, 2, 7) + 1.0])
    line = torch.linspace(-25, 25, 1001, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    for value in flow.likelihood([grid, grid]):
        assert float(torch.exp(value).sum()) * float(line[1] - line[0]) ** 2 == pytest.approx(1.0, abs=0.01)


def test_a_shared_law_differs_between_environments_in_location_and_scale_alone() -> None:
    u = [rows(400, 2, 6), 2 * rows(400, 2, 6) + 1.0]
    gaps = {}
    for name in ("shared", "free"):
        law = SplineLaw(2, 1, 2, shared=name == "shared", seed=3)
        with torch.no_grad():
            for parameter in law.confounded.parameters():
                parameter.mul_(3)  # away from the identity, where all laws begin
            confounded = [law.confounded(_label(law, e)).log_prob(rows(10, 1, 9)) for e in range(2)]
            law(u)
        gaps[name] = float((confounded[0] - confounded[1]).abs().max())
    assert gaps["shared"] == 0
    assert gaps["free"] > 1e-5


def _label(law: SplineLaw, e: int) -> torch.Tensor | None:
    if not law.context:
        return None
    return torch.nn.functional.one_hot(torch.tensor(e), law.context).double()


def test_one_bend_is_drawn_anew_and_the_others_stay() -> None:
    map = LeakyMap(3, 2, torch.Generator().manual_seed(1))
    before = [[x.detach().clone() for x in parameter] for parameter in (map.C, map.b, map.a)]
    map.redraw(1, 2, torch.Generator().manual_seed(2))
    for old, new in zip(before, (map.C, map.b, map.a), strict=True):
        assert torch.equal(old[0], new[0])
        assert torch.equal(old[1][:2], new[1][:2])
        assert not torch.equal(old[1][2], new[1][2])
    assert float(map.C[1][2].detach().norm()) == pytest.approx(1)
