"""Scores against ground truth: the only room that reads masks."""
