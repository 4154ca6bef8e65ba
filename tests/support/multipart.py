"""Files in multipart forms, as servers read them."""

from __future__ import annotations

import email.parser
import email.policy


def form_file(content_type: str, body: bytes) -> tuple[str, str, bytes]:
    """Name, purpose and content of a file in a multipart form."""
    parser = email.parser.BytesParser(policy=email.policy.HTTP)
    message = parser.parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    name, purpose, content = "", "", b""
    for part in message.iter_parts():  # type: ignore[attr-defined]
        data = part.get_payload(decode=True) or b""
        if part.get_param("name", header="content-disposition") == "purpose":
            purpose = data.decode()
        else:
            name, content = part.get_filename() or "", data
    return name, purpose, content
