"""What people type in a shell: one file per family of commands, each imported only when it is asked for."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Entry point of the `holychat` command."""
    import sys

    from holychat.cli.frame import run

    sys.exit(run(sys.argv[1:]))
