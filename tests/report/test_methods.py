"""The Methods paragraph says what was done, and cites nothing else."""

import json

import pytest

from invarmr.archive.disclosure import Disclosure
from invarmr.report.archive import read_archive
from invarmr.report.methods import methods_text, references


def learned_by(folder, **changes):
    """The paragraph about learning after some keys of `verdict.json` are changed."""
    path = folder / "verdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return methods_text(read_archive(folder), counts=Disclosure())[1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learner": "polynomial", "degree": 3}, "after undoing a polynomial mixture of degree 3 by degree filtration"),
        ({"learner": "polynomial"}, "after undoing a polynomial mixture by degree filtration"),
        ({"learner": "flow"}, "by a normalising flow fitted by maximum likelihood"),
        ({"learner": "autoencoder"}, "from the code of an autoencoder"),
    ],
)
def test_what_a_learner_did_before_the_closed_form_is_said(archive_of, changes, said):
    assert said in learned_by(archive_of("identified"), **changes)


@pytest.mark.parametrize("changes", [{"learner": "stationary"}, {"learner": "polynomial", "degree": 1}])
def test_nothing_is_undone_where_the_mixture_is_linear(archive_of, changes):
    text = learned_by(archive_of("identified"), **changes)
    assert "undoing" not in text
    assert "in closed form by a generalised eigenvalue problem" in text


def test_every_work_that_is_cited_is_listed_and_no_other(archive_of):
    archive = read_archive(archive_of("identified"))
    text = " ".join(methods_text(archive, counts=Disclosure()))
    listed = references(archive)
    assert "Hara et al., 2012" in text
    assert any(reference.startswith("Hara S") for reference in listed)
    assert not any(reference.startswith("Bekker") for reference in listed) or "Bekker, 1994" in text
