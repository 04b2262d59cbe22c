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

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from invarmr.arrays import FloatArray, IntArray
from invarmr.data.cohort import Cohort
from invarmr.data.design import IVDesign

__all__ = ["LearnedMaps"]


@dataclass(frozen=True, eq=False)
class LearnedMaps:
    """What the maps of all parts give of everybody, as moments.

    Parameters
    ----------
    counts
        Rank of the instruments of each part.
    moments
        Mean products, over all people, of every part's instruments, (Y, D) given the controls, and phi.
    sizes
        n_k.
    n
        All people.
    """

    counts: tuple[int, ...]
    moments: FloatArray
    sizes: IntArray
    n: int

    @classmethod
    def of(cls, parts: Sequence[IVDesign], seen: Sequence[Cohort]) -> LearnedMaps | None:
        """The maps of designs on parts of the people; None where a leak is not known.

        Parameters
        ----------
        parts
            Each on its own people, with what was learned from everybody else.
        seen
            Everybody, with the instruments as each part's learner sees them.
        """
        known = [item for item in map(_Map.of, parts) if item is not None]
        if len(known) < len(parts):
            return None
        total: FloatArray = np.zeros(2 * (sum(item.n_columns for item in known),))
        for block in seen[0].blocks():
            values = np.hstack([item.values(cohort, block) for item, cohort in zip(known, seen, strict=True)])
            total = total + values.T @ values
        n = seen[0].n_samples
        sizes = np.array([part.moments.n_total for part in parts])
        return cls(tuple(item.n_columns - 4 for item in known), total / n, sizes, n)

    def covariance(self) -> FloatArray:
        """Covariance (2, 2, m, m) that learning adds to whitened'(Y, D) of the stacked parts."""
        places = np.cumsum([0, *self.counts])
        out: FloatArray = np.zeros((2, 2, places[-1], places[-1]))
        alike: FloatArray
        for k, (W, r, phi) in enumerate(self._columns):
            for m, (W_m, r_m, phi_m) in enumerate(self._columns):
                shared = self._taught(k, m) * self.moments[phi, phi_m]
                alike = np.eye(self.counts[k])
                if k != m:
                    alike = self.moments[W, W_m]
                    N_k, N_m = self.n - self.sizes[k], self.n - self.sizes[m]
                    shared = shared - self.moments[r, phi_m] / N_m - self.moments[phi, r_m] / N_k
                scale = np.sqrt(float(self.sizes[k]) * float(self.sizes[m]))
                block = scale * shared[:, :, None, None] * alike
                out[:, :, places[k] : places[k + 1], places[m] : places[m + 1]] = block
        return out

    def disagreement(self, value: float) -> tuple[float, int] | None:
        """Whether the maps differ by more than the error that is counted: a statistic, chi-squared, and its degrees.

        On the same people the instruments of maps k and l differ in their covariance with u = Y - value D by
        (L_k - L_l)'s, free of the noise of the estimate. With Gamma_kl = |T_k & T_l| E[phi_k phi_l] / (N_k N_l) and H
        the contrasts, sum_j (H c_j)'(H Gamma H')^-1 (H c_j) over the p directions j, turned to the basis of the first
        map, is chi2(p (K - 1)) where the leaks are all the error there is. None with one part, or other numbers of
        instruments in some.
        """
        K = len(self.counts)
        if K < 2 or len(set(self.counts)) > 1:
            return None
        b = np.array([1.0, -value])
        first = self._columns[0][0]
        c = [self.moments[W, r] @ b for W, r, _ in self._columns]
        turned = np.stack(
            [own if k == 0 else self.moments[first, self._columns[k][0]] @ own for k, own in enumerate(c)]
        )
        gamma = np.array(
            [
                [self._taught(k, m) * (b @ self.moments[phi, other[2]] @ b) for m, other in enumerate(self._columns)]
                for k, (_, _, phi) in enumerate(self._columns)
            ]
        )
        H = linalg.helmert(K)
        difference = H @ turned
        statistic = np.sum(difference * linalg.solve(H @ gamma @ H.T, difference, assume_a="pos"))
        return float(statistic), self.counts[0] * (K - 1)

    @property
    def _columns(self) -> list[tuple[slice, slice, slice]]:
        starts = np.cumsum([0, *(count + 4 for count in self.counts)]).tolist()
        return [_split(start, count) for start, count in zip(starts, self.counts, strict=False)]

    def _taught(self, k: int, m: int) -> float:
        """|T_k & T_m| / (N_k N_m)."""
        N_k, N_m = self.n - self.sizes[k], self.n - self.sizes[m]
        return float((N_k if k == m else self.n - self.sizes[k] - self.sizes[m]) / (float(N_k) * float(N_m)))


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
