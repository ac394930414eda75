"""Finished pseudo labels in the formats that trainers read."""
