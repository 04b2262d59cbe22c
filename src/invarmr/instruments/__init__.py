"""Learn: from a cohort to the part of its instruments that does not change between environments."""
