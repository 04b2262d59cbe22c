"""Known truth at the entrance: cohorts drawn so that the answer is known."""
