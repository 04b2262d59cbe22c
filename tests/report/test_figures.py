import re

import numpy as np
import polars as pl
import pytest

from invarmr.report.archive import read_archive
from invarmr.report.figures import marks_of
from invarmr.report.forest_figures import environment_forest, estimate_forest
from invarmr.report.learning_figures import eigenvalue_plot, invariance_plot, loading_plot
from invarmr.report.structure_figures import balance_plot, component_scatter, log_floor

FIGURES = {
    "forest": estimate_forest,
    "environment-forest": environment_forest,
    "eigenvalues": eigenvalue_plot,
    "invariance": invariance_plot,
    "loadings": loading_plot,
    "balance": balance_plot,
    "components": lambda archive: component_scatter(archive, masked=False),
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
    folder = archive_of("weak")
    frame = pl.read_csv(folder / "estimates.tsv", separator="\t", infer_schema=False)
    frame.with_columns(estimate=pl.lit("")).write_csv(folder / "estimates.tsv", separator="\t")
    assert estimate_forest(read_archive(folder)).reason == "no estimator gave a number"


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
