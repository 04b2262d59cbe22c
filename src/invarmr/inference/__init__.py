"""Statements about the effect: tests, and the confidence sets that invert them."""
