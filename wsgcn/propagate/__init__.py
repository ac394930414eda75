"""Partial pseudo labels, the per-image GCN, and the random walk."""
