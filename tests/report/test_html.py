import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.report.html import report_page, write_report

STATUSES = ("identified", "not identified", "rejected", "weak")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags, attributes, and whether every opened element is closed in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page):
    """What a reader sees, without styles, spaces run together."""
    without = re.sub(r"<style.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without))


def words_of(folder, *, smallest_count=None):
    if smallest_count is not None:
        about = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        about["settings"]["disclosure"] = {"smallest_count": smallest_count}
        (folder / "provenance.json").write_text(json.dumps(about), encoding="utf-8")
    return text_of(report_page(folder))


def change(path, **columns):
    """Rewrite columns of a table; None drops the column."""
    frame = pl.read_csv(path, separator="\t", infer_schema=False)
    dropped = [name for name, value in columns.items() if value is None]
    new = [pl.lit(value).alias(name) for name, value in columns.items() if value is not None]
    frame.drop(dropped).with_columns(new).write_csv(path, separator="\t")


@pytest.mark.parametrize("status", STATUSES)
def test_the_page_is_one_well_formed_file_without_resources_scripts_or_repeated_ids(archive_of, status):
    path = write_report(archive_of(status))
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert path.name == "report.html"
    assert not page.open
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(value.startswith("#") for name, value in page.attributes if name in ("href", "src", "xlink:href"))
    assert "@import" not in text
    assert "url(http" not in text
    assert len(page.ids) == len(set(page.ids))
    targets = {value[1:] for name, value in page.attributes if name == "href"} | set(re.findall(r"url\(#([^)]+)", text))
    assert targets <= set(page.ids)
    assert path.stat().st_size < 1_000_000
    assert sorted(path.parent.glob("*.part")) == []


@pytest.mark.parametrize("status", STATUSES)
def test_the_same_archive_gives_the_same_bytes(archive_of, status):
    folder = archive_of(status)
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


@pytest.mark.parametrize(
    ("status", "badge", "numbers"),
    [
        ("identified", "✓ Identified", ("0.504", "0.451 to 0.557", "0.0271", "4.20e-77", "31.4", "19,960")),
        ("weak", "△ Weak", ("0.00052", "−0.00614 to 0.00718", "0.00340", "0.880", "2.31", "412")),
        ("not identified", "? Not identified", ("0.271", "0.079 to 0.463", "0.0980", "0.00570", "11.0", "5,983")),
        ("rejected", "✕ Rejected", ("0.620", "0.522 to 0.718", "0.0500", "1.00e-5", "18.0", "4,000")),
    ],
)
def test_the_answer_shows_the_verdict_and_every_number_of_the_headline(archive_of, status, badge, numbers):
    page = report_page(archive_of(status))
    answer = text_of(page[page.index('<section id="answer"') : page.index("<figure")])
    assert badge in answer
    for number in numbers:
        assert number in answer
    assert ("NOT INTERPRETABLE" in answer) is (status in ("not identified", "rejected"))


def test_an_effect_that_must_not_be_read_is_not_printed_as_one(archive_of):
    folder = archive_of("not identified")
    page = report_page(folder)
    assert 'class="estimate"' not in page
    assert 'class="struck"' in page
    assert "is not interpretable as an effect" in text_of(page)


def test_a_simulated_study_says_so_and_marks_the_truth(archive_of):
    words = words_of(archive_of("identified"))
    assert "the true effect is 0.500" in words
    assert "true effect (simulated)" in words
    assert "1000 Genomes Project" in words
    assert "true effect (simulated)" not in words_of(archive_of("weak"))


def test_every_instrument_set_is_shown_with_what_it_assumes(archive_of):
    words = words_of(archive_of("identified"))
    for said in (
        "No unmeasured confounding at all",
        "ancestry and place included",
        "Within each environment the instruments are unrelated",
        "principal components capture all population structure",
        "the weights come from other people",
        "Every confounded combination of the instruments is distributed differently",
        "It cannot be had in practice",
    ):
        assert said in words


def test_environments_are_counted_from_the_samples_where_no_estimates_by_environment_exist(archive_of):
    folder = archive_of("identified")
    (folder / "environments.tsv").unlink()
    assert "19,960 people · 4 environments (site)" in words_of(folder)


def test_the_entrance_loads_no_plotting_library():
    code = "import sys, invarmr.report.html; print([m for m in ('matplotlib', 'jinja2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_learned_is_said_and_the_other_headline_named(archive_of):
    words = words_of(archive_of("rejected"))
    assert "No latent instruments were found" in words
    assert "headline row is “Observed, within environments”" in words
    assert "The last 12 of 40 numbers tried" in words
    assert "(−∞ to ∞)" in words


def test_what_is_absent_says_why(archive_of):
    words = words_of(archive_of("weak"))
    for reason in (
        "the study has no principal components",
        "the instruments of this study are columns, not variants",
        "no estimates by environment were made",
        "balance of the instruments was not measured",
    ):
        assert f"not available, because {reason}" in words
    assert "Not applicable, because there are as many instruments as exposures" in words


def test_names_are_shown_as_they_are(archive_of):
    page = report_page(archive_of("not identified"))
    assert "blood &lt;pressure&gt; &amp; $x$" in page
    assert "<pressure>" not in page


def test_references_are_those_the_text_cites(archive_of):
    identified, rejected = words_of(archive_of("identified")), words_of(archive_of("rejected"))
    for author in ("Huang, Robinson", "Hara S", "von Bünau P", "Anderson TW", "Bekker PA", "Hansen C"):
        assert author in identified
    assert "Auton A" in identified
    assert "Auton A" not in rejected


def test_small_counts_are_masked_everywhere_and_cannot_be_derived(archive_of):
    folder = archive_of("not identified")
    open_words = words_of(folder)
    assert "3,011" in open_words
    assert "17 people at Chennai" in open_words
    words = words_of(folder, smallest_count=20)
    assert "<20 people at Chennai" in words.replace("&lt;", "<")
    for count in ("3,011", "2,955", "5,983", "6,022"):
        assert count not in words
    assert "5,980" in words
    assert not re.search(r"outcome missing 13\b", words)


def test_masking_leaves_out_what_shows_single_people(archive_of):
    folder = archive_of("identified")
    assert "Lowest call rate" in words_of(folder)
    words = words_of(folder, smallest_count=20)
    assert "Lowest call rate" not in words
    with pytest.raises(InputError, match="smallest_count must be 2 or more"):
        words_of(folder, smallest_count=1)


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("estimates.tsv", "std_error"),
        ("diagnostics.tsv", "applies"),
        ("environments.tsv", "left_out_estimate"),
        ("balance.tsv", "r2_components"),
        ("eigenvalues.tsv", "kept"),
        ("components.tsv", "up"),
        ("loadings.tsv", "effect_allele"),
        ("variants.tsv", "reason"),
        ("samples.tsv", "n_samples"),
    ],
)
def test_a_missing_column_is_named_with_its_file(archive_of, file, column):
    folder = archive_of("identified")
    change(folder / file, **{column: None})
    with pytest.raises(InputError, match=rf"{file}.*column {column} was required"):
        report_page(folder)
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("file", "column", "value", "required"),
    [
        ("estimates.tsv", "estimate", "large", "numbers"),
        ("estimates.tsv", "headline", "yes", "true or false"),
        ("estimates.tsv", "n_samples", "many", "whole numbers"),
        ("components.tsv", "x", "left", "numbers"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(archive_of, file, column, value, required):
    folder = archive_of("identified")
    change(folder / file, **{column: value})
    with pytest.raises(InputError, match=rf"{file}: the column '{column}' must hold {required}, but has {value}"):
        report_page(folder)


def test_files_of_another_shape_are_refused_in_words(archive_of, tmp_path):
    folder = archive_of("weak")
    with pytest.raises(InputError, match="folder of a finished run"):
        write_report(tmp_path / "nowhere")
    change(folder / "estimates.tsv", headline="true")
    with pytest.raises(InputError, match="true in exactly one row, but is in 3"):
        report_page(folder)
    change(folder / "estimates.tsv", headline="")
    with pytest.raises(InputError, match="'headline' must be filled"):
        report_page(folder)
    (folder / "diagnostics.tsv").write_text("a\tb\n1\t2\t3\t4\n", encoding="utf-8")
    (folder / "estimates.tsv").unlink()
    with pytest.raises(InputError, match=r"estimates.tsv: this file of a finished run was required"):
        report_page(folder)


def test_a_torn_table_is_refused(archive_of):
    folder = archive_of("weak")
    (folder / "diagnostics.tsv").write_text("a\tb\n1\t2\t3\t4\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"diagnostics.tsv: a tab-separated table was required"):
        report_page(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "JSON was required"),
        ("[]", "a JSON object was required"),
        ('{"status": "fine", "reasons": [], "n_latent": 1, "path": []}', "'status' must be one of"),
        ('{"status": "weak"}', "the key reasons, n_latent, path was required"),
        (None, "was required, but could not be read"),
    ],
)
def test_a_verdict_that_cannot_be_read_is_refused(archive_of, content, message):
    folder = archive_of("weak")
    if content is None:
        (folder / "verdict.json").unlink()
    else:
        (folder / "verdict.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        report_page(folder)


def test_a_study_without_learning_or_optional_files_still_has_a_page(archive_of):
    folder = archive_of("weak")
    for name in ("eigenvalues.tsv", "loadings.tsv"):
        (folder / name).unlink()
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    provenance["settings"]["learn"]["method"] = "none"
    provenance["command"] = ["invarmr", "run", "study.toml"]
    del provenance["inputs"], provenance["seconds"]
    (folder / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    verdict = {"status": "identified", "reasons": [], "n_latent": 0, "path": []}
    (folder / "verdict.json").write_text(json.dumps(verdict), encoding="utf-8")
    change(folder / "estimates.tsv", instruments="observed", first_stage_f="")
    words = words_of(folder)
    assert "No latent instruments were found" not in words
    assert "invarmr run study.toml" in words
    assert "Huang" not in words
    assert "no input files were recorded" in words


def test_the_study_page_has_the_checklist_filled_from_the_run(archive_of):
    words = words_of(archive_of("identified"))
    assert "STROBE-MR checklist, filled as far as this run can" in words
    assert "items filled from this run" in words
    assert "to be stated by the authors" in words
