"""The text of an HTML page as Markdown: headings, lists, tables and code keep their shape.

What nobody reads is left out, and so are hidden elements: what a person cannot see on the page is not what they want to
send, and it is where instructions to a model are put by others.
"""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser

from holychat.jobs.documents.html_writer import Writer
from holychat.jobs.documents.kinds import words
from holychat.jobs.documents.problems import DocumentProblem

_DROPPED = words("""
    script style nav template noscript svg math iframe object embed canvas audio video select datalist button dialog
    """)
_VOID = words("area base br col embed hr img input link meta param source track wbr")
_BLOCKS = words("""
    html body main article section div p header footer aside address figure figcaption form fieldset details summary dl
    center blockquote pre ul ol menu table caption
    """)
_CLOSED_BY_THEIR_LIKE = words("p li td th tr dt dd option")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_HIDDEN_STYLE = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)


def html_text(data: bytes) -> tuple[str, str]:
    """(Markdown, note) of an HTML file's bytes.

    Raises:
        DocumentProblem: It is in an encoding that is neither known nor named in it.
    """
    parser = _Page()
    parser.feed(_decoded(data))
    parser.close()
    return parser.text(), "text of an HTML page"


def _decoded(data: bytes) -> str:
    from holychat.jobs.documents.read import decoded

    try:
        return decoded(data)[0]
    except DocumentProblem:
        named = _CHARSET.search(data[:4096])
        if named is None or b"\0" in data:
            raise
        try:
            # Only encodings of text: "zip" or "rot13" are codecs, too.
            codec = codecs.lookup(named[1].decode("ascii"))
            return data.decode(codec.name, "replace")
        except (LookupError, UnicodeError):
            pass
        raise


class _Page(HTMLParser):
    """Follows what is open and hands text and structure to the writer."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, bool]] = []
        """Name of each open element, and whether it is the one from which on everything is left out."""
        self._counts: dict[str, int] = {}
        self._silent = 0
        self._title: list[str] = []
        self._writer = Writer()

    def text(self) -> str:
        """The page so far, as Markdown."""
        body = self._writer.text()
        title = " ".join("".join(self._title).split())
        if not title or f"# {title}\n" in body[: 4 * len(title) + 2000] + "\n":
            return body
        return f"# {title}\n\n{body}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _VOID:
            if not self._silent:
                self._void(tag, attrs)
            return
        if self._open and (
            (tag in _CLOSED_BY_THEIR_LIKE and self._open[-1][0] == tag)
            or (tag in _BLOCKS and self._open[-1][0] == "p")
            or (tag == "tr" and self._open[-1][0] in ("td", "th"))
            or (tag in ("td", "th") and self._open[-1][0] in ("td", "th"))
        ):
            self.handle_endtag(self._open[-1][0])
        hides = tag in _DROPPED or (tag not in ("html", "body") and _is_hidden(attrs))
        self._open.append((tag, hides))
        self._counts[tag] = self._counts.get(tag, 0) + 1
        self._silent += hides
        if not self._silent:
            self._writer.begin(tag, dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # "<div/>" opens a div in HTML; only what is empty by nature may be closed like that.
        self.handle_starttag(tag, attrs)
        if tag in _DROPPED:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._counts.get(tag):
            if tag == "p" and not self._silent:
                self._writer.begin("p", {})
            return
        while True:
            closed, hid = self._open.pop()
            self._counts[closed] -= 1
            if not self._silent:
                self._writer.end(closed)
            self._silent -= hid
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._counts.get("title") and not self._counts.get("body"):
            self._title.append(data)
        else:
            self._writer.write(data)

    def parse_marked_section(self, i: int, report: int = 1) -> int:
        # The standard library gives up at "<![if mso]>"; browsers take it for a comment.
        del report
        return self.parse_bogus_comment(i)

    def _void(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            self._writer.line()
        elif tag == "hr":
            self._writer.rule()
        elif tag == "img" and (alternative := (dict(attrs).get("alt") or "").strip()):
            self._writer.write(f" {alternative} ")


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    values = dict(attrs)
    if "hidden" in values or values.get("aria-hidden") == "true":
        return True
    return bool(_HIDDEN_STYLE.search(values.get("style") or ""))
