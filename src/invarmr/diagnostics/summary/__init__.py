"""Sensitivity of summary-data estimates: heterogeneity, pleiotropy, single variants, strength and direction."""
