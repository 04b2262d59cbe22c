from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from invarmr.data.harmonised import HarmonisedStatistics
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError, InvarmrWarning
from invarmr.estimators.summary.median import Median
from invarmr.estimators.summary.table import DEFAULT_METHODS, METHODS, mr, resolve_methods
from invarmr.genetics.harmonise import harmonise


def harmonised(p: int = 20, names: tuple[str, ...] = ("LDL",)) -> HarmonisedStatistics:
    rng = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "SNP": [f"rs{i}" for i in range(p)],
            "effect_allele": "A",
            "other_allele": "G",
            "beta": rng.uniform(0.05, 0.2, p),
            "se": 0.01,
        }
    )
    exposures = pl.concat([frame.with_columns(id=pl.lit(name), Phenotype=pl.lit(name)) for name in names])
    outcome = frame.with_columns(pl.col("beta") * 0.5 + 0.01 * rng.normal(size=p))
    return harmonise(SummaryStatistics.from_frame(exposures), SummaryStatistics.from_frame(outcome, name="CHD"))


def test_the_default_table_has_the_rows_and_columns_of_twosamplemr():
    table = mr(harmonised())
    assert table.columns == ["id.exposure", "id.outcome", "outcome", "exposure", "method", "nsnp", "b", "se", "pval"]
    assert table["method"].to_list() == [
        "MR Egger",
        "Weighted median",
        "Inverse variance weighted",
        "Simple mode",
        "Weighted mode",
    ]
    assert table["b"].to_list() == pytest.approx([0.5] * 5, abs=0.15)


def test_one_variant_gives_the_wald_ratio_and_two_ivw():
    assert mr(harmonised(1))["method"].to_list() == ["Wald ratio"]
    assert mr(harmonised(2))["method"].to_list() == ["Inverse variance weighted"]


def test_every_pair_has_its_rows_and_a_row_does_not_depend_on_the_others():
    table = mr(harmonised(names=("LDL", "HDL")), methods=["mr_weighted_median", "mr_ivw"], seed=4)
    assert table["id.exposure"].to_list() == ["HDL", "HDL", "LDL", "LDL"]
    alone = mr(harmonised(), methods=["Weighted median"], seed=4)
    assert alone.row(0)[6:] == table.row(2)[6:]


def test_methods_come_by_name_label_or_as_estimators():
    assert resolve_methods(["mr_ivw", "MR Egger", Median(order=1)])[1] == METHODS["mr_egger_regression"]
    assert resolve_methods("mr_ivw")[0] == METHODS["mr_ivw"]
    with pytest.raises(InputError, match="'ivw' is no method"):
        resolve_methods(["ivw"])
    with pytest.raises(InputError, match="one method at least"):
        resolve_methods([])


def test_names_and_labels_are_unique():
    labels = [method.method for method in METHODS.values()]
    assert len(set(labels)) == len(labels)
    assert set(DEFAULT_METHODS) <= set(METHODS)


def test_a_method_that_cannot_use_a_pair_leaves_its_row_out_and_says_why():
    data = harmonised()
    noise = data.frame.with_columns(pl.lit(10.0).alias("se.exposure"))
    with pytest.warns(InvarmrWarning, match=r"LDL on CHD: no row for Debiased .* stronger variants"):
        table = mr(HarmonisedStatistics(noise, data.absent), ["mr_divw", "mr_ivw"])
    assert table["method"].to_list() == ["Inverse variance weighted"]
