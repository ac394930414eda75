"""The affinity networks of IRNet (variant I) and PSA (variant P), and their graphs."""
