"""A whole study: its settings, the five verbs, and what lies where on disk."""
