"""The published study, whole: its figures and tables as data, run, kept in one tidy table, and drawn."""
