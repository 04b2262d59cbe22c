import polars as pl

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import read_archive
from invarmr.report.data_tables import drop_reasons, sample_table, variant_table
from invarmr.report.numbers import show_number, show_p, show_share
from invarmr.report.tables import diagnostic_table, estimate_table, ladder_table, loading_table, path_table


def cells(table):
    return [row.cells for row in table.rows]


def test_every_row_has_a_cell_for_every_column(archive_of):
    archive = read_archive(archive_of("identified"))
    for table in (
        estimate_table(archive, counts=Disclosure()),
        sample_table(archive, counts=Disclosure()),
        variant_table(archive, counts=Disclosure()),
        variant_table(archive, counts=Disclosure(20)),
        drop_reasons(archive),
        path_table(archive),
        ladder_table(archive),
        diagnostic_table(archive, counts=Disclosure()),
        loading_table(archive, ["latent1", "latent2"]),
    ):
        assert table.rows
        assert {len(row.cells) for row in table.rows} == {len(table.columns)}


def test_exactly_one_estimate_is_marked(archive_of):
    table = estimate_table(read_archive(archive_of("identified")), counts=Disclosure())
    assert [row.cells[:3] for row in table.rows if row.mark == "headline"] == [("Learned", "LIML", "0.504")]


def test_reasons_are_counted_by_kind_and_not_by_their_numbers(archive_of):
    found = {row[1]: row[2] for row in cells(drop_reasons(read_archive(archive_of("identified"))))[2:]}
    assert found == {
        "minor allele frequency": "3",
        "call rate": "2",
        "alleles A/T cannot be told apart by strand": "2",
        "not in the genotype file": "2",
    }


def test_stages_stand_in_their_order_with_sums(archive_of):
    table = sample_table(read_archive(archive_of("identified")), counts=Disclosure())
    assert [row[0] for row in cells(table)] == ["read", "matched", "dropped", "dropped", "used"]
    assert cells(table)[-1][2:] == ("5,012", "4,988", "5,030", "4,930", "", "19,960")


def test_many_environments_go_down_the_page(archive_of):
    folder = archive_of("identified")
    rows = [("read", f"site {k}", str(100 + k), "") for k in range(20)]
    rows += [("used", f"site {k}", str(90 + k), "") for k in range(20)]
    frame = pl.DataFrame(rows, schema=["stage", "environment", "n_samples", "reason"], orient="row")
    frame.write_csv(folder / "samples.tsv", separator="\t")
    table = sample_table(read_archive(folder), counts=Disclosure())
    assert cells(table)[0] == ("site 0", "100", "90")
    assert cells(table)[-1] == ("All", "2,190", "1,990")


def test_long_lists_are_cut_and_say_so(archive_of):
    folder = archive_of("identified")
    frame = pl.read_csv(folder / "variants.tsv", separator="\t", infer_schema=False)
    pl.concat([frame] * 6).write_csv(folder / "variants.tsv", separator="\t")
    table = variant_table(read_archive(folder), counts=Disclosure())
    assert len(table.rows) == 1000
    assert "The first 1,000 of 1,254" in table.note
    assert table.rows[0].mark == "off"


def test_a_path_says_what_was_not_shown(archive_of):
    table = path_table(read_archive(archive_of("identified")))
    assert [row.mark for row in table.rows] == ["", "", "", "headline"]
    assert cells(table)[-1][-2:] == (
        "not rejected", "nothing; smallest: means of the 4 least invariant directions differ between environments",
    )  # fmt: skip


def test_numbers_have_three_digits_and_never_a_p_value_of_zero():
    assert [show_number(x) for x in (9.999, 0.09996, 123456.0, -0.5, 0.0, float("nan"), -float("inf"))] == [
        "10.0", "0.100", "123,456", "−0.500", "0", "–", "−∞",
    ]  # fmt: skip
    assert [show_p(x) for x in (1.0, 0.0009996, 1e-300, 9e-301, float("nan"))] == [
        "1.00", "1.00e-3", "1.00e-300", "< 1e-300", "–",
    ]  # fmt: skip
    assert show_share(None) == "–"
    assert Disclosure(20).show(None) == "<20"  # masked when it was written
    assert Disclosure().show(None) == "–"


def test_the_ladder_shows_every_learner_tried_and_marks_the_one_used(archive_of):
    table = ladder_table(read_archive(archive_of("identified")))
    assert [(row.cells[0], row.cells[2], row.mark) for row in table.rows] == [
        ("stationary", "left", ""),
        ("polynomial", "used", "headline"),
    ]
    named = ladder_table(read_archive(archive_of("weak")))
    assert not named.rows
    assert "names the learner" in named.reason
