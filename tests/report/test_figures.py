import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from invarmr.report.archive import read_archive
from invarmr.report.curve_figures import component_count_plot, effect_curve_plot
from invarmr.report.figures import marks_of
from invarmr.report.forest_figures import environment_forest, estimate_forest, negative_control_forest
from invarmr.report.learning_figures import eigenvalue_plot, invariance_plot, loading_plot
from invarmr.report.sensitivity_figures import sensitivity_plot
from invarmr.report.structure_figures import balance_plot, component_map, log_floor

FIGURES = {
    "forest": estimate_forest,
    "environment-forest": environment_forest,
    "eigenvalues": eigenvalue_plot,
    "invariance": invariance_plot,
    "loadings": loading_plot,
    "balance": balance_plot,
    "components": component_map,
    "effect-curve": effect_curve_plot,
    "sensitivity": sensitivity_plot,
    "component-counts": component_count_plot,
    "negative-control-forest": negative_control_forest,
}


@pytest.mark.parametrize("status", ["identified", "not identified", "rejected", "weak"])
@pytest.mark.parametrize("slug", FIGURES)
def test_a_figure_has_a_name_a_reading_and_selectable_text_or_a_reason(archive_of, status, slug):
    drawing = FIGURES[slug](read_archive(archive_of(status)))
    assert drawing.slug == slug
    assert drawing.title
    if drawing.svg is None:
        assert drawing.reason
        return
    assert f'<title id="{slug}-title">' in drawing.svg
    assert 'role="img"' in drawing.svg
    assert drawing.reading.endswith(".")
    assert "<text" in drawing.svg
    assert "DejaVu" not in drawing.svg
    assert "mathdefault" not in drawing.svg
    assert len(drawing.svg) < 500_000


def test_numbers_in_a_forest_are_those_of_the_table(archive_of):
    svg = estimate_forest(read_archive(archive_of("identified"))).svg
    for text in ("0.504  (0.451 to 0.557)", "1.196  (1.184 to 1.208)", "true effect (simulated)"):
        assert text in svg


def test_a_headline_that_must_not_be_read_is_drawn_hollow(archive_of):
    archive = read_archive(archive_of("rejected"))
    assert "hollow mark is the headline that must not be interpreted" in estimate_forest(archive).reading
    assert "hollow" not in estimate_forest(read_archive(archive_of("identified"))).reading


def test_without_any_number_the_forest_says_so(archive_of):
    archive = read_archive(archive_of("weak"))
    silent = tuple(replace(row, estimate=None) for row in archive.estimates)
    assert estimate_forest(replace(archive, estimates=silent)).reason == "no estimator gave a number"


def test_environments_differ_in_shape_as_well_as_in_colour():
    marks = marks_of([f"site {k}" for k in range(40)])
    assert len({(mark.marker, mark.hollow) for mark in list(marks.values())[:16]}) == 16
    assert len({(mark.colour, mark.marker, mark.hollow) for mark in marks.values()}) == 40
    assert any(mark.face == "white" for mark in marks.values())


def test_values_a_logarithmic_axis_cannot_show_are_lifted_to_its_edge():
    values, edge = log_floor(np.array([-0.001, 0.0, 3e-4, np.nan, 0.2]))
    assert edge == pytest.approx(1e-4)
    np.testing.assert_allclose(values, [edge, edge, 3e-4, np.nan, 0.2])
    assert log_floor(np.array([-1.0, 0.0]))[1] == pytest.approx(1e-5)


def test_letters_the_drawing_font_lacks_are_left_to_the_reader(archive_of):
    folder = archive_of("identified")
    frame = pl.read_csv(folder / "environments.tsv", separator="\t", infer_schema=False)
    frame = frame.with_columns(pl.col("environment").replace("Oslo", "東京"))
    frame.write_csv(folder / "environments.tsv", separator="\t")
    assert "東京" in environment_forest(read_archive(folder)).svg


def test_coordinates_are_short_but_text_is_whole(archive_of):
    svg = str(estimate_forest(read_archive(archive_of("identified"))).svg)
    coordinates = "".join(re.findall(r"<[^>]*>", svg))
    assert not re.search(r"\d\.\d{3}", coordinates)
    assert "0.504" in svg


def test_the_sets_of_the_curve_may_be_empty_and_unbounded(archive_of):
    drawing = effect_curve_plot(read_archive(archive_of("identified")))
    assert "empty: no value is borne" in drawing.svg
    for text in ("Anderson-Rubin, 95 % set", "conditional likelihood ratio, 95 % set", "p-value", "0.05"):
        assert text in drawing.svg
    assert "must not be read" not in drawing.reading


def test_a_curve_of_a_verdict_that_refuses_says_so(archive_of):
    folder, other = archive_of("not identified"), archive_of("identified")
    for name in ("effect_curve.tsv", "confidence_sets.tsv"):
        (folder / name).write_bytes((other / name).read_bytes())
    assert "must not be read as effects" in effect_curve_plot(read_archive(folder)).reading


def test_every_series_of_the_component_counts_is_named(archive_of):
    svg = component_count_plot(read_archive(archive_of("identified"))).svg
    for name in ("No instruments, OLS", "Observed, 2SLS", "Observed, within environments, LIML", "Learned, LIML"):
        assert name in svg
    assert "principal components held fixed" in svg


def test_negative_controls_stand_under_their_names_with_their_numbers(archive_of):
    folder = archive_of("identified")
    svg = negative_control_forest(read_archive(folder)).svg
    for text in ("tanning, for the outcome", "birth order, for the exposure", "0.700  (0.661 to 0.739)", "estimated"):
        assert text in svg
    frame = pl.read_csv(folder / "negative_controls.tsv", separator="\t", infer_schema=False)
    frame.filter(role="outcome").write_csv(folder / "negative_controls.tsv", separator="\t")
    assert "effect per unit of ldl" in negative_control_forest(read_archive(folder)).svg


def test_combined_environments_stand_below_the_others(archive_of):
    folder = archive_of("identified")
    drawing = environment_forest(read_archive(folder))
    assert "all, fixed effects" in drawing.svg
    assert "all, random effects" in drawing.svg
    assert "Diamonds" in drawing.reading
    (folder / "meta_analysis.tsv").unlink()
    drawing = environment_forest(read_archive(folder))
    assert "all, fixed effects" not in drawing.svg
    assert "Diamonds" not in drawing.reading
