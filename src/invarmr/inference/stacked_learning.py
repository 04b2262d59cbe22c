"""What learning adds to the covariance of stacked instruments, each part's learned from all the others' people.

Symbols: n people in parts S_k of n_k; map k learned from the N_k = n - n_k people T_k outside S_k; W_k, V_k its
directions; r_k = (Y, D) given the controls of part k (2,); A_f, B_f the leak of map k (see `Leak`), s_k = cov(V_k, r_k)
(q, 2); for a person i of environment f

    phi_ki = A_f s_k + (V_ki - mean_f V_k)' B_f s_k   (2,).

To first order the covariance of learned instrument j of part k with (Y, D) is, on the people of S_k,

    g_kj = mean_{i in S_k} W_ij r_i - mean_{i in T_k} W_ij phi_ki :

noise of the estimation people and error of learning, which comes from others and is independent of it. So learning adds
(n_k / N_k) E[phi_k phi_k'] to n_k var(g_kj), where learning from the same people would also have taken away twice
E[r phi'] (`learning_covariance`). Parts are not independent: people of S_k have taught map l, and maps k and l were
taught by the |T_k & T_l| people outside both, so that for k other than l

    cov(g_k, g_l) = R_kl { |T_k & T_l| / (N_k N_l) E[phi_k phi_l'] - E[r_k phi_l'] / N_l - E[phi_k r_l'] / N_k },

R_kl the correlations of W_k with W_l. With equal parts and maps that agree, the mean over parts of g_k has
the variance (var(u) + b'Q b) / n of learning and estimating on everybody, for every K: cross-fitting takes the own
observations out of the error of second order, and costs nothing at first order. With V partialled out, s_k is the
coefficient on V_k and B_f - I takes the place of B_f. This package's; derivation in docs/methods/cross-fitting.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign

__all__ = ["stacked_learning"]


def stacked_learning(
    parts: tuple[IVDesign, ...], seen: tuple[Cohort, ...], sizes: tuple[int, ...]
) -> FloatArray | None:
    """Covariance (2, 2, m, m) that learning adds to whitened'(Y, D) of the stacked parts; None where no leak is known.

    Parameters
    ----------
    parts
        Designs on the parts' people, each with what was learned from everybody else.
    seen
        Everybody, with the instruments as each part's learner sees them.
    sizes
        n_k.
    """
    maps = [_Map.of(part) for part in parts]
    known = [item for item in maps if item is not None]
    if len(known) < len(maps):
        return None
    ends = np.cumsum([0, *(item.n_columns for item in known)])
    n = seen[0].n_samples
    total: FloatArray = np.zeros(2 * (int(ends[-1]),))
    for block in seen[0].blocks():
        values = np.hstack([item.values(cohort, block) for item, cohort in zip(known, seen, strict=True)])
        total = total + values.T @ values
    return _assembled([item.n_columns - 4 for item in known], ends, total / n, np.array(sizes), n)


def _assembled(counts: list[int], ends: IntArray, moments: FloatArray, sizes: IntArray, n: int) -> FloatArray:
    places = np.cumsum([0, *counts])
    out = np.zeros((2, 2, places[-1], places[-1]))
    learned_from = n - sizes
    alike: FloatArray
    for k, p in enumerate(counts):
        W, r, phi = _split(ends[k], p)
        for m, other in enumerate(counts):
            W_m, r_m, phi_m = _split(ends[m], other)
            if k == m:
                alike, shared = np.eye(p), moments[phi, phi_m] / learned_from[k]
            else:
                alike = moments[W, W_m]
                both = n - sizes[k] - sizes[m]
                shared = both / (learned_from[k] * learned_from[m]) * moments[phi, phi_m]
                shared = shared - moments[r, phi_m] / learned_from[m] - moments[phi, r_m] / learned_from[k]
            scale = np.sqrt(float(sizes[k]) * float(sizes[m]))
            block = scale * shared[:, :, None, None] * alike
            out[:, :, places[k] : places[k + 1], places[m] : places[m + 1]] = block
    return out


def _split(start: int, p: int) -> tuple[slice, slice, slice]:
    """Columns of instruments, of (Y, D) and of phi."""
    return slice(start, start + p), slice(start + p, start + p + 2), slice(start + p + 2, start + p + 4)


@dataclass(frozen=True, eq=False)
class _Map:
    """What map k gives of a person: instruments of unit variance, (Y, D) given the controls, and phi.

    Parameters
    ----------
    centers
        (E, m): what is subtracted in each environment before the controls and instruments are taken.
    linear
        (m, p + 2): instruments and (Y, D) given the controls.
    means
        (E, m): means in each environment.
    offset, slope
        (E, 2) and (E, m, 2): phi = offset + (x - mean) slope.
    """

    centers: FloatArray
    linear: FloatArray
    means: FloatArray
    offset: FloatArray
    slope: FloatArray

    @property
    def n_columns(self) -> int:
        """Columns of `values`."""
        return int(self.linear.shape[1]) + 2

    @classmethod
    def of(cls, design: IVDesign) -> _Map | None:
        """The map of a part; None where its leak is not known."""
        latent, moments = design.latent, design.moments
        if latent is None or latent.leak is None or len(latent.leak.mean_map) != len(moments.environments):
            return None
        c, k = design.n_columns
        coefficients = design.crossproduct[1]
        free = design.mapping[:, c:] - design.mapping[:, :c] @ coefficients
        pair = free[:, k:]
        instruments = free[:, :k] @ design.partialled.whitener * np.sqrt(design.partialled.n_samples)
        V = np.zeros((len(moments.columns), latent.n_confounded))
        V[moments.index("instrument")] = latent.confounded_loadings
        s: FloatArray
        A, B = latent.leak.mean_map, latent.leak.covariance_map
        if design.confounded_loadings is None:
            whole = moments.within() if design.environment_effects else moments.total()
            s = V.T @ whole @ pair / moments.n_total
        else:
            s, B = coefficients[:, k:][-latent.n_confounded :], B - np.eye(latent.n_confounded)
        several = len(moments.environments)
        centers = moments.mean if design.environment_effects else np.tile(moments.grand_mean(), (several, 1))
        return cls(centers, np.hstack([instruments, pair]), moments.mean, A @ s, V @ (B @ s))

    def values(self, cohort: Cohort, block: IntArray) -> FloatArray:
        """(b, p + 4) values of some people."""
        rows, codes = cohort.rows(block), cohort.environment[block]
        phi = self.offset[codes]
        for code in np.unique(codes):
            own = codes == code
            phi[own] += (rows[own] - self.means[code]) @ self.slope[code]
        return np.hstack([(rows - self.centers[codes]) @ self.linear, phi])
