"""What was spent, painted: sums, limits, a bar per model, a column per day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.widget import Widget

from holychat.catalog.money import bar, short_money, worst_words
from holychat.domain.usage import Cost
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from rich.style import Style
    from textual.visual import VisualType

    from holychat.domain.spending import Share, Spent
    from holychat.money.costs import Overview
    from holychat.money.limits import Limit

_STYLES = ("title", "name", "muted", "bar", "marked", "warning", "error")
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_LABEL = 12
"""Cells of the names on the left of sums and limits."""
_MOST_NAME = 30
_ROOMY = 60
"""Cells from which a limit also says what is left of it."""
_LEAST_CHART = 5
_MOST_CHART = 16
"""Lines of the columns, at least where models are many, and at most."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Styles = dict[str, "Style | str"]


class CostView(Widget):
    """One widget, one painting; the screen tells it what to show and which day is marked."""

    COMPONENT_CLASSES = {f"cost--{name}" for name in _STYLES}  # noqa: RUF012

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self._overview: Overview | None = None
        self._marked: date | None = None

    def show(self, overview: Overview, marked: date) -> None:
        """Show what was spent, one of its days marked."""
        self._overview, self._marked = overview, marked
        self.refresh()

    def render(self) -> VisualType:
        """Everything, as much as there is room for."""
        if self._overview is None or self._marked is None:
            return Text("Adding up…", style=self.get_component_rich_style("cost--muted"))
        styles: Styles = {name: self.get_component_rich_style(f"cost--{name}") for name in _STYLES}
        return painted(self._overview, self._marked, self.size.width, self.size.height, styles)


def painted(overview: Overview, marked: date, width: int, height: int, styles: Mapping[str, Style | str]) -> Text:
    """The whole view as lines of at most `width` cells, `height` of them at most."""
    head = [*_sums(overview, width, styles), *_limits(overview.limits, width, styles), *_open(overview, styles)]
    # Blank lines, titles and the axis take five; models come before the height of the columns.
    left = height - len(head) - 5
    model_lines = max(1, min(len(overview.models) or 1, left - _LEAST_CHART))
    chart_height = max(1, min(_MOST_CHART, left - model_lines))
    lines = [*head, Text(), *_models(overview.models, model_lines, width, styles), Text()]
    lines += _days(overview, marked, chart_height, width, styles)
    for line in lines:
        line.truncate(width)
    return Text("\n").join(lines[:height])


def month_name(day: date) -> str:
    """A month for people."""
    return f"{_MONTHS[day.month - 1]} {day.year}"


def _sums(overview: Overview, width: int, styles: Mapping[str, Style | str]) -> Iterator[Text]:
    rows = (("Today", overview.today), (month_name(overview.first), overview.month))
    room = max(_LABEL, *(cell_len(name) + 2 for name, _ in rows))
    widest = max(len(_cost(spent)) for _, spent in rows)
    for name, spent in rows:
        line = Text.assemble((name.ljust(room), styles["name"]), (_cost(spent).rjust(widest), styles["title"]))
        line.append(_fitting(_told(spent), width - line.cell_len), styles["muted"])
        yield line


def _fitting(parts: Iterable[str], room: int) -> str:
    """As many parts as there is room for."""
    told = ""
    for part in parts:
        longer = f"{told} · {part}" if told else f"   {part}"
        if cell_len(longer) > room:
            break
        told = longer
    return told


def _told(spent: Spent) -> Iterator[str]:
    yield f"{spent.requests:,} {'request' if spent.requests == 1 else 'requests'}"
    if spent.unknown:
        yield f"{spent.unknown:,} of unknown price"
    if spent.estimated:
        yield f"{spent.estimated:,} estimated"
    if spent.requests:
        yield f"{_count(spent.input_tokens)} in, {_count(spent.output_tokens)} out"


def _limits(limits: Sequence[Limit], width: int, styles: Mapping[str, Style | str]) -> Iterator[Text]:
    for limit in limits:
        colour = styles["error" if limit.reached else "warning" if limit.near else "bar"]
        name = f"{limit.name.capitalize()} limit"
        about = "~" if limit.spent.estimated or limit.unsettled.micros else ""
        told = f"  {about}{limit.percent} % of {short_money(Cost(limit.micros))}"
        rest = "  held" if limit.reached else f"  {short_money(Cost(limit.left))} left"
        rest = rest if width >= _ROOMY else ""
        room = max(4, min(40, width - _LABEL - len(told) - len(rest) - 2))
        filled = min(room, -(-limit.percent * room // 100))
        line = Text.assemble((name.ljust(_LABEL + 2), styles["name"]), ("━" * filled, colour))
        line.append("─" * (room - filled), styles["muted"])
        line.append(told, colour if limit.near else styles["name"])
        line.append(rest, styles["muted"])
        yield line


def _open(overview: Overview, styles: Mapping[str, Style | str]) -> Iterator[Text]:
    open_ = overview.unsettled
    if open_.requests:
        told = f"{open_.requests:,} under way or in doubt, {worst_words(open_)}"
        yield Text.assemble(("Jobs".ljust(_LABEL + 2), styles["name"]), (told, styles["warning"]))


def _models(shares: Sequence[Share], most: int, width: int, styles: Mapping[str, Style | str]) -> Iterator[Text]:
    yield Text("By model", styles["title"])
    if not shares:
        yield Text("Nothing was spent this month.", styles["muted"])
        return
    shown = shares if len(shares) <= most else shares[: max(1, most - 1)]
    names = [_model(share) for share in shown]
    room = min(_MOST_NAME, max(map(cell_len, names)))
    costs = [_cost(share.spent) for share in shown]
    widest = max(map(len, costs))
    length = max(4, width - room - widest - 4 - 17)
    top = max(share.spent.micros for share in shown)
    for name, amount, share in zip(names, costs, shown, strict=True):
        line = Text(set_cell_size(name, room), styles["name"])
        line.append(f"  {amount.rjust(widest)}  ", styles["name"])
        line.append(bar(share.spent.micros, top, length), styles["bar"])
        requests = share.spent.requests
        line.append(f" {requests:,} {'request' if requests == 1 else 'requests'}", styles["muted"])
        if share.spent.unknown and share.spent.unknown < share.spent.requests:
            line.append(f" ({share.spent.unknown:,} unknown)", styles["warning"])
        yield line
    if len(shown) < len(shares):
        rest = sum((share.spent for share in shares[len(shown) + 1 :]), shares[len(shown)].spent)
        yield Text(f"and {len(shares) - len(shown)} more: {_cost(rest)}", styles["muted"])


def _days(
    overview: Overview, marked: date, height: int, width: int, styles: Mapping[str, Style | str]
) -> Iterator[Text]:
    days = overview.month_days
    top = max((day.spent.micros for day in days), default=0)
    title = Text.assemble(("By day", styles["title"]))
    this = next((share for share in days if share.day == marked), None)
    if this is not None:
        told = f"   {_DAYS[marked.weekday()]} {marked.day}  {_cost(this.spent)}"
        title.append(told, styles["marked"])
        title.append(_fitting(_told(this.spent), width - title.cell_len), styles["muted"])
    yield title
    scale = short_money(Cost(top)) if top else ""
    room = len(scale) + 1
    month_days = (overview.last - overview.first).days + 1
    cell = max(1, min(3, (width - room) // month_days))
    for row in range(height, 0, -1):
        line = Text((scale if row == height else "").rjust(room - 1) + " ", styles["muted"])
        for share in days:
            mark = styles["marked" if share.day == marked else "bar"]
            line.append(_block(share.spent.micros, top, row, height) * max(1, cell - 1), mark)
            line.append(" " * (cell - max(1, cell - 1)))
        yield line
    yield _axis(overview, marked, room, cell, month_days, styles)


def _block(micros: int, top: int, row: int, height: int) -> str:
    """One cell of a column, row 1 at the bottom; what costs anything shows at least a trace."""
    if not micros or not top:
        return " "
    eighths = max(1, round(micros * height * 8 / top))
    return _EIGHTHS[max(0, min(8, eighths - (row - 1) * 8))]


def _axis(
    overview: Overview, marked: date, room: int, cell: int, month_days: int, styles: Mapping[str, Style | str]
) -> Text:
    line = Text(" " * room)
    step = 1 if cell > 2 else 5
    number = 1
    while number <= month_days:
        here = overview.first.replace(day=number) == marked
        label = str(number) if number == 1 or number % step == 0 else ""
        taken = max(1, -(-len(label) // cell))
        line.append(label.ljust(cell * taken)[: cell * taken], styles["marked" if here else "muted"])
        number += taken
    return line


def _model(share: Share) -> str:
    name = clean_line(share.name, _MOST_NAME) or "unnamed"
    where = clean_line(share.provider, 14)
    return f"{name} · {where}" if where and cell_len(name) + len(where) + 3 <= _MOST_NAME else name


def _cost(spent: Spent) -> str:
    return short_money(spent.cost) or "unknown"


def _count(tokens: int) -> str:
    if tokens < 10_000:
        return f"{tokens:,}"
    return f"{tokens / 1000:,.0f}k" if tokens < 10_000_000 else f"{tokens / 1_000_000:,.1f}M"
