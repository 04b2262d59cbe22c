import pytest

from invarmr.errors import InputError
from invarmr.reproduce.items import ITEMS, chosen_items
from invarmr.reproduce.plan import (
    _IMPROVED_EPOCHS,
    _IMPROVED_STARTS,
    FULL,
    QUICK,
    Scale,
    Unit,
    describe,
    expected_seconds,
    in_words,
    units_of,
)


def test_every_replicate_is_run_once_whatever_asks_for_it():
    scale = Scale(seeds=(1,))
    everything = units_of(ITEMS, ["autoencoder"], scale)
    assert len(everything) == len(set(everything))
    one, three = (
        units_of(chosen_items(names), ["autoencoder"], scale)
        for names in (("figure1",), ("figure1", "figure3", "table2"))
    )
    assert one == three
    # mixings of figures 1 and 4; p^ of 1, 3 and 4; two more kernels of figure 5 and six of table 1; three weights of
    # the relevance term, each trained for both designs
    assert len(everything) == 4 + 4 + 3 + 8 + 6


def test_the_exposure_enters_training_only_with_the_relevance_term():
    units = units_of(chosen_items(("figure6",)), ["autoencoder"], Scale(seeds=(1,)))
    assert [unit.trained_on for unit in units] == ["both", *["symmetric", "asymmetric"] * 3]


def test_other_learners_have_no_kernels_or_lambdas():
    units = units_of(ITEMS, ["stationary"], Scale(seeds=(1,)))
    assert {(unit.environments, unit.mixing, unit.n_latent) for unit in units} == {
        *((E, mixing, 2) for E in (2, 3) for mixing in ("poly1", "poly2", "poly3", "mlp")),
        *((2, "poly3", p) for p in (1, 3, 4)),
    }
    assert units_of(chosen_items(("figure3", "figure5", "figure6", "table1")), ["none", "stationary"], FULL) == []
    assert all(unit.settings(FULL) == [{"n_latent": unit.n_latent}] for unit in units)
    assert len(units_of(ITEMS, ["none", "oracle"], Scale(seeds=(1,)))) == 16


def test_the_grid_is_the_published_one():
    unit = Unit(learner="autoencoder", environments=2, mixing="poly3", seed=1, n_latent=2)
    grid = unit.settings(FULL)
    assert [(own["lambda_invariance"], own["lambda_independence"]) for own in grid] == [
        (i, j) for i in (1, 5, 10) for j in (0, 1, 5, 10)
    ]
    assert FULL.seeds == tuple(range(1, 21))
    assert FULL.n_samples == 10_000
    three = Unit(learner="autoencoder", environments=3, mixing="poly3", seed=1, n_latent=2)
    assert len(three.settings(FULL)) == 9  # those without independence are never shown there
    changed = Scale(training={"epochs": 7})
    assert all(own["epochs"] == 7 for own in unit.settings(changed))


def test_double_machine_learning_is_for_table_2():
    units = units_of(ITEMS, ["oracle", "autoencoder", "none"], Scale(seeds=(3,)))
    assert {
        (unit.learner, unit.mixing, unit.environments, unit.n_latent, unit.options)
        for unit in units
        if unit.double_machine_learning
    } == {
        ("oracle", "poly3", 2, 0, ()),
        ("autoencoder", "poly3", 2, 2, ()),
    }


def test_keys_name_both_designs_and_every_model(small):
    unit = Unit(learner="autoencoder", environments=2, mixing="mlp", seed=1, n_latent=2)
    keys = unit.keys(small)
    assert len(keys) == 2 * 4
    assert {key[3] for key in keys} == {True, False}
    assert {key[0] for key in keys} == {"p2-q2-n500"}


def test_the_plan_says_what_and_how_long():
    units = units_of(ITEMS, ["none", "stationary"], QUICK)
    text = describe(ITEMS, units, 3, QUICK, 2)
    assert "9 of the publication's figures and tables" in text
    assert "quick: 2 seeds" in text
    assert "none: 16 replicates" in text
    assert "stationary: 22 replicates, 22 models" in text
    assert "3 replicates are in the table already" in text
    assert "2 cores" in text
    assert "1 core of" in describe(ITEMS, units, 0, QUICK, 1)


def test_cost_grows_with_rows_epochs_and_models():
    unit = Unit(learner="autoencoder", environments=2, mixing="poly2", seed=1, n_latent=2)
    base = expected_seconds(unit, Scale(training={"epochs": 400}))
    assert expected_seconds(unit, Scale(training={"epochs": 800})) > 1.5 * base
    assert expected_seconds(unit, Scale(training={"epochs": 400}, lambda_invariance=(1.0,))) < base / 2
    assert expected_seconds(unit, Scale(training={"epochs": 400}, n_samples=20_000)) > 1.5 * base
    assert in_words(89) == "89 s"


def test_the_improved_autoencoder_costs_its_starts_and_has_no_more_epochs_with_three_environments():
    settings = pytest.importorskip("invarmr.instruments.autoencoder_settings").AutoencoderSettings.improved()
    assert (settings.epochs, settings.n_restarts) == (_IMPROVED_EPOCHS, _IMPROVED_STARTS)

    def models(learner, environments, epochs):
        unit = Unit(learner=learner, environments=environments, mixing="poly1", seed=1, n_latent=2)
        scale = Scale(training={} if epochs is None else {"epochs": epochs})
        return expected_seconds(unit, scale) / len(unit.lambdas(scale))

    for environments in (2, 3):
        total = settings.epochs * settings.n_restarts
        one, other = models("autoencoder_improved", environments, None), models("autoencoder", environments, total)
        assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": ()}, "At least one seed"),
        ({"seeds": (-1,)}, "from 0 up"),
        ({"n_samples": 10}, "At least 500 rows"),
        ({"lambda_independence": (0.0,)}, "above 0"),
    ],
)
def test_bad_scales(settings, message):
    with pytest.raises(InputError, match=message):
        Scale(**settings)


@pytest.mark.parametrize("learners", [[], ["magic"]])
def test_bad_learners(learners):
    with pytest.raises(InputError, match="Learners must be among none, oracle"):
        units_of(ITEMS, learners, FULL)
