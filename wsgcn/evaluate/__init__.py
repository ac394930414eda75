"""Scores against ground truth: the only stage that reads masks."""
