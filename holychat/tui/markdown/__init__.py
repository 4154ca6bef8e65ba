"""Markdown as lines of a terminal, laid out block by block while it still arrives."""
