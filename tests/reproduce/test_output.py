import numpy as np
import polars as pl
import pytest

from invarmr.reproduce import output
from invarmr.reproduce.collect import collect, summary_rows
from invarmr.reproduce.items import ITEMS, chosen_items
from invarmr.reproduce.output import markdown, write_items
from invarmr.reproduce.plan import LEARNERS, units_of
from invarmr.reproduce.tidy_table import Store, settings_text

TABLES = chosen_items(("table1", "table2", "table3"))


@pytest.fixture
def store(tmp_path, small):
    """A table as a run leaves it: biases that say which unit, which model and which design they are of."""
    store = Store(tmp_path)
    rng = np.random.default_rng(0)
    rows, models = [], []
    for unit in units_of(ITEMS, ["none", "oracle", "stationary", "autoencoder"], small):
        learned = ["2SLS(W^)", "PO(V^)-2SLS(W^)", "LIML(W^)", "PO(V^)-LIML(W^)", "DML(W^)", "DML(W^, V^)"]
        names = ["2SLS(Z)", "PO(K)-2SLS(Z)", "MR-Egger", "PO(K)-MR-Egger", "OLS"] if unit.learner == "none" else learned
        for settings in unit.settings(small):
            inv, ind = settings.get("lambda_invariance", 0), settings.get("lambda_independence", 0)
            key = {
                "design": small.design, "environments": unit.environments, "mixing": unit.mixing, "seed": unit.seed,
                "learner": unit.learner, "settings": settings_text(settings),
            }  # fmt: skip
            models.append({
                **key, "trained_on": unit.trained_on, "validation": 1 / (1 + inv), "validation_whitened": float(inv),
                "spread": 1.0, "seconds": 1.0, "failure": "",
            })  # fmt: skip
            for effects in unit.effects:
                for k, name in enumerate(names):
                    bias = 0.01 * inv + 0.1 * ind + unit.seed / 1000 + (effects == "asymmetric") + 0.0001 * k
                    rows.append({
                        **key, "symmetric": effects == "symmetric", "estimator": name, "bias": bias,
                        "estimate": 1 + bias,
                        "recovery": 0.9, "leakage": 0.1, "leakage_nonlinear": 0.2, "gcm_p": float(rng.uniform() / 10),
                        "validation": 1 / (1 + inv) if inv else None, "seconds": 1.0,
                    })  # fmt: skip
    store.add(rows, models)
    return store


def test_every_item_is_written_for_both_designs(store, small, monkeypatch):
    drawn = []
    monkeypatch.setattr(output, "draw_study", lambda panels, **how: (drawn.append((panels, how)), ("svg", b"png"))[1])
    written = {path.name for path in write_items(ITEMS, store, small, LEARNERS)}
    wanted = {"summary.tsv"}
    for item in ITEMS:
        endings = ("svg", "png") if item.kind == "boxes" else ("tsv", "md")
        wanted |= {f"{item.name}-{design}.{ending}" for design in ("published", "asymmetric") for ending in endings}
    assert written == wanted
    first, how = drawn[0]
    assert [panel.title for panel in first] == ["Poly 1", "Poly 2", "Poly 3", "Inv. MLP"]
    assert [box.label for box in first[0].boxes] == [
        "2SLS(W^), stationary", "PO(V^)-2SLS(W^), stationary", "2SLS(W^), autoencoder", "PO(V^)-2SLS(W^), autoencoder",
        "2SLS(true W)", "PO(true V)-2SLS(true W)", "2SLS(Z)", "PO(K)-2SLS(Z)", "MR-Egger", "PO(K)-MR-Egger",
    ]  # fmt: skip
    assert how["title"].startswith("Figure 1, published design")
    assert "2 seeds" in how["note"]
    second = drawn[2][0]
    assert [panel.title for panel in second] == ["Poly 3, stationary", "Poly 3, autoencoder"]
    assert len(second[1].boxes) == 4 * 2


def test_drawing_again_gives_the_same_bytes(store, small):
    items = chosen_items(("figure5", "table1"))
    first = {path.name: path.read_bytes() for path in write_items(items, store, small, ["autoencoder"])}
    assert {path.name: path.read_bytes() for path in write_items(items, store, small, ["autoencoder"])} == first
    assert "mean-var" in first["figure5-published.svg"].decode()


def one(series, **wanted):
    found = [own for own in series if all(getattr(own, name) == value for name, value in wanted.items())]
    assert len(found) == 1, (wanted, len(found))
    return found[0]


def test_the_published_rule_takes_the_least_validation_with_independence(store, small):
    wanted = {"symmetric": True, "mixing": "poly3", "learner": "autoencoder", "estimator": "2SLS(W^)"}
    published = collect(ITEMS, store, small, LEARNERS)
    whitened = collect(ITEMS, store, small, LEARNERS, rule="scale-invariant")
    seeds = [0.001, 0.002]
    np.testing.assert_allclose(one(published, item="figure1", **wanted).values("bias"), np.add(0.15, seeds))
    np.testing.assert_allclose(one(whitened, item="figure1", **wanted).values("bias"), np.add(0.11, seeds))
    without = one(published, item="figure3", variant="without", **wanted)
    np.testing.assert_allclose(without.values("bias"), np.add(0.05, seeds))
    wanted["symmetric"] = False
    np.testing.assert_allclose(one(published, item="figure1", **wanted).values("bias"), np.add(1.15, seeds))


def test_half_a_grid_is_not_shown(store, small):
    larger = type(small)(**{**vars(small), "lambda_invariance": (1.0, 5.0, 10.0)})
    assert {own.learner for own in collect(ITEMS, store, larger, LEARNERS)} == {"none", "oracle", "stationary"}


def test_tables_imitate_the_published_layout(store, small):
    write_items(TABLES, store, small, LEARNERS)
    kernels = pl.read_csv(store.out / "table1-published.tsv", separator="\t")
    assert kernels.columns[-3:] == ["MMD mean-var", "MMD polynomial 2", "MMD polynomial 3"]
    assert kernels[:3, 2].to_list() == ["HSIC orthogonality"] * 2 + ["HSIC polynomial 2"]
    assert kernels.height == 3 * 2
    assert kernels["MMD polynomial 3"][0] == "0.152 (0.001)"
    second = pl.read_csv(store.out / "table2-published.tsv", separator="\t")
    assert second.filter(pl.col("learner") == "autoencoder")["estimator"].to_list() == ["2SLS", "LIML", "DML"]
    assert second.columns[-2:] == ["W^", "(W^, V^)"]
    third = pl.read_csv(store.out / "table3-asymmetric.tsv", separator="\t").filter(pl.col("learner") == "autoencoder")
    assert third["p^"].to_list() == [1, 2, 3, 4]
    assert third["validation MMD mean"].to_list() == [0.167] * 4
    assert third["seeds"].to_list() == [2] * 4


def test_the_summary_has_one_row_per_series(store, small, monkeypatch):
    monkeypatch.setattr(output, "draw_study", lambda *_, **__: ("svg", b"png"))
    write_items(ITEMS, store, small, LEARNERS)
    summary = pl.read_csv(store.out / "summary.tsv", separator="\t")
    row = summary.filter(
        item="figure6", design="published", variant="0.1", learner="autoencoder", rule="published", estimator="2SLS(W^)"
    )
    assert row.height == 1
    assert row["bias_mean"][0] == pytest.approx(0.1515)
    assert row["leakage_nonlinear"][0] == 0.2
    assert row["seeds"][0] == 2
    assert set(summary["rule"].drop_nulls().unique()) == {"published", "scale-invariant"}


def test_failed_replicates_are_counted(small, tmp_path):
    store = Store(tmp_path)
    base = {
        "design": small.design, "environments": 2, "mixing": "poly3", "symmetric": True, "learner": "stationary",
        "settings": "n_latent=2", "estimator": "2SLS(W^)", "seconds": 0.0,
    }  # fmt: skip
    blank = dict.fromkeys(("recovery", "leakage", "leakage_nonlinear", "gcm_p", "validation"))
    store.add([{**base, **blank, "seed": 1, "estimate": None, "bias": None}])
    store.add([{**base, **blank, "seed": 2, "estimate": 1.1, "bias": 0.1}])
    rows = summary_rows(collect(chosen_items(("table2",)), store, small, ["stationary"]))
    assert (rows[0]["seeds"], rows[0]["failed"], rows[0]["bias_sd"]) == (2, 1, None)
    write_items(chosen_items(("table2",)), store, small, ["stationary"])
    assert "0.100, 1 failed" in (tmp_path / "table2-published.md").read_text()


def test_nothing_run_writes_nothing(tmp_path, small):
    assert write_items(ITEMS, Store(tmp_path), small, LEARNERS) == []
    assert markdown([{"R2(V|W^)": "a|b"}]).splitlines()[0] == "| R2(V\\|W^) |"
