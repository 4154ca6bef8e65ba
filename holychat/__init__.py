"""holychat: a keyboard-driven terminal chat that streams replies live and keeps every word of them."""

__version__ = "0.2.0"
