import pytest

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import read_archive
from invarmr.report.html import report_page
from invarmr.report.stratification_tables import combined_table, control_table, joint_table, set_table
from invarmr.report.tables import battery_table, diagnostic_table


def rows(table):
    return [row.cells for row in table.rows]


def test_joint_tests(archive_of):
    table = joint_table(read_archive(archive_of("identified")), counts=Disclosure())
    first, second = rows(table)
    assert first[:3] == ("observed instruments", "environment labels", "Wilks' Lambda (Rao's F)")
    assert first[3:8] == ("125", "600, 59389", "< 1e-300", "0.82 %", "0.015 %")
    assert second[4] == "–"
    assert "linked variants" in table.note


def test_combined_estimates_mark_the_headlines_instruments(archive_of):
    table = combined_table(read_archive(archive_of("identified")))
    assert [row.mark for row in table.rows] == ["headline", "headline", "", ""]
    assert rows(table)[0][:4] == ("Learned", "fixed effects", "0.510", "0.451 to 0.569")
    assert rows(table)[2][6] == "119"


def test_negative_controls_and_their_counts(archive_of):
    archive = read_archive(archive_of("identified"))
    table = control_table(archive, counts=Disclosure())
    assert rows(table)[0] == (
        "tanning", "outcome", "No instruments", "OLS", "0.700", "0.661 to 0.739", "0.400", "–", "–", "19,943",
    )  # fmt: skip
    assert [row.mark for row in table.rows] == ["", "", "headline"] * 2
    assert rows(control_table(archive, counts=Disclosure(20)))[0][-1] == "19,940"


def test_sets_are_shown_whole(archive_of):
    table = set_table(read_archive(archive_of("identified")))
    assert [row[2] for row in rows(table)] == ["[0.451, 0.557]", "empty", "(-inf, 0.4] U [0.45, inf)"]


def test_tests_of_stratification_stand_in_its_section_alone(archive_of):
    archive = read_archive(archive_of("identified"))
    battery = [cells[1] for cells in rows(battery_table(archive, counts=Disclosure()))]
    assert battery == ["joint test against principal components", "even- and odd-chromosome scores, over everyone"]
    others = [cells[1] for cells in rows(diagnostic_table(archive, counts=Disclosure()))]
    assert others
    assert not any(name.startswith(("joint test", "even- and odd")) for name in others)


@pytest.mark.parametrize("make", [combined_table, set_table])
def test_what_is_absent_says_why(archive_of, make):
    archive = read_archive(archive_of("weak"))
    assert make(archive).reason
    assert joint_table(archive, counts=Disclosure()).reason
    assert control_table(archive, counts=Disclosure()).reason == "the study names no negative controls"


def test_the_page_has_the_section(archive_of):
    text = report_page(archive_of("identified"))
    assert '<section id="stratification">' in text
    assert '<a href="#stratification">' in text
    assert "tanning" in text
    bare = report_page(archive_of("weak"))
    assert "not available, because the study names no negative controls" in bare
