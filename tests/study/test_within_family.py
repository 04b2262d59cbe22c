"""Population against within-family associations: both estimates, the difference, and the correlation as stated."""

import numpy as np
import polars as pl
import pytest

from invarmr.cli.mr import mr
from invarmr.data.summary_statistics import SummaryStatistics
from invarmr.errors import InputError
from invarmr.study.within_family import WithinFamily, compare_within_family


def associations(effect, *, seed=1, se=0.004, n=12, sign=1.0):
    rng = np.random.default_rng(7)
    beta = rng.uniform(0.05, 0.2, n)
    noise = np.random.default_rng(seed).normal(size=n) * se
    table = {
        "SNP": [f"rs{i}" for i in range(n)],
        "EA": "A",
        "NEA": "G",
        "EAF": 0.3,
        "BETA": sign * (effect * beta + noise),
        "SE": se,
    }
    return pl.DataFrame(table)


@pytest.fixture
def files(tmp_path):
    tables = {
        "x": associations(1.0, se=0.002),
        "y": associations(0.5, seed=2),
        "wx": associations(1.0, seed=3, se=0.004).with_columns(
            EA=pl.lit("G"), NEA=pl.lit("A"), BETA=-pl.col("BETA"), EAF=0.7
        ),
        "wy": associations(0.2, seed=4, se=0.006),
    }
    out = []
    for name, table in tables.items():
        table.write_csv(tmp_path / f"{name}.tsv", separator="\t")
        out.append(tmp_path / f"{name}.tsv")
    return out


def test_both_estimates_and_their_difference(files, tmp_path, capsys):
    out = tmp_path / "out"
    assert mr(files[0], files[1], out=out, within_family=(files[2], files[3]), report=False) == 0
    table = pl.read_csv(out / "within_family.tsv", separator="\t")
    row = table.row(by_predicate=pl.col("method") == "Inverse variance weighted", named=True)
    assert row["b_population"] == pytest.approx(0.5, abs=0.05)
    assert row["b_within_family"] == pytest.approx(0.2, abs=0.06)
    assert row["se_difference"] == pytest.approx(np.hypot(row["se_population"], row["se_within_family"]))
    assert row["difference"] == row["b_population"] - row["b_within_family"]
    assert row["p_difference"] < 1e-6
    assert row["detectable"] == pytest.approx((2.5758 + 0.8416) * row["se_difference"], rel=1e-4)
    alone = pl.read_csv(out / "mr.tsv", separator="\t").filter(pl.col("method") == "Inverse variance weighted")
    assert row["b_population"] == pytest.approx(alone["b"][0])
    assert "population less within" in capsys.readouterr().out
    assert table["method"].n_unique() == table.height >= 4
    # an earlier table does not outlive a run without it
    mr(files[0], files[1], out=out, report=False, quiet=True)
    assert not (out / "within_family.tsv").exists()


def test_the_correlation_narrows_the_difference(files, tmp_path):
    def width(**how):
        mr(
            files[0],
            files[1],
            out=tmp_path / "out",
            within_family=(files[2], files[3]),
            report=False,
            quiet=True,
            **how,
        )
        found = pl.read_csv(tmp_path / "out" / "within_family.tsv", separator="\t")
        return found.row(by_predicate=pl.col("method") == "Inverse variance weighted", named=True)

    stated, shared = width(within_family_correlation=0.5), width(within_family_overlap=1.0)
    p, w = stated["se_population"], stated["se_within_family"]
    assert stated["se_difference"] ** 2 == pytest.approx(p**2 + w**2 - p * w)
    # everybody shared and the population efficient: the difference of the variances
    assert shared["se_difference"] ** 2 == pytest.approx(w**2 - p**2)


def test_bad_input_is_named(files):
    x, y = (
        SummaryStatistics.from_frame(
            pl.read_csv(f, separator="\t").rename(
                {"EA": "effect_allele", "NEA": "other_allele", "BETA": "beta", "SE": "se", "EAF": "eaf"}
            ),
            name=f.stem,
        )
        for f in files[:2]
    )
    with pytest.raises(InputError, match="not both"):
        WithinFamily(x, y, 0.1, 0.5)
    with pytest.raises(InputError, match="between -1 and 1"):
        WithinFamily(x, y, correlation=1.0)
    with pytest.raises(InputError, match="share from 0 to 1"):
        WithinFamily(x, y, overlap=2.0)
    other = SummaryStatistics(x.frame.with_columns(pl.concat_str(pl.lit("z"), "SNP").alias("SNP")))
    with pytest.raises(InputError, match="none of the 12 variants"):
        compare_within_family(x.frame["SNP"], (x, y), WithinFamily(other, y))
