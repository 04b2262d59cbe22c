from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import invarmr
from invarmr.data import moment_pass
from invarmr.errors import InputError

N = 60


def given(**changes: Any) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    Z = generator.normal(size=(N, 3))
    plain = {
        "instrument": Z,
        "exposure": Z.sum(axis=1) + generator.normal(size=N),
        "outcome": generator.normal(size=N),
        "environment": np.repeat(["a", "b"], N // 2),
    }
    return {**plain, **changes}


def changed(name: str, row: int, value: Any) -> dict[str, Any]:
    values = given()[name].astype(object)
    values[row] = value
    return given(**{name: values})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (changed("exposure", 3, np.nan), r"exposure must be finite, but 1 of 60 rows .* \(first rows: 3\)"),
        (changed("outcome", 5, np.inf), r"outcome must be finite"),
        (changed("instrument", (2, 1), np.nan), r"instrument must be finite, but 1 of 60 rows"),
        (changed("exposure", 0, "tall"), r"exposure must be numeric.*tall"),
        (changed("exposure", 0, None), r"exposure must be finite"),
        (given(exposure=np.ones(N, dtype=complex)), r"exposure must be numeric.*complex128"),
        (given(outcome=pd.date_range("2000-01-01", periods=N)), r"outcome must be numeric.*datetime64"),
        (given(covariates=[["x"]] * N), r"covariates must be numeric"),
        (given(exposure=np.zeros(N - 1)), r"exposure must have 60 values, one per sample, but has 59"),
        (given(exposure=np.zeros((N, 2))), r"exposure must have one axis"),
        (given(instrument=np.zeros((N, 1, 1))), r"instrument must have two axes"),
        (given(instrument=np.zeros((N, 0))), r"At least one instrument"),
        (given(covariates=np.zeros((3, 1))), r"covariates must have 60 rows"),
        (given(weights=[1.0, 2.0]), r"weights must have 3 values"),
        (given(environment=["a"] * 3), r"environment must have 60 labels"),
        (given(environment=np.zeros((N, 2))), r"environment must have 60 labels"),
        (changed("environment", 4, None), r"environment must be known .* 1 of 60 are missing \(first rows: 4\)"),
        (changed("environment", 4, float("nan")), r"environment must be known"),
        (changed("environment", 4, pd.NA), r"environment must be known"),
        (changed("environment", 4, pd.NaT), r"environment must be known"),
        (changed("environment", 4, " "), r"environment must be known"),
        (changed("environment", 4, "NA"), r"environment must be known"),
        (given(cluster=[None] * N), r"cluster must be known"),
        (given(environment=["a"] * 57 + ["b"] * 3), r"at least 5 .* 1 of 2 have fewer: b \(3\). Merge small"),
        (given(exposure=np.full(N, 2.5)), r"exposure \(exposure\) must vary.*all 60 values are 2.5"),
        (given(outcome=np.zeros(N)), r"outcome \(outcome\) must vary"),
        (given(sample_ids=["x", "x", *map(str, range(N - 2))]), r"Sample ids must be unique, but 1 .*: x"),
        (given(sample_ids=["x"]), r"must be 60 sample ids, one per row, but 1 came"),
        (given(instrument_names=["a", "b"]), r"must be 3 instrument names, one per column, but 2 came"),
        (given(instrument_names=["a", "b", "a"]), r"instrument names must differ.*more than once: a"),
        (given(instrument_kind="genotype"), r"needs allele copies between 0 and 2, but the values run from -"),
    ],
)
def test_a_wrong_input_is_named_with_what_came(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        invarmr.Cohort.from_arrays(**arguments)


@pytest.mark.parametrize("kind", ["score", "genotype"])
def test_no_people(kind: str) -> None:
    with pytest.raises(InputError, match="there are no samples"):
        invarmr.Cohort.from_arrays(
            instrument=np.zeros((0, 2)), exposure=[], outcome=[], environment=[], instrument_kind=kind
        )


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_data_frames_keep_their_names(frame) -> None:
    plain = given()
    Z = frame({name: plain["instrument"][:, j] for j, name in enumerate(("rs1", "rs2", "rs3"))})
    C = frame({"age": np.arange(N), "sex": np.arange(N) % 2})
    columns = frame({"d": plain["exposure"], "y": plain["outcome"], "site": plain["environment"]})
    cohort = invarmr.Cohort.from_arrays(
        instrument=Z, exposure=columns["d"], outcome=columns["y"], environment=columns["site"], covariates=C
    )
    assert cohort.instrument_names == ("rs1", "rs2", "rs3")
    assert cohort.covariate_names == ("age", "sex")
    assert cohort.environments == ("a", "b")
    assert cohort.columns == (
        *("covariate:age", "covariate:sex", "instrument:rs1", "instrument:rs2", "instrument:rs3"),
        *("exposure", "outcome"),
    )
    np.testing.assert_array_equal(cohort.rows(np.arange(N))[:, 2:5], plain["instrument"])


@pytest.mark.parametrize(
    ("labels", "levels"),
    [
        (np.repeat([2, 10], N // 2), ("2", "10")),
        (pd.Series(np.repeat(["b", "a"], N // 2), dtype="category"), ("a", "b")),
        (["a"] * 30 + [1] * 30, ("1", "a")),
        (np.repeat([True, False], N // 2), ("False", "True")),
    ],
)
def test_labels_of_any_kind_in_order(labels, levels) -> None:
    if not isinstance(labels, list):
        assert invarmr.Cohort.from_arrays(**given(environment=labels)).environments == levels
    else:
        assert invarmr.Cohort.from_arrays(**given(environment=np.array(labels, dtype=object))).environments == levels


def test_nothing_can_be_written_to() -> None:
    source = given(covariates=np.ones((N, 1)) * np.arange(N)[:, None], weights=[1, 2, 3], cluster=np.arange(N))
    cohort = invarmr.Cohort.from_arrays(**source)
    arrays = (
        *(cohort.exposure, cohort.outcome, cohort.environment, cohort.covariates, cohort.components, cohort.truth),
        *(cohort.sample_ids, cohort.weights, cohort.cluster),
        cohort.instruments.read(np.arange(N)),
        *(cohort.moments.mean, cohort.moments.crossproduct, cohort.moments.n_samples),
    )
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array[...]
    with pytest.raises(FrozenInstanceError):
        cohort.exposure = np.zeros(N)
    before = cohort.exposure.copy()
    source["exposure"][:] = 0
    np.testing.assert_array_equal(cohort.exposure, before)


def test_moments_are_the_plain_ones_in_blocks_of_any_size(monkeypatch) -> None:
    cohort = invarmr.Cohort.from_arrays(**given(covariates=np.arange(N), truth=np.arange(N) ** 2))
    monkeypatch.setattr(moment_pass, "CHUNK", 7)
    rows = cohort.rows(np.arange(N))
    found = cohort.moments
    for e in range(2):
        own = rows[cohort.environment == e]
        np.testing.assert_allclose(found.mean[e], own.mean(axis=0))
        np.testing.assert_allclose(found.covariance()[e], np.cov(own.T), atol=1e-9)
    assert found.n_total == N
    some = np.array([0, 3, 4, 40, 41, 59])
    np.testing.assert_allclose(cohort.moments_of(some).grand_mean(), rows[some].mean(axis=0))


def test_components_can_be_attached() -> None:
    cohort = invarmr.Cohort.from_arrays(**given())
    more = cohort.with_components(np.arange(2.0 * N).reshape(N, 2), ["PC1", "PC2"])
    assert more.component_names == ("PC1", "PC2")
    assert cohort.component_names == ()
    assert "component:PC2" in more.columns
    with pytest.raises(InputError, match="components must have 60 rows"):
        cohort.with_components(np.zeros((3, 1)), ["PC1"])


def test_columns_given_as_one_column_frames() -> None:
    plain = given()
    cohort = invarmr.Cohort.from_arrays(**given(exposure=plain["exposure"][:, None]))
    np.testing.assert_array_equal(cohort.exposure, plain["exposure"])
    one = invarmr.Cohort.from_arrays(**given(instrument=plain["instrument"][:, 0]))
    assert one.n_instruments == 1
    assert (one.n_samples, len(one.sample_ids)) == (N, N)


def test_a_subset_is_the_cohort_of_these_people() -> None:
    arguments = given(
        covariates=np.arange(N)[:, None] ** 2.0, cluster=np.arange(N) // 4, sample_ids=[f"p{i}" for i in range(N)]
    )
    chosen = np.flatnonzero(np.arange(N) % 5 < 2)
    some = invarmr.Cohort.from_arrays(**arguments).subset(chosen)
    alone = invarmr.Cohort.from_arrays(
        **{name: np.asarray(values)[chosen] for name, values in arguments.items()}, instrument_kind="score"
    )
    assert some.environments == alone.environments
    assert some.sample_ids.tolist() == alone.sample_ids.tolist()
    np.testing.assert_array_equal(some.cluster, alone.cluster)
    np.testing.assert_array_equal(some.rows(np.array([1, 2, 7])), alone.rows(np.array([1, 2, 7])))
    np.testing.assert_allclose(some.moments.crossproduct, alone.moments.crossproduct, rtol=1e-12)


def test_a_subset_with_too_few_people_in_an_environment_is_refused() -> None:
    with pytest.raises(InputError, match=r"b \(2\)"):
        invarmr.Cohort.from_arrays(**given()).subset(np.arange(N // 2 + 2))


def test_people_of_some_environments() -> None:
    rng = np.random.default_rng(1)
    site = np.array(["a", "b", "c"])[np.arange(90) % 3]
    whole = invarmr.Cohort.from_arrays(
        instrument=rng.normal(size=(90, 2)),
        exposure=rng.normal(size=90),
        outcome=rng.normal(size=90),
        environment=site,
        cluster=np.arange(90) // 10,
    )
    some = whole.of_environments([2, 0])
    people = np.flatnonzero(site != "b")
    assert some.environments == ("c", "a")
    assert [some.environments[code] for code in some.environment] == site[people].tolist()
    np.testing.assert_array_equal(some.outcome, whole.outcome[people])
    np.testing.assert_array_equal(some.instruments.read(np.arange(60)), whole.instruments.read(people))
    own = whole.moments.subset([2, 0])
    np.testing.assert_allclose(some.moments.crossproduct, own.crossproduct)
    assert some.moments.environments == own.environments
