"""Rows of a summary-statistics table in the tool's columns, restated in ours: what is not there is made from what is.

Symbols: b effect per effect allele, s its standard error, z = b / s, n sample size, f frequency of the effect allele.

    from an interval of 95 %     s = (upper - lower) / (2 x 1.959964), of the logarithms for a ratio
    from effect and p            s = |b| / z(p), in logarithms, so that p of 1e-400 gives its z
    from z, n and f              s = 1 / sqrt(2 f (1 - f) (n + z^2)), b = z s, in standard deviations of the trait

Source of the last: Zhu et al. (2016), Nature Genetics 48:481, Methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy import special

from invarmr.arrays import BoolArray, FloatArray
from invarmr.data.summary_statistics import COLUMNS
from invarmr.data.variant_ids import position_of_id
from invarmr.io.summary_columns import Recognised

__all__ = ["RestatedRows", "restated", "z_of_minus_log10_p"]

_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class RestatedRows:
    """Rows in our columns, not checked yet.

    Parameters
    ----------
    frame
        Columns of `COLUMNS`, and `line`.
    made
        How many effects or standard errors were made from what.
    other_tests
        Rows left out because they are of another test than ADD (dominance, a covariate): test to count.
    """

    frame: pl.DataFrame
    made: Mapping[str, int] = field(default_factory=dict)
    other_tests: Mapping[str, int] = field(default_factory=dict)


def restated(raw: pl.DataFrame, recognised: Recognised, *, decimal_comma: bool = False) -> RestatedRows:
    """Restate rows in our columns.

    Parameters
    ----------
    raw
        The columns that `recognised` names, and `line`; texts or numbers.
    recognised
        What the columns are.
    decimal_comma
        Whether 1,5 is one and a half.

    Examples
    --------
    >>> from invarmr.io.summary_columns import recognise
    >>> raw = pl.DataFrame({"SNP": "rs1", "effect_allele": "A", "OR": 1.2, "L95": 1.0, "U95": 1.44, "line": 2})
    >>> restated(raw, recognise(raw.columns, source="a table")).frame.select("beta", "se").row(0)
    (0.1823215567939546, 0.09302291176372822)
    """
    found = recognised.columns
    raw, other = _additive(raw, found)
    numbers = _Numbers(raw, found, decimal_comma)
    table = _texts(raw, found)
    made = _effects(numbers)
    columns = {name: numbers.shown(name) for name in COLUMNS if COLUMNS[name].is_numeric() and name != "pos"}
    table = table.with_columns(**columns, line=raw["line"])
    if "minor_allele" in found and "minor_frequency" in found:
        minor = raw[found["minor_allele"]].str.to_uppercase() == table["effect_allele"].str.to_uppercase()
        share = pl.Series(numbers["minor_frequency"]).fill_nan(None)
        table = table.with_columns(eaf=share.zip_with(minor.fill_null(False), 1.0 - share))
    return RestatedRows(table.select(*COLUMNS, "line"), made, other)


def z_of_minus_log10_p(minus_log10: FloatArray) -> FloatArray:
    """|z| of a two-sided p-value given as -log10 p, without underflow.

    Examples
    --------
    >>> z_of_minus_log10_p(np.array([7.301029995663981, 400.0])).round(4).tolist()
    [5.4513, 42.8264]
    """
    log_half = np.minimum(-np.asarray(minus_log10) * np.log(10.0) - np.log(2.0), -np.log(2.0))
    return np.asarray(-special.ndtri_exp(log_half))


def _additive(raw: pl.DataFrame, found: Mapping[str, str]) -> tuple[pl.DataFrame, dict[str, int]]:
    if "test" not in found:
        return raw, {}
    test = pl.col(found["test"]).cast(pl.String)
    kept = test.str.to_uppercase().is_in(["ADD", "ALLELIC"]) | test.is_null()
    other = raw.filter(~kept)[found["test"]].value_counts()
    return raw.filter(kept), dict(other.iter_rows())


def _texts(raw: pl.DataFrame, found: Mapping[str, str]) -> pl.DataFrame:
    """Ids, alleles and places."""
    texts = [name for name in COLUMNS if COLUMNS[name] == pl.String() or name == "pos"]
    table = raw.select(
        "line",  # so that there are rows where none of the columns is
        *(
            (pl.col(found[name]).cast(pl.String) if name in found else pl.lit(None, pl.String)).alias(name)
            for name in texts
        ),
    )
    if "ref" in found and "alt" in found and "effect_allele" in found:
        ref, alt = raw[found["ref"]].cast(pl.String), raw[found["alt"]].cast(pl.String)
        several = alt.str.contains(",", literal=True).fill_null(False)
        is_ref = (table["effect_allele"] == ref).fill_null(False)
        other = alt.zip_with(is_ref, ref)
        unknown = several & is_ref
        table = table.with_columns(other_allele=pl.coalesce("other_allele", other.set(unknown, None)))
    if "variant" in found:
        place = position_of_id(raw[found["variant"]].cast(pl.String))
        wanted = {"chr": "chr", "pos": "pos", "other_allele": "ref", "effect_allele": "alt"}
        table = table.with_columns(**{ours: place[there] for ours, there in wanted.items() if ours not in found})
    table = table.with_columns(
        pl.col("SNP").str.extract(r"^([^,;]+)").str.replace(r"^(rs\d+):[A-Za-z]+:[A-Za-z]+$", "$1"),
        pl.col("chr").str.replace(r"^(?i)chr0?", "").str.replace(r"^0(\d)$", "$1").str.replace(r"^(\d+)\.0$", "$1"),
    )
    made = pl.concat_str("chr", "pos", "other_allele", "effect_allele", separator=":")
    return table.with_columns(SNP=pl.coalesce("SNP", made.str.replace_all(r"([a-z]+)$", "$1").str.to_uppercase()))


class _Numbers:
    """The numbers of a table by our names: values as arrays (NaN missing), and texts that are no numbers."""

    def __init__(self, raw: pl.DataFrame, found: Mapping[str, str], decimal_comma: bool) -> None:
        self.height = raw.height
        self.values: dict[str, FloatArray] = {}
        self.text: dict[str, pl.Series] = {}
        names = {**COLUMNS, **dict.fromkeys(_DERIVED, pl.Float64())}
        for name, kind in names.items():
            if name in found and kind.is_numeric() and name != "pos":
                self._add(name, raw[found[name]], decimal_comma)

    def _add(self, name: str, column: pl.Series, decimal_comma: bool) -> None:
        if column.dtype == pl.String and decimal_comma:
            column = column.str.replace(",", ".", literal=True)
        number = column.cast(pl.Float64, strict=False)
        wrong = number.is_null() & column.is_not_null()
        if column.dtype == pl.String and bool(wrong.any()):
            self.text[name] = column.set(~wrong, None)
        if name == "pval" and column.dtype == pl.String and "minus_log10_p" not in self.values:
            self._small_p(column, number)
        self.values[name] = number.fill_null(np.nan).to_numpy().astype(np.float64)

    def _small_p(self, column: pl.Series, number: pl.Series) -> None:
        """-log10 of p-values below the smallest float: 3.2e-412 reads as 0."""
        if not bool((number == 0).any()):
            return
        parts = column.to_frame("p").select(
            pl.col("p").str.extract(r"^([0-9.]+)[eE]-\d+$").cast(pl.Float64, strict=False).log10().alias("mantissa"),
            pl.col("p").str.extract(r"[eE]-(\d+)$").cast(pl.Float64, strict=False).alias("exponent"),
        )
        minus_log10 = parts["exponent"] - parts["mantissa"]
        small = (number == 0) & minus_log10.is_finite().fill_null(False)
        self.values["small_p"] = np.where(small.fill_null(False), minus_log10.fill_null(np.nan), np.nan)

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def __getitem__(self, name: str) -> FloatArray:
        return self.values[name] if name in self.values else np.full(self.height, np.nan)

    def shown(self, name: str) -> pl.Series:
        """A column as it goes on: numbers, or texts where some cells are no numbers, which the check then names."""
        column = pl.Series(name, self[name]).fill_nan(None)
        if name not in self.text:
            return column
        return column.cast(pl.String).fill_null(self.text[name])


_DERIVED = ("odds_ratio", "ci_lower", "ci_upper", "z", "minus_log10_p", "ln_p", "minor_frequency")


def _effects(numbers: _Numbers) -> dict[str, int]:
    """Fill beta, se, pval and samplesize in place; say how many were made from what."""
    made: dict[str, int] = {}
    _minus_log10(numbers)
    ratio = _ratio(numbers)
    for name, values in _errors(numbers, ratio).items():
        se = numbers["se"]
        use = np.isnan(se) & np.isfinite(values) & (values > 0) & np.isfinite(numbers["beta"])
        if use.any():
            made[f"standard errors made from {name}"] = int(use.sum())
            numbers.values["se"] = np.where(use, values, se)
    _sizes(numbers)
    made |= _from_z(numbers)
    given, logs = numbers["pval"], numbers["minus_log10_p"]
    numbers.values["pval"] = np.where(np.isnan(given), 10.0 ** -np.abs(logs), given)
    return made


def _minus_log10(numbers: _Numbers) -> None:
    """All p-values as -log10 where p itself is missing or too small: -log10 and log10 differ by their sign."""
    logs = np.abs(numbers["minus_log10_p"])
    if "ln_p" in numbers:  # Pan-UKB: p in its first release, ln p in later ones; p is never below 0, ln p never above
        value = numbers["ln_p"]
        p = np.where(value > 0, value, np.nan)
        numbers.values["pval"] = np.where(np.isnan(numbers["pval"]), p, numbers["pval"])
        logs = np.where(np.isnan(logs), np.where(value < 0, -value / np.log(10.0), np.nan), logs)
        if "ln_p" in numbers.text:
            numbers.text["pval"] = numbers.text["ln_p"]
    logs = np.where(np.isnan(logs), numbers["small_p"], logs)
    numbers.values["minus_log10_p"] = logs
    if "minus_log10_p" in numbers.text and "pval" not in numbers.text:
        numbers.text["pval"] = numbers.text["minus_log10_p"]


def _ratio(numbers: _Numbers) -> BoolArray:
    """Where the effect came as a ratio, its logarithm becomes beta; which rows, as truth."""
    beta, ratio = numbers["beta"], numbers["odds_ratio"]
    use = np.isnan(beta) & ~np.isnan(ratio)
    if "beta" in numbers.text:
        use &= numbers.text["beta"].is_null().to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers.values["beta"] = np.where(use & (ratio > 0), np.log(ratio), beta)
    wrong = use & ~(ratio > 0)
    text = numbers.text.get("odds_ratio", pl.repeat(None, numbers.height, dtype=pl.String, eager=True))
    if wrong.any():
        text = pl.Series([f"a ratio of {value:g}" for value in ratio]).zip_with(pl.Series(wrong), text)
    if bool(text.is_not_null().any()):
        numbers.text["beta"] = numbers.text["beta"].fill_null(text) if "beta" in numbers.text else text
    return use


def _errors(numbers: _Numbers, ratio: BoolArray) -> dict[str, FloatArray]:
    """Standard errors by every way that the columns allow, the best first."""
    beta, ways = numbers["beta"], {}
    with np.errstate(divide="ignore", invalid="ignore"):
        if "ci_lower" in numbers and "ci_upper" in numbers:
            low, high = numbers["ci_lower"], numbers["ci_upper"]
            low, high = np.where(ratio, np.log(low), low), np.where(ratio, np.log(high), high)
            around = (low <= beta + 1e-6 + 0.01 * np.abs(beta)) & (high >= beta - 1e-6 - 0.01 * np.abs(beta))
            ways["the 95 % interval"] = np.where(around, (high - low) / (2 * _Z_95), np.nan)
        if "z" in numbers:
            ways["effect and Z"] = np.abs(beta / numbers["z"])
        p = numbers["pval"]
        logs = np.where(p > 0, -np.log10(p), numbers["minus_log10_p"])
        ways["effect and p-value"] = np.where(logs > 0, np.abs(beta) / z_of_minus_log10_p(logs), np.nan)
    return ways


def _sizes(numbers: _Numbers) -> None:
    cases, controls = numbers["ncase"], numbers["ncontrol"]
    size = numbers["samplesize"]
    if "ncase" in numbers and "ncontrol" in numbers:
        numbers.values["samplesize"] = np.where(np.isnan(size), cases + controls, size)


def _from_z(numbers: _Numbers) -> dict[str, int]:
    if "z" not in numbers:
        return {}
    z, n, f = numbers["z"], numbers["samplesize"], numbers["eaf"]
    beta, se = numbers["beta"], numbers["se"]
    with np.errstate(divide="ignore", invalid="ignore"):
        error = 1.0 / np.sqrt(2.0 * f * (1.0 - f) * (n + z**2))
    use = np.isnan(beta) & np.isnan(se) & np.isfinite(error)
    numbers.values["beta"], numbers.values["se"] = np.where(use, z * error, beta), np.where(use, error, se)
    return {"effects made from Z, sample size and frequency": int(use.sum())} if use.any() else {}
