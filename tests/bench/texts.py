"""Reply texts, as the pieces a model would send them in, with words in them that can be recognised on a screen.

Every text is the same on every run. A mark is a word like `zqA001m00017z`: a tag of four characters that belongs to one
request, then the number of the mark. Its width does not depend on tag or number, so a reply serialised with the tag
`T000` can be given another tag by replacing bytes. The first piece is always `zqT000Fz`, and the last one that shows
anything contains `zqT000Lz`.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TAG = "T000"
FIRST = f"zq{TAG}Fz"
LAST = f"zq{TAG}Lz"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ENGLISH = _words(
    """
    the reply of a model arrives in small pieces and each piece has to be drawn before the eye notices that it
    was missing while a reader who scrolls back must not lose the line under the cursor because something new
    came in at the end so layout and paint are kept apart and only what changed is done again
    """
)
_VIETNAMESE = _words(
    """
    tiếng Việt có nhiều dấu và mỗi câu trả lời được viết ra từng chữ một trong khi người đọc chờ xem kết quả
    trên màn hình nhỏ nên chương trình phải vẽ nhanh mà không làm mất một dòng nào dù văn bản rất dài hay mạng
    chậm đường truyền bị ngắt giữa chừng thì phần đã nhận vẫn được giữ lại
    """
)
_CHINESE = (
    "模型的回答是一个词一个词地到达的屏幕上的每一行都要及时画出来读者往回翻看的时候不能丢失当前的位置"
    "无论文字有多长或者网络有多慢已经收到的内容都会保存下来程序只重新绘制真正改变了的部分"
)
_CODE = (
    "def rank_sentences(document, limit=12):",
    "    weights = collections.Counter(words_of(document))",
    "    for position, sentence in enumerate(document.sentences):",
    "        # early sentences count a little more",
    "        score = sum(weights[word] for word in sentence) / (3 + position * 0.25)",
    '        results.append({"sentence": sentence, "score": score, "kept": score > threshold})',
    '    return sorted(results, key=operator.itemgetter("score"))[:limit]',
    "",
)

_PIECE = re.compile(r" ?zq\w+z| ?[^\W\d_]{1,6}|\n+| +|[^\w\s]{1,4}|\w{1,6}")
_CODE_PIECE = re.compile(r"[\n ]*zq\w+z|[\n ]*\w{1,14}[^\w\s]{0,3} ?|\s+|[^\w\s]{1,4}\s*")
_CHINESE_PIECE = re.compile(r" ?zq\w+z|[\u4e00-\u9fff]{1,2}|\n+| +|[^\w\s]{1,3}|\w{1,6}")


class _Writer:
    """Makes words, sentences and blocks of one language."""

    def __init__(self, word: Callable[[random.Random], str], glue: str = " ", stop: str = ".") -> None:
        self._random = random.Random(20)
        self._word = word
        self._glue = glue
        self.stop = stop
        self._marks = 0

    def mark(self) -> str:
        """The next mark, as a word of its own in any script."""
        self._marks += 1
        return f" zq{TAG}m{self._marks:05d}z "

    def words(self, count: int) -> str:
        return self._glue.join(self._word(self._random) for _ in range(count))

    def sentence(self, count: int, *, styled: bool = True) -> str:
        """`count` words with a mark among them, sometimes with bold or code."""
        middle = self.words(max(1, count // 3))
        if styled and self._random.random() < 0.5:
            middle = self._random.choice(("**{}**", "`{}`", "*{}*")).format(middle)
        rest = self.words(max(1, count - 2 * (count // 3)))
        return f"{self.words(max(1, count // 3))} {middle}{self.mark()}{rest}{self.stop}"

    def number(self) -> int:
        return self._random.randint(1, 9999)


def _english() -> _Writer:
    return _Writer(lambda r: r.choice(_ENGLISH))


def _vietnamese() -> _Writer:
    return _Writer(lambda r: r.choice(_VIETNAMESE))


def _chinese() -> _Writer:
    def word(r: random.Random) -> str:
        start = r.randrange(len(_CHINESE) - 4)
        return _CHINESE[start : start + r.randint(1, 4)]

    return _Writer(word, "", "。")


def _code_block(lines: int) -> str:
    return "```python\n" + "".join(_CODE[i % len(_CODE)] + "\n" for i in range(lines)) + "```\n\n"


def _prose(w: _Writer) -> Iterator[str]:
    """Headings, paragraphs, lists, a table, a quotation, in any script."""
    while True:
        yield f"## {w.words(4)}\n\n"
        yield " ".join(w.sentence(14) for _ in range(4)) + "\n\n"
        yield "".join(f"- {w.sentence(12)}\n" for _ in range(5)) + "\n"
        yield " ".join(w.sentence(16) for _ in range(3)) + "\n\n"
        rows = "".join(f"| {w.words(1)} | {w.number()} | {w.words(2)} |\n" for _ in range(4))
        yield f"| what | how many | why |\n| --- | ---: | --- |\n{rows}\n"
        yield "".join(f"{i}. {w.sentence(11)}\n" for i in range(1, 5)) + "\n"
        yield f"> {w.sentence(15)}\n\n"


def _markdown(w: _Writer) -> Iterator[str]:
    """What a chatty model writes: prose with code in between."""
    for i, block in enumerate(_prose(w)):
        yield block
        if i % 7 == 2:
            yield _code_block(7)


def _paragraph(w: _Writer) -> Iterator[str]:
    while True:
        yield w.sentence(15, styled=False) + " "


def _list(w: _Writer) -> Iterator[str]:
    """Items of about 50 pieces, so that 10,000 pieces are 200 items of one list."""
    while True:
        yield f"- {w.sentence(14)} {w.sentence(12)} {w.sentence(9, styled=False)}\n"


def _fence(w: _Writer) -> Iterator[str]:
    yield "```python\n"
    while True:
        for line in _CODE[:4]:
            yield line + "\n"
        yield f"    state[{w.number()}] ={w.mark()}\n"
        for line in _CODE[4:]:
            yield line + "\n"


_KINDS: dict[str, tuple[Callable[[], _Writer], Callable[[_Writer], Iterator[str]], re.Pattern[str]]] = {
    "mixed": (_english, _markdown, _PIECE),
    "paragraph": (_english, _paragraph, _PIECE),
    "fence": (_english, _fence, _CODE_PIECE),
    "list": (_english, _list, _PIECE),
    "vietnamese": (_vietnamese, _prose, _PIECE),
    "chinese": (_chinese, _prose, _CHINESE_PIECE),
}
KINDS = tuple(_KINDS)
_STAYS_OPEN = {"paragraph", "list"}


def pieces(kind: str, count: int) -> list[str]:
    """A reply of `count` pieces ("tokens"; at least 8) of one of `KINDS`, with its marks.

    The paragraph and the list end inside themselves, the fence is closed after its last line, and the others end with a
    paragraph of their own.
    """
    make_writer, write, cut = _KINDS[kind]
    found = [FIRST, "\n\n"]
    for block in write(make_writer()):
        found.extend(cut.findall(block))
        if len(found) >= count - 3:
            break
    del found[count - 3 :]
    in_fence = "".join(found).count("```") % 2 == 1
    if kind == "fence":
        return [*found, "\n# ", LAST, "\n```"]
    if kind in _STAYS_OPEN:
        return [*found, " ", LAST, "."]
    return [*found, "\n```\n\n" if in_fence else "\n\n", LAST, "."]
