"""How many tokens a text is likely to be, without a vocabulary: good to within a quarter for ordinary text."""

from __future__ import annotations

import re

_CJK = re.compile(
    "[\u1100-\u11ff\u2e80-\u303f\u3040-\u30ff\u3100-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\uff00-\uffef\U00020000-\U0003ffff]"
)
_PICTURES = re.compile("[\u2600-\u27bf\U0001f000-\U0001faff]")

_TOKEN = 60
"""Units of one token: with sixty of them 1/4, 1/3, 0.8 and 2 tokens are all whole numbers."""


def estimate_tokens(text: str) -> int:
    """Tokens that a current model is likely to count for `text`; 0 for nothing, else at least 1.

    Four ASCII characters make a token, a Chinese, Japanese or Korean character is 0.8 of one, a picture sign about two,
    and three characters of any other script make one: Cyrillic, Greek, Arabic, Thai, and the letters with marks that
    Vietnamese mixes with ASCII. Measured with o200k on English, German, Chinese and Russian prose and on code; counting
    every character beyond ASCII as 0.8 would be wrong by three times for Cyrillic.
    """
    if not text:
        return 0
    ascii_count = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    other = len(text) - ascii_count
    cjk = len(text) - len(_CJK.sub("", text)) if other else 0
    pictures = len(text) - len(_PICTURES.sub("", text)) if other else 0
    letters = other - cjk - pictures
    units = 15 * ascii_count + 48 * cjk + 120 * pictures + 20 * letters
    return -(-units // _TOKEN)
