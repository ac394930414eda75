"""Importing what public projects publish: names, formats and conventions become ours."""
