"""Pure functions on arrays shared by several stages."""
