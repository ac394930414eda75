"""``python -m wsgcn`` is the same as ``wsgcn``."""

from wsgcn.cli import main

main()
