"""The search for the maximum of a likelihood."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from invarmr.nn.flows import Flow, GaussianLaw, LeakyMap
from invarmr.nn.maximum_likelihood import held_out_likelihood, maximise

SLOPE = 0.2


def bent_rows(seed: int, n: int = 1_500) -> list[torch.Tensor]:
    """Two environments of one column pair, whose first column was bent at 0.5."""
    generator = torch.Generator().manual_seed(seed)
    out = []
    for shift in (0.0, 1.0):
        h = torch.randn(n, 2, generator=generator, dtype=torch.float64) + shift
        out.append(torch.where(h > 0.5, h, 0.5 + SLOPE * (h - 0.5)))
    return out


def start(seed: int = 1) -> Flow:
    return Flow(LeakyMap(2, 1, torch.Generator().manual_seed(seed)), GaussianLaw(2, 0, 2))


def test_the_slopes_of_a_bent_column_are_found() -> None:
    flow = start()
    before = float(torch.cat(flow(bent_rows(1))).mean().detach())
    reached = maximise(flow, bent_rows(1), iterations=200)
    assert reached > before + 0.2
    slopes = torch.exp(flow.map.a[0].detach().abs())
    np.testing.assert_allclose(slopes.numpy(), 1 / SLOPE, rtol=0.15)
    assert not flow.training
    assert float(held_out_likelihood(flow, bent_rows(1)).mean()) == pytest.approx(reached, abs=1e-9)


def test_the_same_start_gives_the_same_end() -> None:
    ends = []
    for _ in range(2):
        flow = start()
        maximise(flow, bent_rows(1, 300), iterations=40)
        ends.append(torch.cat([p.detach().ravel() for p in flow.parameters()]))
    assert torch.equal(*ends)


def test_what_is_not_to_be_searched_for_stays() -> None:
    flow = start()
    flow.map.free_width(False)
    maximise(flow, bent_rows(1, 300), iterations=20)
    assert float(flow.map.log_s[0].abs().max()) == 0


def test_the_search_stops_where_held_out_people_stop_gaining_and_keeps_the_best() -> None:
    few, others = bent_rows(1, 10), bent_rows(2, 400)
    values, iterations = {}, 200
    for watched in (True, False):
        flow = Flow(LeakyMap(2, 3, torch.Generator().manual_seed(1)), GaussianLaw(2, 0, 2))
        reached = maximise(flow, few, iterations=iterations, validation=others if watched else None)
        values[watched] = (reached, float(held_out_likelihood(flow, others).mean()))
    assert values[True][0] < values[False][0] - 0.05
    assert values[True][1] > values[False][1] + 0.05


def test_a_singular_start_is_turned_back_from() -> None:
    flow = start()
    with torch.no_grad():
        flow.map.C[0].zero_()
    assert maximise(flow, bent_rows(1, 100), iterations=5) == -1e10
