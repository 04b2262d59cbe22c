import pytest

from invarmr.errors import InputError
from invarmr.reproduce.items import BASELINES, ITEMS, chosen_items

BY_NAME = {item.name: item for item in ITEMS}


def test_all_figures_and_tables_are_there():
    assert list(BY_NAME) == [*(f"figure{k}" for k in range(1, 7)), *(f"table{k}" for k in range(1, 4))]
    assert chosen_items(("all",)) == ITEMS
    assert [item.name for item in chosen_items(("table1", "figure2"))] == ["figure2", "table1"]


def test_items_show_what_the_publication_does():
    for name, environments in (("figure1", 2), ("figure4", 3)):
        item = BY_NAME[name]
        assert (item.environments, item.mixings) == (environments, ("poly1", "poly2", "poly3", "mlp"))
        assert item.baselines == BASELINES
        assert len(item.learned) + len(item.baselines) == 6
    assert [variant.n_latent for variant in BY_NAME["figure2"].variants] == [1, 2, 3, 4]
    assert [variant.n_latent for variant in BY_NAME["table3"].variants] == [1, 2, 3, 4]
    assert [variant.independence for variant in BY_NAME["figure3"].variants] == [True, False]
    assert [variant.label for variant in BY_NAME["figure5"].variants] == ["mean-var", "polynomial 2", "polynomial 3"]
    relevance = [variant.options.get("lambda_relevance", 0) for variant in BY_NAME["figure6"].variants]
    assert relevance == [0, 0.001, 0.01, 0.1]
    kernels = [
        (
            variant.options.get("independence_kernel", "polynomial2"),
            variant.options.get("invariance_kernel", "polynomial2"),
        )
        for variant in BY_NAME["table1"].variants
    ]
    assert len(set(kernels)) == 9
    assert {pair[0] for pair in kernels} == {"orthogonality", "polynomial2", "polynomial3"}
    assert {pair[1] for pair in kernels} == {"mean_var", "polynomial2", "polynomial3"}
    assert len(BY_NAME["table2"].learned) == 6


@pytest.mark.parametrize("names", [(), ("figure7",), ("figure1", "tabel1")])
def test_unknown_items_are_named(names):
    with pytest.raises(InputError, match="must be among all, figure1"):
        chosen_items(names)
