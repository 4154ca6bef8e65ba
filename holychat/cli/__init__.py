"""What people type in a shell."""

import click

from holychat import __version__


@click.command()
@click.version_option(__version__, prog_name="holychat")
def main() -> None:
    """A keyboard-driven terminal chat that streams replies live and keeps every word of them."""
