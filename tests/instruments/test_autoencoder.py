from __future__ import annotations

import sys

import numpy as np
import pytest

import invarmr
from invarmr.errors import InputError
from invarmr.instruments.registry import build_learner

QUICK = {"epochs": 10, "width": 8, "n_last": 2}


def r2(target: np.ndarray, by: np.ndarray) -> float:
    by = np.column_stack([np.ones(len(by)), by])
    residual = target - by @ np.linalg.lstsq(by, target, rcond=None)[0]
    return float(1 - (residual.var(axis=0) / target.var(axis=0)).mean())


@pytest.fixture(scope="module")
def study():
    """Two valid and two confounded components, mixed linearly; 1,500 people in each of two environments."""
    rng = np.random.default_rng(1)
    site = np.repeat([0, 1], 1_500)
    confounder = rng.normal(2.0 * site[:, None], 1, size=(3_000, 2))
    confounded = rng.normal(size=(3_000, 2)) + (1 + site[:, None]) * confounder
    valid = rng.normal(size=(3_000, 2))
    Z = np.hstack([confounded, valid]) @ rng.normal(size=(4, 4))
    exposure = confounded.sum(axis=1) + valid.sum(axis=1) + confounder.sum(axis=1) + rng.normal(size=3_000)
    outcome = exposure + confounder.sum(axis=1) + rng.normal(size=3_000)
    cohort = invarmr.Cohort.from_arrays(instrument=Z, exposure=exposure, outcome=outcome, environment=site)
    return cohort, valid, confounded


def test_warm_started_it_recovers_the_valid_part_with_its_verdict(study) -> None:
    cohort, valid, confounded = study
    latent = invarmr.AutoencoderInstruments(**QUICK).fit(cohort, seed=1)
    assert latent.learner == "autoencoder"
    assert latent.n_latent == 2
    assert latent.feature_names == ("V1", "V2", "W1", "W2")
    assert r2(valid, latent.latent_instrument) > 0.97
    assert r2(confounded, latent.latent_instrument) < 0.02
    assert latent.verdict.status == "identified"
    observed = invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort))
    learned = invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort, latent))
    assert observed.estimate > 1.2
    assert abs(learned.estimate - 1) < 4 * learned.std_error
    new = cohort.instruments.read(np.arange(5))
    assert np.allclose(latent.transform(new), latent.latent_instrument[:5])


def test_two_fits_are_identical_and_seeds_matter(study) -> None:
    cohort, *_ = study
    learner = invarmr.AutoencoderInstruments(**QUICK, n_latent=2)
    first, again, other = (learner.fit(cohort, seed=seed) for seed in (1, 1, 2))
    assert first.latent_instrument.tobytes() == again.latent_instrument.tobytes()
    assert not np.array_equal(first.latent_instrument, other.latent_instrument)


def test_a_grid_of_lambdas_and_restarts_records_what_was_chosen(study) -> None:
    cohort, *_ = study
    learner = invarmr.AutoencoderInstruments(
        **QUICK,
        n_latent=2,
        n_restarts=2,
        lambda_invariance=(0.1, 1.0),
        lambda_independence=(0.0, 0.1),
        decoder="polynomial",
    )
    latent = learner.fit(cohort, seed=1)
    model = latent.settings["model"]
    assert model["lambda_independence"] == 0.1  # 0 is left out of the choice
    assert model["lambda_invariance"] in (0.1, 1.0)
    assert latent.settings["lambda_invariance"] == [0.1, 1.0]
    assert latent.settings["model_seed"] in (1, 2)
    assert latent.settings["validation_mmd_whitened"] > 0


def test_the_published_form_and_the_bounded_one_run(study) -> None:
    cohort, *_ = study
    published = invarmr.AutoencoderInstruments(
        **QUICK,
        n_latent=2,
        selection="paper",
        scale_invariant=False,
        units="standardised",
        encoder="mlp",
        decoder="polynomial",
        schedule="constant",
        penalty_delay=0.0,
        lambda_invariance=(1.0, 5.0),
        lambda_independence=1.0,
        lambda_relevance=0.01,
    ).fit(cohort, seed=1)
    assert published.n_latent == 2
    bounded = invarmr.AutoencoderInstruments(
        **QUICK, n_latent=2, encoder="mlp", bounded=True, entropy="nearest_neighbour"
    ).fit(cohort, seed=1)
    features = bounded.representation.apply(cohort.instruments.read(np.arange(100)))
    assert 0 < features.min() < features.max() < 1


@pytest.fixture(scope="module")
def variants():
    """Allele copies of 40 variants, half of which shift between sites, with weights."""
    rng = np.random.default_rng(2)
    site = np.arange(3_000) % 3
    shift = np.where(np.arange(40) % 2, 0.12, 0.0)
    ancestry = rng.beta(2, 2, size=3_000) / 2 + site / 4
    calls = rng.binomial(2, 0.3 + np.outer(ancestry, shift) * 2)
    exposure = calls @ np.full(40, 0.3) + 3 * ancestry + rng.normal(size=3_000)
    outcome = exposure + 3 * ancestry + rng.normal(size=3_000)
    return {
        "instrument": calls,
        "exposure": exposure,
        "outcome": outcome,
        "environment": site,
        "instrument_kind": "genotype",
    }


def test_many_variants_are_summed_to_allele_scores_by_their_weights(variants) -> None:
    cohort = invarmr.Cohort.from_arrays(**variants, weights=np.full(40, 0.3))
    latent = invarmr.AutoencoderInstruments(**QUICK, max_instruments=8, n_latent=6).fit(cohort, seed=1)
    assert latent.settings["allele_scores"] == 8
    assert latent.latent_instrument.shape == (3_000, 6)
    scores = variants["instrument"].reshape(3_000, 8, 5).sum(axis=2) * 0.3
    fitted = np.column_stack([np.ones(3_000), scores])
    # nothing but the scores goes in: people with equal scores have equal features
    order = np.lexsort(scores.T)
    same = np.flatnonzero((np.diff(scores[order], axis=0) == 0).all(axis=1))
    features = latent.representation.apply(variants["instrument"].astype(float))
    assert np.allclose(features[order][same], features[order][same + 1])
    assert r2(features, fitted) > 0.5


def test_many_variants_without_weights_are_refused_with_the_ways_out(variants) -> None:
    cohort = invarmr.Cohort.from_arrays(**variants)
    with pytest.raises(InputError, match=r"max_instruments = 24 .* but 40 instruments came without\. Give weights"):
        invarmr.AutoencoderInstruments(**QUICK).fit(cohort, seed=1)
    latent = invarmr.AutoencoderInstruments(**QUICK, max_instruments=40, n_latent=5).fit(cohort, seed=1)
    assert latent.settings["allele_scores"] is None


def test_it_goes_on_from_a_checkpoint(study, tmp_path) -> None:
    cohort, *_ = study
    learner = invarmr.AutoencoderInstruments(**QUICK, n_latent=2, checkpoint=tmp_path / "state")
    first = learner.fit(cohort, seed=1)
    assert list((tmp_path / "state").glob("*.safetensors"))
    assert np.array_equal(first.latent_instrument, learner.fit(cohort, seed=1).latent_instrument)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"n_latent": 3, "n_confounded": 2},
            r"must not exceed the number of instruments that vary, 4, but is 3 \+ 2 = 5",
        ),
        ({"batch": 2_000}, "batch must not exceed the smallest environment's training rows, but is 2000"),
        ({"invariance_kernel": "mmd"}, "invariance_kernel must be one of polynomial2"),
        ({"n_restarts": 0}, "n_restarts must be at least 1"),
        ({"selection": "best"}, "selection must be 'scale_invariant' or 'paper', but is 'best'"),
        ({"max_instruments": 1}, "max_instruments must be at least 2"),
        ({"n_held_out": 9}, "n_held_out must be at least two"),
        ({"device": "gpu7"}, "device must be 'cpu' or 'cuda'"),
    ],
)
def test_bad_settings_end_in_one_message(study, settings, message) -> None:
    with pytest.raises(InputError, match=message):
        invarmr.AutoencoderInstruments(**(QUICK | settings)).fit(study[0], seed=1)


def test_one_environment_and_moments_are_refused(study) -> None:
    cohort, *_ = study
    Z = cohort.instruments.read(np.arange(3_000))
    alone = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=cohort.exposure, outcome=cohort.outcome, environment=["here"] * 3_000
    )
    with pytest.raises(InputError, match="At least two environments are required to learn, but there is 1"):
        invarmr.AutoencoderInstruments(**QUICK).fit(alone, seed=1)
    with pytest.raises(InputError, match="learns from people and needs the cohort"):
        invarmr.AutoencoderInstruments(**QUICK).fit([cohort.moments], seed=1)


def test_study_files_find_it_by_name() -> None:
    learner = build_learner("autoencoder", epochs=5, n_latent=2)
    assert isinstance(learner, invarmr.AutoencoderInstruments)
    with pytest.raises(InputError, match="has no setting 'epoch' \\(did you mean 'epochs'"):
        build_learner("autoencoder", epoch=5)


def test_without_torch_the_message_says_what_to_install(monkeypatch) -> None:
    for name in [
        module for module in sys.modules if module.startswith(("invarmr.nn", "invarmr.instruments.autoencoder"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"pip install 'invarmr\[neural\]'"):
        build_learner("autoencoder")
