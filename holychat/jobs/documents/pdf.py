"""The text of a PDF file, page by page. Runs in a process of its own: see extract."""

from __future__ import annotations

import io
import re

from holychat.jobs.documents.problems import problem

_HYPHEN = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zà-öø-ÿ])")


def pdf_text(data: bytes) -> tuple[str, str]:
    """(text, note) of a PDF file's bytes; pages are paragraphs.

    Raises:
        DocumentProblem: It is protected, broken, or made of pictures.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise problem("DocumentEncrypted", "It is protected by a password", "Save it without one.")
        pages = [page.extract_text() for page in reader.pages]
    except DependencyError:
        raise problem("DocumentEncrypted", "It is protected", "Save it without a password.") from None
    except (PyPdfError, RecursionError):
        raise problem("DocumentBroken", "It is no proper PDF file", "Open it and save it again.") from None
    text = "\n\n".join(_HYPHEN.sub("", page.strip()) for page in pages if page.strip())
    if not text:
        raise problem(
            "DocumentScanned",
            "There is no text in this PDF, perhaps it was scanned",
            "A text recognition (OCR) adds it.",
        )
    return text + "\n", f"text of a PDF, {len(pages)} page{'' if len(pages) == 1 else 's'}"
