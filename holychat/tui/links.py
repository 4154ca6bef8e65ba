"""Addresses that a reply may offer to open."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from holychat.text import clean


def checked_address(url: str) -> str | None:
    """The address as it would really be opened, host in punycode; None for anything but http and https.

    Credentials before an `@` are left out: they are only ever there to mislead.
    """
    if clean(url) != url or any(character.isspace() for character in url):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host:
        return None
    try:
        ascii_host = host if ":" in host else host.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if not ascii_host.isprintable() or ascii_host.startswith("-"):
        return None
    netloc = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    if port is not None:
        netloc += f":{port}"
    return urlunsplit((parts.scheme, netloc, parts.path, parts.query, parts.fragment))
