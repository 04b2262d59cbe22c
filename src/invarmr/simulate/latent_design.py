"""The settings of a simulated latent-instrument study: the published designs and those beside them.

Symbols: e environment 0..E-1; H confounder, V confounded part (q), W latent instruments (p), Z observed instruments;
eta_e the scale of H in V; theta the effect.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from invarmr.arrays import FloatArray
from invarmr.errors import InputError, first_few
from invarmr.simulate.mixing import MixingName

__all__ = ["Effects", "LatentDesign"]

Effects = Literal["symmetric", "asymmetric"]
_CORRELATION = 0.5
_MEAN_STEP = 2.0
_MEAN_RANGE = 4.0


@dataclass(frozen=True, kw_only=True)
class LatentDesign:
    """How a study with latent instruments is drawn.

    In environment e: H ~ N(mean_e 1, I), V = V0 + eta_e H, V0 and W normal, independent of H and of each other;
    Z = f(V, W) by the mixing. Symmetric effects: D = 1'V + relevance 1'W + 1'H + N(0, 1), Y = effect D + 1'H + N(0, 1);
    asymmetric ones: D = V1 + relevance 1'W + H1 + N(0, 1), Y = effect D + H1 + N(0, 1). The defaults are the published
    study's; everything beyond it says so.

    Attributes
    ----------
    n_valid, n_confounded
        p and q: columns of W and of V (and H).
    n_environments
        E, at least 2.
    n_samples
        Rows per environment.
    mixing
        f: `none`, `linear`, `poly1`, `poly2`, `poly3`, `mlp`, `discrete`; see `simulate/mixing.py`. The published study
        has poly1 to poly3, mlp and a discrete one.
    effects
        `symmetric` (published), where V1 - V2 is neither confounded nor relevant, so that a W^ made of it shows no
        bias; `asymmetric` (ours), where it would.
    effect
        theta.
    covariance
        Covariance of V0 and of W: `fixed` (variance 1, correlation 0.5), or `wishart` with 3 times as many degrees of
        freedom as columns, mean I, drawn from `mixing_seed`.
    shape
        Marginal law of V0, W and H about their means: `gaussian`; `bounded` (uniform) or `skewed` (exponential), by a
        Gaussian copula, means and variances unchanged (ours).
    shifts
        How V differs between environments: `mean_and_scale` (published); `mean` (eta the same everywhere: q - 1
        directions of V are invariant, so with q > 1 W is not identified); `none` (ours).
    relevance
        Scale of W's effect on D: 1; small for weak instruments, 0 for irrelevant ones (ours).
    direct_effect
        Effect of every column of W on Y beside the exposure: 0, or the exclusion restriction fails (ours).
    valid
        False: W too carries a confounder of its own that moves with the environment, so nothing in Z is valid (ours).
    noise
        Standard deviation of noise on Z as a share of each column's (of each logit's for `discrete`) (ours).
    n_instruments
        d of the discrete mixing (default 20); the others' d follows from p + q.
    mixing_seed
        Of f (drawn once per mixing and number of environments) and of Wishart covariances. It is not the data's seed.

    Raises
    ------
    InputError
        A setting is not among those it can be, or out of range.

    Examples
    --------
    >>> LatentDesign(n_environments=3).scales().tolist()
    [[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]]
    """

    n_valid: int = 2
    n_confounded: int = 2
    n_environments: int = 2
    n_samples: int = 10_000
    mixing: MixingName = "poly3"
    effects: Effects = "symmetric"
    effect: float = 1.0
    covariance: Literal["fixed", "wishart"] = "fixed"
    shape: Literal["gaussian", "bounded", "skewed"] = "gaussian"
    shifts: Literal["mean_and_scale", "mean", "none"] = "mean_and_scale"
    relevance: float = 1.0
    direct_effect: float = 0.0
    valid: bool = True
    noise: float = 0.0
    n_instruments: int | None = None
    mixing_seed: int = 0

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):
            allowed, value = get_args(hints[item.name]), getattr(self, item.name)
            if item.type in ("MixingName", "Effects") or str(item.type).startswith("Literal"):
                if value not in allowed:
                    raise InputError(f"{item.name} must be one of {first_few(allowed, 10)}, but is {value!r}.")
            elif item.type == "float" and not np.isfinite(value):
                raise InputError(f"{item.name} must be finite, but is {value}.")
        for name, least in (
            ("n_valid", 1), ("n_confounded", 1), ("n_environments", 2), ("n_samples", 2), ("noise", 0),
            ("mixing_seed", 0),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, but is {getattr(self, name)}.")
        if self.n_instruments is not None and (self.mixing != "discrete" or self.n_instruments < 1):
            raise InputError(
                "n_instruments can be set for the discrete mixing only, to 1 or more (the others' number follows from "
                f"n_valid + n_confounded), but is {self.n_instruments} with mixing={self.mixing!r}."
            )

    def confounder_means(self) -> FloatArray:
        """Mean of each column of H in every environment, (E,).

        2e up to three environments, as published; more of them share the same range evenly: 4e / (E - 1).
        """
        E = self.n_environments
        if self.shifts == "none":
            return np.zeros(E)
        step = _MEAN_STEP if E <= 3 else _MEAN_RANGE / (E - 1)
        return step * np.arange(E)

    def scales(self, columns: int | None = None) -> FloatArray:
        """Diagonals of eta_e, (E, q), or (E, columns).

        Environment 0 has 1 everywhere. The q columns are dealt in turn to the environments 1..E-1, and each of these
        doubles its own: 2I for E = 2, diag(2, 1) and diag(1, 2) for E = 3 and q = 2, as published. Where E - 1 exceeds
        q, the environments take turns at the columns, with scales from 2 rising below 3, so that no two are alike.
        """
        q = self.n_confounded if columns is None else columns
        E = self.n_environments
        scales = np.ones((E, q))
        if self.shifts != "mean_and_scale":
            return scales
        if q >= E - 1:
            for j in range(q):
                scales[1 + j % (E - 1), j] = 2.0
        else:
            rounds = -(-(E - 1) // q)
            for e in range(1, E):
                scales[e, (e - 1) % q] = 2.0 + (e - 1) // q / rounds
        return scales

    def fixed_covariance(self, columns: int) -> FloatArray:
        """Variance 1, correlation 0.5, (columns, columns)."""
        equal: FloatArray = _CORRELATION + (1 - _CORRELATION) * np.eye(columns)
        return equal

    def acting(self, columns: int) -> FloatArray:
        """Coefficients (columns,) of V, or of H: all 1, or the first alone with asymmetric effects."""
        weights = np.ones(columns)
        if self.effects == "asymmetric":
            weights[1:] = 0.0
        return weights

    def as_dict(self) -> dict[str, Any]:
        """Settings by name, ready for JSON."""
        return asdict(self)
