from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from invarmr.reproduce import replicate
from invarmr.reproduce.plan import Scale

SMALL = Scale(seeds=(1, 2), n_samples=500, lambda_invariance=(1.0, 5.0), lambda_independence=(0.0, 1.0), name="small")


@pytest.fixture
def small():
    return SMALL


def linear_parts(weights, q, Z):
    u = Z @ weights
    return u[:, :q], u[:, q:]


class Settings(dict):
    @classmethod
    def improved(cls, **changes):
        return cls(improved=True, **changes)


@pytest.fixture(autouse=True)
def quick_dml(monkeypatch):
    """Double machine learning takes seconds; its own tests run it."""
    monkeypatch.setattr(replicate, "dml_estimates", lambda *_, **__: [("DML(W^)", 1.0), ("DML(W^, V^)", 1.0)])


@pytest.fixture
def fake_grid(monkeypatch):
    """The autoencoder's interface without torch: random linear encoders, validation by the lambdas, calls recorded."""
    calls = []

    def train_grid(jobs, *, device, checkpoint):
        calls.append(jobs)
        fits = []
        for number, job in enumerate(jobs):
            s = job.settings
            weights = np.random.default_rng([job.seed, number]).normal(
                size=(job.instrument.shape[1], s["n_latent"] + s["n_confounded"])
            )
            weights /= job.instrument.std(axis=0)[:, None] + 1e-9

            fits.append(
                SimpleNamespace(
                    encode=partial(linear_parts, weights, s["n_confounded"]),
                    seconds=0.5,
                    settings=s,
                    validation_mmd=1.0 / s["lambda_invariance"] + s["lambda_independence"],
                    validation_mmd_whitened=s["lambda_invariance"],
                    failure="it diverged" if job.seed == 99 else None,
                )
            )
        return fits

    modules = {
        "autoencoder_grid": SimpleNamespace(train_grid=train_grid),
        "autoencoder_jobs": SimpleNamespace(AutoencoderJob=SimpleNamespace),
        "autoencoder_settings": SimpleNamespace(AutoencoderSettings=Settings),
    }
    monkeypatch.setattr(replicate, "neural_module", modules.__getitem__)
    return calls
