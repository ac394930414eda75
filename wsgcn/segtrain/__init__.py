"""Training DeepLabv2 on pseudo labels."""
