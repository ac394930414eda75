"""Class activation maps from a multi-label classifier."""
