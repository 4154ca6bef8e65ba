"""Text as the full-text index sees it: case and marks folded, scripts without spaces cut into characters.

Folding keeps the length of the text, so that a place found in the folded text is the same place in the original.
"""

from __future__ import annotations

import re
import unicodedata

from holychat.text import replace_surrogates

_LETTERS_WITHOUT_DECOMPOSITION = {
    "đ": "d", "ø": "o", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "ß": "s", "æ": "a", "œ": "o",
}  # fmt: skip
_SPACELESS = re.compile(
    "(["
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana and iteration marks
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Chinese characters
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
    "])"
)


class _FoldTable(dict[int, int]):
    """Made for one text and filled by it: `str.translate` asks for each character once and then works at C speed."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        folded = _LETTERS_WITHOUT_DECOMPOSITION.get(character.lower())
        if folded is None:
            lowered = character.lower()
            base = unicodedata.normalize("NFD", lowered)[:1]
            # Hangul syllables decompose into letters; what a person types is the syllable.
            folded = lowered[:1] if "\uac00" <= character <= "\ud7a3" else base
        self[code] = ord(folded)
        return self[code]


def storable(text: str) -> str:
    """Text that SQLite can keep and search: lone surrogates and NUL become U+FFFD, all else stays as it was."""
    text = replace_surrogates(text)
    return text.replace("\0", "\ufffd") if "\0" in text else text


def fold(text: str) -> str:
    """Lower case without marks; exactly as long as `text`."""
    return text.lower() if text.isascii() else text.translate(_FoldTable())


def key(text: str) -> str:
    """What a title is found by: folded, whichever way its marks were typed."""
    return text.lower() if text.isascii() else fold(unicodedata.normalize("NFC", storable(text)))


def words(text: str) -> str:
    """Text for the index: folded, and each character of a script without spaces a word of its own."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFC", text).translate(_FoldTable())
    return _SPACELESS.sub(r" \1 ", folded)
