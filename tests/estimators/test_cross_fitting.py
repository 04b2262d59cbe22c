from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from scipy import stats

import invarmr
from invarmr.errors import InputError
from invarmr.estimators.cross_fitting import cross_fit
from invarmr.inference.statistical_test import NotApplicable

LIML = invarmr.LimitedInformationML()
STATIONARY = invarmr.StationaryInstruments(n_latent=2)


@pytest.fixture(scope="module")
def cohort(linear_study):
    return linear_study(3, n=1_500).cohort


@dataclass
class Spy:
    """A learner that remembers from whom it learned, and may answer otherwise for a part."""

    inner: object = STATIONARY
    seen: list = field(default_factory=list)
    change: dict = field(default_factory=dict)

    def fit(self, data, *, seed):
        self.seen.append((data.sample_ids.copy(), seed))
        latent = self.inner.fit(data, seed=seed)
        return self.change.get(len(self.seen), lambda found: found)(latent)


def none_left(latent):
    r = latent.loadings.shape[0]
    step = replace(latent.path[0], rejected=True)
    return replace(latent, loadings=np.zeros((r, 0)), confounded_loadings=np.eye(r), path=(step,))


@pytest.mark.parametrize("n_parts", [2, 3])
def test_nobody_is_estimated_with_what_was_learned_from_them(cohort, n_parts) -> None:
    spy = Spy()
    found = cross_fit(cohort, spy, LIML, n_parts=n_parts, seed=4)
    everybody = np.concatenate([part.people for part in found.parts])
    assert sorted(everybody.tolist()) == list(range(cohort.n_samples))
    for part, (ids, seed) in zip(found.parts, spy.seen, strict=True):
        assert seed == 4
        assert part.n_learned == len(ids)
        assert set(ids) | set(cohort.sample_ids[part.people]) == set(cohort.sample_ids)
        assert not set(ids) & set(cohort.sample_ids[part.people])
    assert found.estimate.n_samples == cohort.n_samples
    assert found.estimate.n_instruments == 2 * n_parts
    assert found.estimate.method == "cross-fitted LIML"


def test_the_pooled_estimate_lies_among_the_parts_and_near_the_plain_one(cohort) -> None:
    found = cross_fit(cohort, STATIONARY, LIML, n_parts=2, seed=1)
    own = [part.estimate for part in found.parts]
    assert min(one.estimate for one in own) < found.estimate.estimate < max(one.estimate for one in own)
    plain = LIML.fit(invarmr.IVDesign.from_cohort(cohort, STATIONARY.fit(cohort, seed=1)))
    assert abs(found.estimate.estimate - plain.estimate) < plain.std_error
    assert found.estimate.std_error == pytest.approx(plain.std_error, rel=0.2)
    for one in own:
        assert one.std_error > found.estimate.std_error
    assert 1.0 in found.sets["Anderson-Rubin"]
    assert "2, 2 in 2 parts" in str(found)


def test_the_seed_decides_and_the_order_of_rows_does_not(cohort) -> None:
    first, again, other = (cross_fit(cohort, STATIONARY, LIML, seed=seed).estimate.estimate for seed in (5, 5, 6))
    assert first == again != other
    order = np.random.default_rng(0).permutation(cohort.n_samples)
    read = cohort.instruments.read(np.arange(cohort.n_samples))
    ids = np.array([f"p{i:05d}" for i in range(cohort.n_samples)])

    def built(rows):
        return invarmr.Cohort.from_arrays(
            instrument=read[rows],
            exposure=cohort.exposure[rows],
            outcome=cohort.outcome[rows],
            environment=cohort.environment[rows],
            sample_ids=ids[rows],
        )

    values = [cross_fit(built(rows), STATIONARY, LIML, seed=5).estimate for rows in (np.arange(len(order)), order)]
    assert values[0].estimate == pytest.approx(values[1].estimate, rel=1e-9)
    assert values[0].std_error == pytest.approx(values[1].std_error, rel=1e-9)


def test_families_stay_on_one_side(linear_study) -> None:
    cohort = linear_study(3, n=600, cluster=np.arange(1_200) // 3).cohort
    found = cross_fit(cohort, STATIONARY, invarmr.LimitedInformationML(std_errors="clustered"), n_parts=2)
    for part in found.parts:
        others = np.setdiff1d(np.arange(1_200), part.people)
        assert not set(cohort.cluster[part.people]) & set(cohort.cluster[others])
    assert found.estimate.std_errors == "clustered"


def test_no_basis_need_be_matched(cohort) -> None:
    """Another basis of the latent instruments in one part changes nothing."""
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])

    def turned(latent):
        return replace(latent, loadings=latent.loadings @ turn)

    plain = cross_fit(cohort, STATIONARY, LIML)
    found = cross_fit(cohort, Spy(change={2: turned}), LIML)
    assert found.estimate.estimate == pytest.approx(plain.estimate.estimate, rel=1e-9)
    assert found.estimate.std_error == pytest.approx(plain.estimate.std_error, rel=1e-6)
    assert found.heterogeneity.statistic == pytest.approx(plain.heterogeneity.statistic, rel=1e-6)
    assert found.form.test("Anderson-Rubin").statistic == pytest.approx(plain.form.test("Anderson-Rubin").statistic)


def test_parts_may_keep_different_numbers(cohort) -> None:
    def fewer(latent):
        leak = invarmr.StationaryInstruments(n_latent=1).fit(cohort, seed=1).leak
        moved = np.hstack([latent.loadings[:, 1:], latent.confounded_loadings])
        return replace(latent, loadings=latent.loadings[:, :1], confounded_loadings=moved, leak=leak)

    found = cross_fit(cohort, Spy(change={1: fewer}), LIML)
    assert [part.latent.n_latent for part in found.parts] == [1, 2]
    assert found.estimate.n_instruments == 3
    assert found.disagreement.p_value is None
    assert abs(found.estimate.estimate - 1) < 4 * found.estimate.std_error


def test_a_part_that_learned_nothing_is_left_out_and_the_verdict_says_so(cohort) -> None:
    found = cross_fit(cohort, Spy(change={2: none_left}), LIML, n_parts=3)
    assert [part.estimate is None for part in found.parts] == [False, True, False]
    assert found.estimate.n_samples == cohort.n_samples - len(found.parts[1].people)
    assert found.verdict.status == "rejected"
    assert found.verdict.reasons[0].startswith("Part 2 of 3: ")
    assert len(found.verdict.reasons) == 1
    assert found.heterogeneity.df == 1
    alone = cross_fit(cohort, Spy(change={2: none_left}), LIML, n_parts=2)
    assert (alone.heterogeneity.df, alone.heterogeneity.p_value) == (0, None)
    assert "differ" not in str(alone)
    every = dict.fromkeys((1, 2), none_left)
    with pytest.raises(NotApplicable, match=r"In none of the 2 parts .* The first part: On people not learned from"):
        cross_fit(cohort, Spy(change=every), LIML)


def test_the_worst_verdict_of_the_parts_is_that_of_the_whole(cohort) -> None:
    saturated = {k: lambda latent, k=k: replace(latent, saturated=k == 1) for k in (1, 2)}
    found = cross_fit(cohort, Spy(change=saturated), LIML)
    assert [part.latent.verdict.status for part in found.parts] == ["not identified", "identified"]
    assert found.verdict.status == "not identified"
    assert [reason[:11] for reason in found.verdict.reasons] == ["Part 1 of 2"]


def test_learning_may_be_left_uncounted(cohort) -> None:
    counted, plain = (
        cross_fit(cohort, STATIONARY, invarmr.LimitedInformationML(count_learning=flag)) for flag in (True, False)
    )
    assert plain.estimate.learning_inflation == 1.0
    assert counted.estimate.learning_inflation < 0.9  # in this design learning takes variance away
    assert plain.design.learning is None
    assert counted.sets["Lagrange multiplier"].lower != plain.sets["Lagrange multiplier"].lower


@pytest.mark.parametrize("how", [{"partial_confounded": True}, {"environment_effects": True}])
def test_designs_of_other_kinds(cohort, how) -> None:
    found = cross_fit(cohort, STATIONARY, LIML, **how)
    plain = LIML.fit(invarmr.IVDesign.from_cohort(cohort, STATIONARY.fit(cohort, seed=1), **how))
    assert found.estimate.std_error == pytest.approx(plain.std_error, rel=0.15)
    assert abs(found.estimate.estimate - plain.estimate) < plain.std_error
    assert found.estimate.method.startswith(
        "cross-fitted PO(V)" if "partial_confounded" in how else "cross-fitted LIML"
    )


def test_polynomial_is_the_stationary_of_its_components() -> None:
    found = []
    for mixing, learner in (("poly1", STATIONARY), ("poly2", invarmr.PolynomialInstruments(n_latent=2))):
        cohort = invarmr.simulate_latent(invarmr.LatentDesign(mixing=mixing, n_samples=1_500), seed=1).cohort
        found.append(cross_fit(cohort, learner, LIML).estimate)
    assert found[0].estimate == pytest.approx(found[1].estimate, abs=1e-5)
    assert found[0].std_error == pytest.approx(found[1].std_error, rel=1e-3)


def test_heterogeneity_finds_parts_that_disagree(cohort) -> None:
    found = cross_fit(cohort, STATIONARY, LIML, seed=1)
    outcome = cohort.outcome.copy()
    outcome[found.parts[0].people] += 1.5 * cohort.exposure[found.parts[0].people]
    moved = cross_fit(replace(cohort, outcome=outcome), STATIONARY, LIML, seed=1)
    assert moved.heterogeneity.p_value < 1e-6 < found.heterogeneity.p_value
    assert moved.heterogeneity.p_value == pytest.approx(stats.chi2.sf(moved.heterogeneity.statistic, 1))


def test_maps_that_err_more_than_is_counted_are_found(cohort) -> None:
    def worse(latent):
        return replace(latent, loadings=latent.loadings + 0.1 * latent.confounded_loadings)

    plain, found = cross_fit(cohort, STATIONARY, LIML), cross_fit(cohort, Spy(change={1: worse}), LIML)
    assert plain.disagreement.df == found.disagreement.df == 2
    assert found.disagreement.p_value < 1e-6 < 0.01 < plain.disagreement.p_value
    given = cross_fit(cohort, STATIONARY, LIML, partial_confounded=True).disagreement
    assert (given.statistic, given.df, given.p_value) == (None, 0, None)


def test_checkpoints_of_the_parts_are_kept_apart(cohort, tmp_path) -> None:
    folders = []

    @dataclass(frozen=True)
    class Saving:
        checkpoint: str | None = None

        def fit(self, data, *, seed):
            folders.append(str(self.checkpoint))
            return STATIONARY.fit(data, seed=seed)

    cross_fit(cohort, Saving(str(tmp_path / "state")), LIML)
    assert folders == [str(tmp_path / "state" / f"part-{k}-of-2") for k in (1, 2)]


def test_without_an_error_to_measure_against_there_are_no_robust_sets(cohort) -> None:
    read = cohort.instruments.read(np.arange(cohort.n_samples))
    latent = STATIONARY.fit(cohort, seed=1)
    given = replace(cohort, exposure=read @ latent.loadings[:, 0])

    class Known:
        def fit(self, data, *, seed):
            return replace(latent, source=data.instruments)

    found = cross_fit(given, Known(), invarmr.TwoStageLeastSquares(count_learning=False))
    assert found.form is None
    assert found.sets == {}
    with pytest.raises(NotApplicable, match="explain the exposure"):
        cross_fit(given, Known(), invarmr.TwoStageLeastSquares())


def test_what_cannot_be_cross_fitted_says_so(cohort) -> None:
    with pytest.raises(InputError, match="n_parts must be at least 2"):
        cross_fit(cohort, STATIONARY, LIML, n_parts=1)
    with pytest.raises(InputError, match="it needs a cohort, but EnvironmentMoments came"):
        cross_fit(cohort.moments, STATIONARY, LIML)
    with pytest.raises(InputError, match="OLS uses no instruments"):
        cross_fit(cohort, STATIONARY, invarmr.OrdinaryLeastSquares())
    with pytest.raises(
        InputError, match=r"at least 6 people of every environment .* n_parts = 700 .* 0 \(2\), 1 \(2\)"
    ):
        cross_fit(cohort, STATIONARY, LIML, n_parts=700)

    class OfMoments:
        def fit(self, data, *, seed):
            raise InputError("moments are needed, but a cohort came.")

    with pytest.raises(InputError, match=r"Part 1 of 2, for which 1500 people are learned from: moments are needed"):
        cross_fit(cohort, OfMoments(), LIML)
