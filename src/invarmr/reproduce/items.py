"""The figures and tables of arXiv 2602.19782 as data: which designs, which settings, which estimators each one shows.

What the publication leaves open is ours, and said here: q^ is 2 wherever p^ varies; figures 2, 5 and 6 and all tables
choose the lambdas over the same grid as figure 1 does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from invarmr.errors import InputError
from invarmr.simulate.mixing import MixingName

__all__ = ["BASELINES", "ITEMS", "LEARNED", "Item", "Variant", "chosen_items"]

BASELINES = ("2SLS(Z)", "PO(K)-2SLS(Z)", "MR-Egger", "PO(K)-MR-Egger")
"""The published baselines; "PO(K)" partials out the environment's number as one numeric column."""
LEARNED = ("2SLS(W^)", "PO(V^)-2SLS(W^)")
_TABLE_2 = ("2SLS(W^)", "PO(V^)-2SLS(W^)", "LIML(W^)", "PO(V^)-LIML(W^)", "DML(W^)", "DML(W^, V^)")
_FOUR: tuple[MixingName, ...] = ("poly1", "poly2", "poly3", "mlp")
Setting = str | float | int


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One setting that an item compares.

    Parameters
    ----------
    label
        What the figure or table calls it.
    n_latent
        p^.
    options
        Settings of the autoencoder that differ from its defaults; learners without kernels or lambdas ignore a
        variant that has any.
    independence
        Whether the models compared are those with an independence penalty (the published choice) or those without.
    """

    label: str
    n_latent: int = 2
    options: Mapping[str, Setting] = field(default_factory=dict)
    independence: bool = True


@dataclass(frozen=True, kw_only=True)
class Item:
    """A figure or table.

    Parameters
    ----------
    name, title
        `figure1`, and what it shows.
    kind
        `boxes` (bias over seeds), `bias table` or `test table`.
    environments
        E.
    mixings
        One panel each.
    variants
        What is compared.
    learned, baselines
        Estimators on the learned parts, and beside them.
    """

    name: str
    title: str
    kind: Literal["boxes", "bias table", "test table"] = "boxes"
    environments: int = 2
    mixings: tuple[MixingName, ...] = ("poly3",)
    variants: tuple[Variant, ...] = (Variant(label=""),)
    learned: tuple[str, ...] = LEARNED
    baselines: tuple[str, ...] = ()

    @property
    def for_autoencoders(self) -> bool:
        """Whether it compares settings that autoencoders alone have."""
        return any(variant.options or not variant.independence for variant in self.variants)


def _kernels() -> tuple[Variant, ...]:
    independence = {"orthogonality": "orthogonality", "polynomial 2": "polynomial2", "polynomial 3": "polynomial3"}
    invariance = {"mean-var": "mean_var", "polynomial 2": "polynomial2", "polynomial 3": "polynomial3"}
    return tuple(
        Variant(
            label=f"HSIC {hsic}, MMD {mmd}",
            options={
                name: value
                for name, value in (("independence_kernel", kernel), ("invariance_kernel", other))
                if value != "polynomial2"
            },
        )
        for hsic, kernel in independence.items()
        for mmd, other in invariance.items()
    )


_SIZES = tuple(Variant(label=f"p^ = {p}", n_latent=p) for p in (1, 2, 3, 4))

ITEMS: tuple[Item, ...] = (
    Item(
        name="figure1",
        title="Two environments: bias of every estimator, by mixing",
        mixings=_FOUR,
        baselines=BASELINES,
    ),
    Item(name="figure2", title="Number of latent instruments asked for (2 are true)", variants=_SIZES),
    Item(
        name="figure3",
        title="With and without the independence penalty",
        mixings=_FOUR,
        variants=(Variant(label="with"), Variant(label="without", independence=False)),
    ),
    Item(
        name="figure4",
        title="Three environments: bias of every estimator, by mixing",
        environments=3,
        mixings=_FOUR,
        baselines=BASELINES,
    ),
    Item(
        name="figure5",
        title="Kernel of the invariance loss",
        variants=(
            Variant(label="mean-var", options={"invariance_kernel": "mean_var"}),
            Variant(label="polynomial 2"),
            Variant(label="polynomial 3", options={"invariance_kernel": "polynomial3"}),
        ),
    ),
    Item(
        name="figure6",
        title="Weight of the relevance term",
        variants=(
            Variant(label="0"),
            *(Variant(label=f"{weight:g}", options={"lambda_relevance": weight}) for weight in (0.001, 0.01, 0.1)),
        ),
    ),
    Item(name="table1", title="Kernels of the two losses", kind="bias table", variants=_kernels()),
    Item(name="table2", title="Estimators on the learned parts", kind="bias table", learned=_TABLE_2),
    Item(name="table3", title="Tests of the learned parts by their number", kind="test table", variants=_SIZES),
)


def chosen_items(names: list[str] | tuple[str, ...]) -> tuple[Item, ...]:
    """The items of some names, in the order of the publication; `all` is every one.

    Raises
    ------
    InputError
        A name that is none.
    """
    known = [item.name for item in ITEMS]
    wrong = [name for name in names if name not in (*known, "all")]
    if wrong or not names:
        raise InputError(
            f"What to reproduce must be among all, {', '.join(known)}, but is {', '.join(wrong) or 'nothing'}."
        )
    return tuple(item for item in ITEMS if "all" in names or item.name in names)
