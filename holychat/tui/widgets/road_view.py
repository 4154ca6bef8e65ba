"""The roads side by side, painted: price, first token, end and rate of each, which one is taken, and the facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.widget import Widget

from holychat.catalog.money import bar
from holychat.text import clean_line
from holychat.tui.road_words import ROAD_TITLES, ROWS, cells, facts_of, reasons_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.style import Style
    from textual.visual import VisualType

    from holychat.domain.roads import Choice, Offer

_STYLES = ("title", "name", "muted", "bar", "taken")
_LABEL = 14
"""Cells of the names on the left."""
_GAP = 1
_BARS, _ROOMY = 20, 24
"""Lines from which price and end have bars, and from which the lines stand apart."""

Styles = dict[str, "Style | str"]


class RoadView(Widget):
    """One widget, one painting.

    Args:
        choice: What is shown.
        what: The work that it is about, in one line.
    """

    COMPONENT_CLASSES = {f"road--{name}" for name in _STYLES}  # noqa: RUF012

    def __init__(self, choice: Choice, what: str) -> None:
        super().__init__()
        self._choice = choice
        self._what = what

    def render(self) -> VisualType:
        """Everything, as much as there is room for."""
        styles: Styles = {name: self.get_component_rich_style(f"road--{name}") for name in _STYLES}
        return painted(self._choice, self._what, self.size.width, self.size.height, styles)


def painted(choice: Choice, what: str, width: int, height: int, styles: Mapping[str, Style | str]) -> Text:
    """The comparison as lines of at most `width` cells, `height` of them at most."""
    lines = [Text.assemble(("Which road?", styles["title"]), (f"   {clean_line(what, 200)}", styles["muted"])), Text()]
    lines += _table(choice, width, styles, height)
    lines += [Text(), *_taken(choice, width, styles)]
    lines += [Text(), Text("These figures rest on", styles["title"]), *_facts(choice, width, styles)]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n").join(lines[:height])


def _table(choice: Choice, width: int, styles: Mapping[str, Style | str], height: int) -> Iterator[Text]:
    column = max(12, (width - _LABEL) // len(choice.offers) - _GAP)
    yield _row("", [_title(offer, choice) for offer in choice.offers], column, choice, styles)
    columns = [cells(offer) for offer in choice.offers]
    for place, name in enumerate(ROWS):
        if height >= _ROOMY:
            yield Text()
        yield _row(name, [found[place] for found in columns], column, choice, styles)
        if height >= _BARS and (sizes := _sizes(choice, name)) is not None:
            yield _bars(sizes, column, choice, styles)


def _title(offer: Offer, choice: Choice) -> str:
    return f"{'▸ ' if offer.road is choice.road else ''}{ROAD_TITLES[offer.road]}"


def _row(name: str, values: list[str], column: int, choice: Choice, styles: Mapping[str, Style | str]) -> Text:
    line = Text(name.ljust(_LABEL), styles["muted"])
    for offer, value in zip(choice.offers, values, strict=True):
        style = styles["taken" if offer.road is choice.road else "name" if offer.available else "muted"]
        line.append(set_cell_size(value, column), style)
        line.append(" " * _GAP)
    return line


def _sizes(choice: Choice, name: str) -> list[int] | None:
    """What is to be compared by length; None where there are not two figures of it."""
    if name == "Price":
        found = [offer.cost.micros if offer.available and offer.cost else 0 for offer in choice.offers]
    elif name == "End":
        found = [round(offer.end_seconds[1] * 1000) if offer.available else 0 for offer in choice.offers]
    else:
        return None
    return found if sum(map(bool, found)) > 1 else None


def _bars(sizes: list[int], column: int, choice: Choice, styles: Mapping[str, Style | str]) -> Text:
    line = Text(" " * _LABEL)
    length, top = column - 1, max(sizes)
    for offer, size in zip(choice.offers, sizes, strict=True):
        filled = bar(size, top, length)
        line.append(filled, styles["taken" if offer.road is choice.road else "bar"])
        line.append(" " * (column - cell_len(filled) + _GAP))
    return line


def _taken(choice: Choice, width: int, styles: Mapping[str, Style | str]) -> Iterator[Text]:
    name = choice.road.words
    yield Text.assemble(("Taken: ", styles["title"]), (name, styles["taken"]))
    for reason in reasons_of(choice):
        yield from _wrapped(clean_line(reason), width, "  ", styles["name"])


def _facts(choice: Choice, width: int, styles: Mapping[str, Style | str]) -> Iterator[Text]:
    for roads, fact in facts_of(choice):
        yield from _wrapped(f"{roads}: {clean_line(fact)}", width, "  ", styles["muted"])


def _wrapped(text: str, width: int, indent: str, style: Style | str) -> Iterator[Text]:
    line = indent
    for word in text.split():
        if cell_len(line) + cell_len(word) + 1 > width and line.strip():
            yield Text(line, style)
            line = indent + "  "
        line += word if line.endswith(" ") else f" {word}"
    yield Text(line, style)
