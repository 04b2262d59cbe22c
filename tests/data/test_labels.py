from __future__ import annotations

import numpy as np
import pytest

from invarmr.data.labels import encoded, names_of, sample_ids_of
from invarmr.errors import InputError


@pytest.mark.parametrize(
    ("labels", "codes", "levels"),
    [
        ([3, 1, 3], [1, 0, 1], ("1", "3")),
        ([2.5, 1.0, 2.5], [1, 0, 1], ("1.0", "2.5")),
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        (np.array(["b", 1, "b"], dtype=object), [1, 0, 1], ("1", "b")),
        (np.array(["2021-01-02", "2020-01-01", "2021-01-02"], dtype="datetime64[D]"), [1, 0, 1], None),
    ],
)
def test_codes_and_sorted_levels(labels, codes, levels) -> None:
    found, names = encoded(labels, "environment", 3)
    assert found.tolist() == codes
    assert names == (levels or ("2020-01-01", "2021-01-02"))


@pytest.mark.parametrize(
    "labels",
    [
        [1.0, np.nan, 2.0],
        ["a", " NA ", "b"],
        np.array(["a", None, "b"], dtype=object),
        np.array(["2020-01-01", "NaT", "2021-01-01"], dtype="datetime64[D]"),
    ],
)
def test_a_missing_label_names_its_row(labels) -> None:
    with pytest.raises(InputError, match=r"1 of 3 are missing \(first rows: 1\)"):
        encoded(labels, "environment", 3)


def test_ids_and_names() -> None:
    assert sample_ids_of(None, 11).tolist() == [str(i) for i in range(1, 12)]
    assert sample_ids_of([7, "x"], 2).tolist() == ["7", "x"]
    with pytest.raises(InputError, match="1 come more than once: x"):
        sample_ids_of(["x", "y", "x"], 3)
    with pytest.raises(InputError, match="3 sample ids"):
        sample_ids_of(["x"], 3)
    assert names_of(None, None, "PC", 2) == ("PC1", "PC2")
    with pytest.raises(InputError, match="more than once: a"):
        names_of(["a", "a"], None, "covariate", 2)
