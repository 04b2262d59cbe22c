from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.diagnostics.summary.overlap import sample_overlap
from invarmr.errors import InputError
from invarmr.genetics.harmonise import harmonise


def pair(z: float):
    rows = {"SNP": [f"rs{j}" for j in range(4)], "effect_allele": "A", "other_allele": "G", "beta": 0.1, "se": 0.1 / z}
    table = pl.DataFrame(rows)
    return harmonise(SummaryStatistics.from_frame(table, name="x"), SummaryStatistics.from_frame(table, name="y"))


def test_the_statement():
    unknown = sample_overlap(pair(5.0)).row(0, named=True)
    assert unknown["mean_f"] == pytest.approx(25)
    assert unknown["overlap"] is None
    assert unknown["statement"] == (
        "sample overlap not stated: 4 % of the effect is taken away, and between 0 and 4 % of the observational "
        "association is added, from no to all people shared"
    )
    half = sample_overlap(pair(5.0), overlap=0.5).row(0, named=True)
    assert half["toward_observational"] == pytest.approx(0.02)
    assert half["toward_null"] == pytest.approx(0.04)
    assert half["statement"].startswith("50 % of the outcome study's people are in the exposure study: 4 % ")
    with pytest.raises(InputError, match="share between 0 and 1"):
        sample_overlap(pair(5.0), overlap=2)


@pytest.mark.parametrize("shared", [0, 250, 500, 1000])
def test_the_bias_is_the_one_stated(shared):
    """(pi beta - theta) / F against simulation: beta 1 (all errors shared), theta 0.5, 500 and 1,000 people."""
    rng = np.random.default_rng(shared)
    n_x, n_y, d, theta, repeats = 1_000, 500 if shared <= 500 else 1_000, 40, 0.5, 300
    estimates, f = [], []
    gamma = np.full(d, 0.06)
    for _ in range(repeats):
        n = n_x + n_y - shared
        Z, u = rng.normal(size=(n, d)), rng.normal(size=n)
        x = Z @ gamma + u
        y = theta * (Z @ gamma) + (theta + 1.0) * u + 0.3 * rng.normal(size=n)
        first, last = slice(0, n_x), slice(n - n_y, n)
        b_x, b_y = Z[first].T @ x[first] / n_x, Z[last].T @ y[last] / n_y
        estimates.append(b_x @ b_y / (b_x @ b_x))
        f.append(np.mean(b_x**2) * n_x / np.var(x[first]))
    F, pi = np.mean(f), shared / n_y
    predicted = (pi * (theta + 1.0) - theta) / F
    error = np.std(estimates) / np.sqrt(repeats)
    assert np.mean(estimates) - theta == pytest.approx(predicted, abs=4 * error + 0.02)
    assert F < 8
