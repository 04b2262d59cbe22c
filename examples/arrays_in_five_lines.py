"""Arrays in, an effect and a verdict out: five lines after the data.

Two sites. One component of the instruments is valid; the other carries a confounder whose mean and spread differ
between the sites. Both are mixed into two scores. The true effect is 1.
"""

import numpy as np

import invarmr

rng = np.random.default_rng(1)
n = 4000
site = np.repeat(["north", "south"], n)
south = (site == "south").astype(float)
confounder = rng.normal(2 * south, 1)
valid = rng.normal(size=2 * n)
confounded = rng.normal(size=2 * n) + (1 + south) * confounder
scores = np.column_stack([valid + confounded, valid - confounded])
exposure = valid + confounded + confounder + rng.normal(size=2 * n)
outcome = 1.0 * exposure + confounder + rng.normal(size=2 * n)

cohort = invarmr.Cohort.from_arrays(instrument=scores, exposure=exposure, outcome=outcome, environment=site)
latent = invarmr.StationaryInstruments().fit(cohort, seed=1)
design = invarmr.IVDesign.from_cohort(cohort, latent)
estimate = invarmr.LimitedInformationML().fit(design)
checks = invarmr.diagnose(design, estimate)

print(invarmr.OrdinaryLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort)))
print(invarmr.TwoStageLeastSquares().fit(invarmr.IVDesign.from_cohort(cohort)))
print(estimate)
print(checks)
