"""Words of a text as they are compared: folded, without the commonest ones, pairs of characters where no spaces are."""

from __future__ import annotations

import re
import unicodedata

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUN = re.compile(f"[{_UNSPACED}]+|[^\\W_{_UNSPACED}]+(?:['’][^\\W_{_UNSPACED}]+)?")
_IS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_LETTER = re.compile(r"[^\W\d_]")
_CODE = re.compile(r"`[^`\n]+`")
_VISIBLE = re.compile(r"\S")
_SUFFIXES = ("ations", "ation", "ings", "ing", "edly", "ers", "ies", "ed", "er", "ly", "e", "y")


def word_set(text: str) -> frozenset[str]:
    """The words of `text` as a set."""
    return frozenset(text.split())


STOP_WORDS = word_set("""
    a about above after again all also an and any are as at be because been before being below between both but by can
    could did do does doing down during each few for from further had has have having he her here hers him his how i if
    in into is it its itself just me more most my no nor not now of off on once only or other our out over own same she
    should so some such than that the their them then there these they this those through to too under until up us very
    was we were what when where which while who whom why will with would you your please tell give
    der die das ein eine einen einem einer und oder nicht ist sind war mit von für auf im den dem des zu auch als wie
    le la les un une des du de et ou ne pas est sont avec pour dans sur au aux ce cette il elle on qui que
    el los las una y o es son con por para en lo se su al del no
    và là của có các cho được trong với này đó những một không người khi đã để từ tôi bạn thì mà như cũng đến ra vào
    и в не на я что он она это с по как к у из за от для
""")
"""The commonest words of a few languages; the weights find the common ones of the others by themselves."""


def terms(text: str) -> list[str]:
    """The terms of `text`, in order, repetitions included."""
    found: list[str] = []
    for match in _RUN.finditer(unicodedata.normalize("NFC", text).casefold()):
        run = match[0]
        if _IS_UNSPACED.match(run):
            found.extend([run] if len(run) == 1 else [run[place : place + 2] for place in range(len(run) - 1)])
        elif run not in STOP_WORDS:
            found.append(_stem(run))
    return found


def word_count(text: str) -> int:
    """Words of `text`; two characters of a script without spaces count as one."""
    count = 0
    for match in _RUN.finditer(text):
        count += (len(match[0]) + 1) // 2 if _IS_UNSPACED.match(match[0]) else 1
    return count


def letter_share(text: str) -> float:
    """How much of what can be seen in `text` is letters outside of code, 0 to 1."""
    visible = len(_VISIBLE.findall(text))
    return len(_LETTER.findall(_CODE.sub("", text))) / visible if visible else 0.0


def _stem(word: str) -> str:
    """An English word without its ending, so that shortcuts meets shortcut; anything else as it is."""
    word = word.removesuffix("'s").removesuffix("’s")
    if word.isascii() and word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    if len(word) > 4 and word.isascii():
        for suffix in _SUFFIXES:
            if word.endswith(suffix) and len(word) - len(suffix) >= 4:
                return word[: -len(suffix)]
    return word
