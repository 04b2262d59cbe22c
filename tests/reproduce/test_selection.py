import pytest

from invarmr.reproduce.selection import chosen_index

GRID = [{"lambda_independence": value} for value in (0.0, 1.0, 5.0, 0.0)]


@pytest.mark.parametrize(
    ("validation", "independence", "chosen"),
    [
        ([0.1, 0.4, 0.3, 0.2], True, 2),
        ([0.1, 0.4, 0.3, 0.05], False, 3),
        ([0.1, 0.4, None, 0.2], True, 1),
        ([0.1, None, None, 0.2], True, -1),
        ([None, 0.1, 0.1, None], False, -1),
    ],
)
def test_the_least_validation_wins_and_the_penalty_decides_who_competes(validation, independence, chosen):
    assert chosen_index(GRID, validation, independence=independence) == chosen


def test_learners_without_a_grid_have_one_model():
    assert chosen_index([{"n_latent": 2}], [None]) == 0
    assert chosen_index([{"n_latent": 2}], [None], independence=False) == -1
    assert chosen_index([], []) == -1
