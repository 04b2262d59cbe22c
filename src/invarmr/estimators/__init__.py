"""Estimate: from a design to the effect of the exposure on the outcome."""
