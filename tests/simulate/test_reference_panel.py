import hashlib
from importlib.resources import files

import numpy as np
import polars as pl
import pytest

from invarmr.errors import InputError
from invarmr.simulate.reference_panel import ReferencePanel, load_reference_panel

REFERENCE = files("invarmr.simulate") / "reference"


def small_panel(**changes):
    variants = pl.DataFrame(
        {
            "variant": ["a", "b", "c"],
            "chromosome": ["1", "1", "2"],
            "position": [10, 20, 5],
            "counted_allele": ["A", "C", "G"],
            "other_allele": ["G", "T", "T"],
        }
    )
    calls = np.array([[0, 1, 2, 1], [1, 1, 0, 0], [2, 2, 1, 0]], dtype=np.int8)
    settings = {"calls": calls, "variants": variants, "population": np.array(["X", "X", "Y", "Y"])} | changes
    return ReferencePanel(**settings)


def test_shipped_files_match_their_sums():
    sums = dict(reversed(line.split()) for line in (REFERENCE / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {path.name for path in REFERENCE.iterdir()} - {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256((REFERENCE / name).read_bytes()).hexdigest() == expected, name
    provenance = (REFERENCE / "PROVENANCE.md").read_text()
    assert all(sums[name] in provenance for name in sums if name != "PROVENANCE.md")
    assert sum(len(path.read_bytes()) for path in REFERENCE.iterdir()) < 4_000_000


def test_panel_is_common_everywhere_and_in_genome_order():
    panel = load_reference_panel()
    frequency = panel.frequencies()
    assert frequency.shape == (5, 5000)
    assert np.minimum(frequency, 1 - frequency).min() > 0.05
    assert panel.variants["chromosome"].unique(maintain_order=True).to_list() == [str(k) for k in range(1, 23)]
    alleles = panel.variants["counted_allele"].to_list() + panel.variants["other_allele"].to_list()
    assert set(alleles) == set("ACGT")
    assert panel.variants["variant"].is_unique().all()
    assert dict(zip(*np.unique(panel.population, return_counts=True), strict=True)) == {
        "AFR": 661, "AMR": 347, "EAS": 504, "EUR": 503, "SAS": 489,
    }  # fmt: skip


def test_one_variant_decodes_as_read_by_hand():
    panel = load_reference_panel()
    packed = (REFERENCE / "thousand_genomes.bed").read_bytes()
    assert packed[:3] == b"\x6c\x1b\x01"
    row, width = 1234, 626
    record = packed[3 + row * width : 3 + (row + 1) * width]
    by_hand = [{0: 2, 2: 1, 3: 0}[record[person // 4] >> 2 * (person % 4) & 3] for person in range(2504)]
    assert panel.calls[row].tolist() == by_hand


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population": np.array(["X", "Y"])}, "shape"),
        ({"population": np.array(["X"] * 4)}, "two populations"),
        ({"calls": np.full((3, 4), -9, dtype=np.int8)}, "none missing"),
        ({"calls": np.zeros((3, 4))}, "int8"),
        ({"variants": pl.DataFrame({"variant": ["a", "b", "c"]})}, "lack the columns"),
    ],
)
def test_unusable_panels_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        small_panel(**changes)


def test_unsorted_panels_are_refused():
    good = small_panel()
    for order in ([1, 0, 2], [0, 2, 1]):
        with pytest.raises(InputError, match="sorted"):
            small_panel(variants=good.variants[order])
