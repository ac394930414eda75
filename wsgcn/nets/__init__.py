"""Networks shared by several stages."""
