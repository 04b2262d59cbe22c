"""Figures of a two-sample study: scatter with method lines, forests, funnel and radial plot, from its tables alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from invarmr.report.figures import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    VERMILLION,
    Drawing,
    blank_figure,
    draw,
    marks_of,
    quiet_axes,
)
from invarmr.report.forest_figures import Interval, forest_axes, interval_mark, interval_text, rule, span_of

__all__ = ["funnel", "leave_one_out_forest", "method_forest", "radial_plot", "scatter", "single_variant_forest"]

MOST_VARIANTS = 80
_CENTRE = 1.959963984540054


def method_forest(estimates: pl.DataFrame, slug: str) -> Drawing:
    """Every method's estimate with its set."""
    title = f"The effect of {estimates['exposure'][0]} on {estimates['outcome'][0]} by every method"
    reading = (
        "each mark is a method's estimate with its confidence set (a set in several parts is drawn from end to "
        "end); methods "
        "that assume different things of the variants and agree support each other."
    )
    rows = [
        (row["method"], (row["b"], row["ci_lower"], row["ci_upper"]), row["se"])
        for row in estimates.iter_rows(named=True)
    ]
    return draw(slug, title, reading, lambda: _forest(rows, _axis_label(estimates)))


def single_variant_forest(rows: pl.DataFrame, overall: pl.DataFrame, slug: str) -> Drawing:
    """The Wald ratio of each variant, and all variants by each method."""
    title = "What each variant says alone"
    reading = (
        "each mark is the ratio of one variant's two associations; one that stands far from the others, its "
        "interval apart "
        "from theirs, may act on the outcome by another way."
    )
    return _variant_forest(rows, overall, slug, title, reading)


def leave_one_out_forest(rows: pl.DataFrame, overall: pl.DataFrame, slug: str) -> Drawing:
    """The estimate without each variant in turn."""
    title = "The inverse variance weighted estimate without each variant in turn"
    reading = "a mark apart from the others shows that the answer hangs on the variant that was left out there."
    return _variant_forest(rows, overall, slug, title, reading)


def _variant_forest(rows: pl.DataFrame, overall: pl.DataFrame, slug: str, title: str, reading: str) -> Drawing:
    if rows.height < 2 or overall.height == 0:
        return Drawing(slug, title, reason="there are too few variants")
    shown = rows.sort("value")
    if shown.height > MOST_VARIANTS:
        half = MOST_VARIANTS // 2
        shown = pl.concat([shown.head(half), shown.tail(half)])
        reading += f" The {MOST_VARIANTS} most extreme of {rows.height} variants are drawn; sensitivity.tsv holds all."
    lines: list[tuple[str, Interval, float | None]] = [
        (row["SNP"], _interval_of(row["value"], row["se"]), row["se"]) for row in shown.iter_rows(named=True)
    ]
    all_of_them = [
        (f"All: {row['method']}", (row["b"], row["ci_lower"], row["ci_upper"]), row["se"])
        for row in overall.iter_rows(named=True)
    ]
    return draw(slug, title, reading, lambda: _forest(lines, _axis_label(overall), all_of_them))


def _interval_of(b: float, se: float | None) -> Interval:
    return (b, None, None) if se is None else (b, b - _CENTRE * se, b + _CENTRE * se)


def _axis_label(estimates: pl.DataFrame) -> str:
    return f"effect on {estimates['outcome'][0]} per unit of {estimates['exposure'][0]}"


def _forest(
    rows: Sequence[tuple[str, Interval, float | None]],
    label: str,
    summary: Sequence[tuple[str, Interval, float | None]] = (),
) -> Figure:
    everything = [*rows, *summary]
    small = len(everything) > 30
    figure, axes = forest_axes(len(everything), row=0.15 if small else 0.235)
    span = span_of([values for _, values, _ in everything])
    rule(axes, 0.0, label="no effect", style="solid", span=span)
    place = axes.get_yaxis_transform()
    for y, (name, values, error) in enumerate(everything):
        bold = y >= len(rows)
        if bold:
            axes.axhspan(y - 0.5, y + 0.5, color="#eef4f9", zorder=0, lw=0)
        colour, marker = (BLUE, "D") if bold else (BLACK, "s")
        interval_mark(axes, y, values, span=span, colour=colour, marker=marker, bold=bold)
        size = 6.2 if small and not bold else 8
        axes.text(-0.02, y, name, transform=place, ha="right", va="center", size=size)
        axes.text(1.03, y, interval_text(*values, error), transform=place, ha="left", va="center", size=size)
    axes.set_ylim(len(everything) - 0.5, -0.5)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlim(*span)
    axes.set_xlabel(label)
    quiet_axes(axes, keep=("bottom",))
    return figure


def scatter(variants: pl.DataFrame, estimates: pl.DataFrame, slug: str) -> Drawing:
    """Associations with the outcome against those with the exposure, and each method's line."""
    title = "Associations of the variants with both traits, and the methods' lines"
    reading = (
        "each cross is a variant, for the allele that raises the exposure; if the exposure is the variants' only "
        "way to the "
        "outcome they lie on a line through the origin, whose slope is the effect. MR Egger's line need not pass "
        "through it."
    )
    lines = estimates.filter(pl.col("b").is_finite() & ~pl.col("method").str.contains("radial"))
    return draw(slug, title, reading, lambda: _plot_scatter(variants, lines))


def _plot_scatter(variants: pl.DataFrame, lines: pl.DataFrame) -> Figure:
    figure, (axes,) = blank_figure(4.4)
    x, sx, y, sy = (variants[name].to_numpy() for name in _ASSOCIATIONS)
    sign = np.where(x < 0, -1.0, 1.0)
    x, y = x * sign, y * sign
    axes.errorbar(x, y, xerr=_CENTRE * sx, yerr=_CENTRE * sy, fmt="none", ecolor=PALE, elinewidth=0.7, zorder=1)
    axes.plot(x, y, "o", color=BLACK, ms=2.8, zorder=3)
    axes.axhline(0, color=GREY, lw=0.6, zorder=0)
    right = float((x + _CENTRE * sx).max()) * 1.02
    ends = np.array([0.0, right])
    styles = ("-", "--", "-.", ":")
    marks = marks_of(lines["method"].to_list())
    for place, row in enumerate(lines.iter_rows(named=True)):
        intercept = row["intercept"] or 0.0
        axes.plot(ends, intercept + row["b"] * ends, color=marks[row["method"]].colour, lw=1.3,
                  ls=styles[place % len(styles)], label=row["method"], zorder=2)  # fmt: skip
    axes.set_xlim(0, right)
    axes.set_xlabel(f"association with {variants['exposure'][0]} per allele")
    axes.set_ylabel(f"association with {variants['outcome'][0]} per allele")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    quiet_axes(axes)
    return figure


_ASSOCIATIONS = ("beta.exposure", "se.exposure", "beta.outcome", "se.outcome")


def funnel(rows: pl.DataFrame, estimates: pl.DataFrame, slug: str) -> Drawing:
    """Each variant's ratio against its precision."""
    title = "Each variant's ratio and its precision"
    if rows.height < 3:
        return Drawing(slug, title, reason="there are too few variants")
    reading = (
        "precise variants stand high; where pleiotropic effects average to zero the cloud is symmetric about the "
        "lines, and a "
        "lean of its base to one side is directional pleiotropy."
    )
    return draw(slug, title, reading, lambda: _plot_funnel(rows, estimates))


def _plot_funnel(rows: pl.DataFrame, estimates: pl.DataFrame) -> Figure:
    figure, (axes,) = blank_figure(3.6)
    axes.plot(rows["value"], 1.0 / rows["se"], "o", color=BLACK, ms=3.4, zorder=3)
    wanted = estimates.filter(pl.col("method").is_in(["Inverse variance weighted", "MR Egger"]))
    for row, style, colour in zip(wanted.iter_rows(named=True), ("-", "--"), (BLUE, VERMILLION), strict=False):
        axes.axvline(row["b"], color=colour, ls=style, lw=1.3, label=row["method"], zorder=2)
    axes.axvline(0, color=GREY, lw=0.6, zorder=0)
    axes.set_xlim(*span_of([(value, None, None) for value in rows["value"]]))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("ratio of the associations (Wald ratio)")
    axes.set_ylabel("1 / standard error")
    if wanted.height:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    quiet_axes(axes)
    return figure


def radial_plot(rows: pl.DataFrame, slug: str) -> Drawing:
    """Radial plot: ratio times root weight against root weight; variants far from the line carry the heterogeneity."""
    title = "Radial plot: which variants carry the heterogeneity"
    if rows.height < 3 or not math.isfinite(rows["slope"][0] or math.nan):
        return Drawing(slug, title, reason="there are too few variants")
    reading = (
        "each mark is a variant, its distance from the line its share of Cochran's Q; hollow marks are variants "
        "whose share has "
        "p below 0.05 (before any correction for their number)."
    )
    return draw(slug, title, reading, lambda: _plot_radial(rows))


def _plot_radial(rows: pl.DataFrame) -> Figure:
    figure, (axes,) = blank_figure(3.8)
    root, ratio, slope = rows["root_weight"].to_numpy(), rows["ratio"].to_numpy(), float(rows["slope"][0])
    out = (rows["pval"] < 0.05).to_numpy()
    axes.plot(root[~out], (ratio * root)[~out], "o", color=BLACK, ms=3.4, zorder=3)
    axes.plot(root[out], (ratio * root)[out], "o", mfc="white", mec=VERMILLION, mew=1.3, ms=5, zorder=4)
    named = rows.with_columns(out=pl.Series(out)).filter("out").sort("pval").head(6)
    for place, row in enumerate(named.sort("ratio").iter_rows(named=True)):
        right = place % 2 == 0  # names of neighbours on both sides, so that they overlap less
        at = (row["root_weight"], row["ratio"] * row["root_weight"])
        shift, side = ((5, 3), "left") if right else ((-5, 3), "right")
        axes.annotate(row["SNP"], at, xytext=shift, size=7, ha=side, textcoords="offset points")
    ends = np.array([0.0, root.max() * 1.05])
    axes.plot(ends, slope * ends, color=BLUE, lw=1.4, zorder=2)
    axes.axhline(0, color=GREY, lw=0.6, zorder=0)
    axes.set_xlim(0, ends[1])
    axes.set_xlabel("square root of the weight")
    axes.set_ylabel("ratio times square root of the weight")
    quiet_axes(axes)
    return figure
