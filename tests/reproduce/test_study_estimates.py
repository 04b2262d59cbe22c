import numpy as np
import pytest

from invarmr.reproduce.study_estimates import baseline_estimates, dml_estimates, named_rows, part_estimates
from invarmr.simulate.latent import LatentDesign, simulate_latent

SAMPLE = simulate_latent(LatentDesign(mixing="poly2", n_environments=3, n_samples=2_000), seed=1)
K = SAMPLE.environment.astype(float)


def two_stage(Z, controls):
    C = np.column_stack([np.ones(len(K)), *controls])
    Z, D, Y = (part - C @ np.linalg.lstsq(C, part, rcond=None)[0] for part in (Z, SAMPLE.exposure, SAMPLE.outcome))
    fitted = Z @ np.linalg.lstsq(Z, D, rcond=None)[0]
    return fitted @ Y / (fitted @ D)


def test_baselines_are_what_their_names_say():
    found = dict(baseline_estimates(SAMPLE))
    Z = SAMPLE.instrument
    assert found["2SLS(Z)"] == pytest.approx(two_stage(Z, []), abs=1e-6)
    assert found["PO(K)-2SLS(Z)"] == pytest.approx(two_stage(Z, [K]), abs=1e-6)
    assert found["PO(K one-hot)-2SLS(Z)"] == pytest.approx(two_stage(Z, [K == 1, K == 2]), abs=1e-6)
    assert found["OLS"] == pytest.approx(np.polyfit(SAMPLE.exposure, SAMPLE.outcome, 1)[0])
    slopes = [np.polyfit(z, SAMPLE.exposure, 1)[0] for z in Z.T if z.std() > 1e-9]
    assert np.isfinite(found["MR-Egger"])
    assert len(slopes) == 15
    assert len(found) == 7


def test_oracles():
    W, V = SAMPLE.latent_instrument, SAMPLE.confounded_part
    found = dict(part_estimates(SAMPLE, W, V))
    assert found["2SLS(W^)"] == pytest.approx(two_stage(W, []))
    assert found["PO(V^)-2SLS(W^)"] == pytest.approx(two_stage(W, list(V.T)))
    assert list(found) == ["2SLS(W^)", "PO(V^)-2SLS(W^)", "LIML(W^)", "PO(V^)-LIML(W^)"]
    assert list(dict(part_estimates(SAMPLE, W, V[:, :0]))) == ["2SLS(W^)", "LIML(W^)"]


def test_double_machine_learning_with_and_without_v():
    pytest.importorskip("doubleml")
    sample = simulate_latent(LatentDesign(mixing="linear", n_samples=400), seed=1)
    found = dict(dml_estimates(sample, sample.latent_instrument, sample.confounded_part, seed=1))
    assert list(found) == ["DML(W^)", "DML(W^, V^)"]
    linear = dict(part_estimates(sample, sample.latent_instrument, sample.confounded_part))
    assert found["DML(W^)"] == pytest.approx(linear["2SLS(W^)"], abs=0.02)
    assert found["DML(W^, V^)"] == pytest.approx(linear["PO(V^)-2SLS(W^)"], abs=0.15)


def test_parts_without_variance_have_no_estimate():
    found = dict(part_estimates(SAMPLE, np.zeros((6_000, 1)), SAMPLE.confounded_part))
    assert set(found.values()) == {None}
    assert named_rows([("a", None), ("b", 1.5)], 1.0) == [
        {"estimator": "a", "estimate": None, "bias": None},
        {"estimator": "b", "estimate": 1.5, "bias": 0.5},
    ]
