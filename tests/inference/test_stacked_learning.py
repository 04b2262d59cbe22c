"""The covariance of stacked instruments against the people's own influence terms, written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import invarmr
from invarmr.inference.learning_covariance import learning_covariance
from invarmr.inference.stacked_learning import LearnedMaps

WAYS = [{}, {"partial_confounded": True}, {"environment_effects": True}]


def split(cohort, n_parts):
    return [np.flatnonzero(np.arange(cohort.n_samples) % n_parts == k) for k in range(n_parts)]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("n_parts", [2, 4])
def test_parts_that_agree_add_up_to_learning_from_everybody(linear_study, how, n_parts) -> None:
    """The mean over parts of g has the variance of learning and estimating on all people, for every K."""
    cohort = linear_study(1, n=8_000).cohort
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    people = split(cohort, n_parts)
    parts = tuple(invarmr.IVDesign.from_cohort(cohort.subset(own), latent, **how) for own in people)
    learning = LearnedMaps.of(parts, (cohort,) * n_parts).covariance()
    # whitened instruments of a part are the latent instruments turned; turn them back before the mean is taken
    turns = [np.linalg.inv(part.partialled.whitener * np.sqrt(part.moments.n_total)) for part in parts]
    common = np.hstack([np.linalg.svd(turn)[0] @ np.linalg.svd(turn)[2] for turn in turns]) / np.sqrt(n_parts)
    pooled = np.einsum("ia,bcij,jd->bcad", common.T, learning, common.T)
    expected = learning_covariance(invarmr.IVDesign.from_cohort(cohort, latent, **how))
    scale = np.sqrt(np.outer(*2 * (np.abs(np.diag(expected)) + np.diag(parts[0].partialled.total) / len(people[0]),)))
    for j in range(2):
        np.testing.assert_allclose(pooled[:, :, j, j] / scale, expected / scale, atol=0.03)


def influence(part, cohort, theta):
    """phi b and u of every person for the map of a part, by the formula of the module's docstring."""
    latent, b = part.latent, np.array([1.0, -theta])
    W, V = (cohort.instruments.read(np.arange(cohort.n_samples)) @ loadings
            for loadings in (latent.loadings, latent.confounded_loadings))  # fmt: skip
    own = part.cohort
    values = own.instruments.read(np.arange(own.n_samples)) @ latent.confounded_loadings
    pair = np.column_stack([cohort.outcome, cohort.exposure])
    mine = np.column_stack([own.outcome, own.exposure])
    s = (values - values.mean(axis=0)).T @ (mine - mine.mean(axis=0)) / own.n_samples
    code = cohort.environment
    means = np.stack([values[own.environment == e].mean(axis=0) for e in range(2)])
    phi = latent.leak.mean_map[code] @ s @ b
    phi = phi + np.einsum("iq,iqr,r->i", V - means[code], latent.leak.covariance_map[code], s @ b)
    return W - W.mean(axis=0), (pair - mine.mean(axis=0)) @ b, phi


def test_blocks_from_the_influence_of_every_person(linear_study) -> None:
    cohort = linear_study(2, n=(900, 700)).cohort
    people = [np.flatnonzero(np.arange(cohort.n_samples) % 4 < 1), np.flatnonzero(np.arange(cohort.n_samples) % 4 == 1)]
    learner = invarmr.StationaryInstruments(n_latent=2)
    parts = []
    for own in people:
        others = np.setdiff1d(np.arange(cohort.n_samples), own)
        parts.append(invarmr.IVDesign.from_cohort(cohort.subset(own), learner.fit(cohort.subset(others), seed=1)))
    sizes = tuple(len(own) for own in people)
    learning = LearnedMaps.of(parts, (cohort, cohort)).covariance()
    theta, n = 0.8, cohort.n_samples
    b = np.array([1.0, -theta])
    found = np.einsum("a,acij,c->ij", b, learning, b)
    (W_1, u_1, phi_1), (W_2, u_2, phi_2) = (influence(part, cohort, theta) for part in parts)
    np.testing.assert_allclose(found[:2, :2], sizes[0] / (n - sizes[0]) * np.mean(phi_1**2) * np.eye(2), rtol=1e-6)
    white = [part.partialled.whitener * np.sqrt(size) for part, size in zip(parts, sizes, strict=True)]
    alike = white[0].T @ (W_1.T @ W_2 / n) @ white[1]
    N_1, N_2 = (n - size for size in sizes)
    shared = (n - sum(sizes)) / (N_1 * N_2) * np.mean(phi_1 * phi_2)
    shared -= np.mean(u_1 * phi_2) / N_2 + np.mean(phi_1 * u_2) / N_1
    np.testing.assert_allclose(found[:2, 2:], np.sqrt(sizes[0] * sizes[1]) * shared * alike, rtol=0.02, atol=0.05)
    np.testing.assert_allclose(found, found.T, atol=1e-12)


def test_none_where_a_leak_is_not_known(linear_study) -> None:
    cohort = linear_study(1, n=400).cohort
    latent = invarmr.StationaryInstruments(n_latent=2).fit(cohort, seed=1)
    people = split(cohort, 2)
    parts = tuple(
        invarmr.IVDesign.from_cohort(cohort.subset(own), known)
        for own, known in zip(people, (latent, replace(latent, leak=None)), strict=True)
    )
    assert LearnedMaps.of(parts, (cohort, cohort)) is None
