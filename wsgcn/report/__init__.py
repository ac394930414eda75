"""The comparison of all methods as Markdown and HTML."""
