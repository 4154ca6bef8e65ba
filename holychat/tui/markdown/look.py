"""The styles that a transcript is painted with: every one complete, so that painting adds nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rich.style import Style

if TYPE_CHECKING:
    from collections.abc import Mapping

STRONG, EMPHASIS, STRIKE, CODE, LINK, HEADING, MUTED = (1 << bit for bit in range(7))
"""Flags of a run of text; a run's style is `Look.inline(flags)`."""


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as "#rrggbb"; `dark` tells which Pygments colours fit."""

    background: str = "#11141a"
    foreground: str = "#d8dee9"
    muted: str = "#7b8496"
    accent: str = "#7aa2f7"
    heading: str = "#9ec1ff"
    user: str = "#1a1f29"
    code: str = "#181c25"
    code_text: str = "#e5c07b"
    warning: str = "#e0af68"
    error: str = "#f7768e"
    string: str = "#9ece6a"
    keyword: str = "#bb9af7"
    number: str = "#ff9e64"
    name: str = "#7dcfff"
    dark: bool = True

    @classmethod
    def from_variables(cls, variables: Mapping[str, str], dark: bool) -> Palette:
        """The palette of a Textual theme; variables `transcript-NAME` override what is derived."""

        def pick(name: str, *fallbacks: str) -> str:
            for key in (f"transcript-{name}", *fallbacks):
                value = variables.get(key, "")
                if value.startswith("#"):
                    return value[:7]
            default: str = getattr(cls(), name) if dark else getattr(_LIGHT, name)
            return default

        return cls(
            background=pick("background", "background"),
            foreground=pick("foreground", "foreground"),
            muted=pick("muted"),
            accent=pick("accent", "primary"),
            heading=pick("heading", "primary"),
            user=pick("user", "surface"),
            code=pick("code", "surface"),
            code_text=pick("code_text"),
            warning=pick("warning", "warning"),
            error=pick("error", "error"),
            string=pick("string"),
            keyword=pick("keyword"),
            number=pick("number"),
            name=pick("name"),
            dark=dark,
        )


_LIGHT = Palette(
    background="#fbfbf9",
    foreground="#22262e",
    muted="#6b7280",
    accent="#1f5fbf",
    heading="#174a94",
    user="#eef1f6",
    code="#f1f2ee",
    code_text="#8a4b08",
    warning="#8a5a00",
    error="#b3261e",
    string="#3a7a1e",
    keyword="#7a2fb5",
    number="#a8480f",
    name="#0b6b8a",
    dark=False,
)


@dataclass(slots=True)
class Look:
    """Complete Rich styles made from a palette. Two looks are the same look only if they are the same object."""

    palette: Palette = field(default_factory=Palette)
    _muted: Look | None = field(default=None, repr=False)
    _inline: dict[tuple[int, str], Style] = field(default_factory=dict, repr=False)
    _tokens: dict[object, Style] = field(default_factory=dict, repr=False)
    _plain: dict[tuple[str, str, bool], Style] = field(default_factory=dict, repr=False)

    def style(self, colour: str = "foreground", background: str = "background", *, bold: bool = False) -> Style:
        """A style by the names of two palette colours."""
        key = (colour, background, bold)
        if (found := self._plain.get(key)) is None:
            found = self._plain[key] = Style(
                color=getattr(self.palette, colour), bgcolor=getattr(self.palette, background), bold=bold or None
            )
        return found

    def muted(self) -> Look:
        """The same look with muted text, for what a model thinks aloud."""
        if self._muted is None:
            self._muted = Look(replace(self.palette, foreground=self.palette.muted, heading=self.palette.muted))
        return self._muted

    def inline(self, flags: int, background: str = "background") -> Style:
        """The style of a run of text with these flags."""
        key = (flags, background)
        if (found := self._inline.get(key)) is not None:
            return found
        palette = self.palette
        colour = palette.foreground
        if flags & MUTED:
            colour = palette.muted
        if flags & HEADING:
            colour = palette.heading
        if flags & CODE:
            colour = palette.code_text
            background = "code" if background == "background" else background
        if flags & LINK:
            colour = palette.accent
        found = Style(
            color=colour,
            bgcolor=getattr(palette, background),
            bold=bool(flags & (STRONG | HEADING)) or None,
            italic=bool(flags & EMPHASIS) or None,
            strike=bool(flags & STRIKE) or None,
            underline=bool(flags & LINK) or None,
        )
        self._inline[key] = found
        return found

    def link(self, flags: int, href: str, background: str = "background") -> Style:
        """The style of a link; its target is in the style's meta, where a click finds it."""
        return self.inline(flags | LINK, background) + Style.from_meta({"href": href})

    def token(self, token_type: object) -> Style:
        """The style of a Pygments token type, on the background of code."""
        if (found := self._tokens.get(token_type)) is None:
            found = self._tokens[token_type] = self._token_style(token_type)
        return found

    def _token_style(self, token_type: object) -> Style:
        from pygments.token import Token

        names = {
            Token.Comment: ("muted", False),
            Token.Keyword: ("keyword", False),
            Token.Keyword.Constant: ("number", False),
            Token.Operator.Word: ("keyword", False),
            Token.Literal.String: ("string", False),
            Token.Literal.Number: ("number", False),
            Token.Name.Function: ("accent", False),
            Token.Name.Class: ("heading", True),
            Token.Name.Decorator: ("name", False),
            Token.Name.Builtin: ("name", False),
            Token.Name.Tag: ("keyword", False),
            Token.Name.Attribute: ("name", False),
            Token.Generic.Heading: ("heading", True),
            Token.Generic.Deleted: ("error", False),
            Token.Generic.Inserted: ("string", False),
        }
        walk = token_type
        while walk is not None:
            if walk in names:
                colour, bold = names[walk]
                return self.style(colour, "code", bold=bold)
            walk = getattr(walk, "parent", None)
        return self.style("foreground", "code")
