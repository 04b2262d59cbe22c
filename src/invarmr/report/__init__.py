"""REPORT: one self-contained page from the archive of a finished run; computes nothing."""
