"""Linear algebra in the papers' letters: numpy and scipy only, no validation, no genetics."""
