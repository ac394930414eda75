"""The raw dataset, read into one index; the built-in demo."""
