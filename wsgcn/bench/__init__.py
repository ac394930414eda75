"""Times and peak memory of the kernels and the per-image stages."""
