"""Diagnose: one file per assumption, and the verdict."""
