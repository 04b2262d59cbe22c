"""Estimates from summary data: associations of variants with exposure and outcome, on the same alleles."""
